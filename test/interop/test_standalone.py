"""`ottla standalone`: ready file, metrics of both servers, a clean end, a kill, and what a wrong start is answered with."""
import urllib.request
from harness import *


class Standalone:
    def __init__(self, *more, directory=None):
        self.directory = directory or tmp_dir()
        self.ready = os.path.join(self.directory, "ready")
        self.more = more
        self.start()

    def start(self):
        self.server = Process([OTTLA, "standalone", "--data-dir", os.path.join(self.directory, "data"), "--port", "0", "--zookeeper-port", "0",
                               "--ready-file", self.ready, *self.more], os.path.join(self.directory, "log"))
        wait_until(lambda: os.path.exists(self.ready), "ready file", server=self.server)
        with open(self.ready) as f:
            self.at = dict(line.split("=", 1) for line in f.read().splitlines())
        self.bootstrap = self.at["bootstrap.servers"]


def kafka(tool, stack, *args, **more):
    return run([script(tool), "--bootstrap-server", stack.bootstrap, *args], **more)


def test_life():
    metrics, _ = free_ports(2)
    stack = Standalone("--metrics-port", str(metrics), "--override", "num.partitions=3")
    kafka("kafka-topics.sh", stack, "--create", "--topic", "t")
    assert "PartitionCount: 3" in kafka("kafka-topics.sh", stack, "--describe", "--topic", "t").stdout
    lines = "".join(f"{i}\n" for i in range(1000))
    kafka("kafka-console-producer.sh", stack, "--topic", "t", stdin=lines)
    read = kafka("kafka-console-consumer.sh", stack, "--topic", "t", "--from-beginning", "--max-messages", "1000").stdout
    assert sorted(read.split(), key=int) == lines.split()
    urls = stack.at["metrics"].split()
    assert len(urls) == 2
    for url in urls:
        text = urllib.request.urlopen(url, timeout=5).read().decode()
        assert "# TYPE" in text and "# HELP" in text, text[:500]
    for end in ("kill", "stop"):
        status = getattr(stack.server, end)()
        if end == "stop":
            assert status == 0, stack.server.tail()
            assert not os.path.exists(stack.ready), "the ready file outlived the server"
        else:
            os.unlink(stack.ready)
        stack.start()
        read = kafka("kafka-console-consumer.sh", stack, "--topic", "t", "--from-beginning", "--max-messages", "1000").stdout
        assert sorted(read.split(), key=int) == lines.split()


def test_wrong_starts():
    def refused(wanted, *args):
        done = run([OTTLA, "standalone", *args], check=False, timeout=20)
        text = done.stdout + done.stderr
        assert done.returncode == 1 and wanted in text, (done.returncode, text)

    d = tmp_dir()
    refused("unknown option --no-such-option", "--no-such-option", "1")
    refused("unknown option --no-such-option", "--no-such-option")
    refused("--port needs a value", "--port")
    refused("--port=x", "--port", "x")
    refused("log.segment.bytes=lots", "--data-dir", d + "/a", "--port", "0", "--zookeeper-port", "0", "--override", "log.segment.bytes=lots")
    stack = Standalone()
    refused(stack.directory, "--data-dir", os.path.join(stack.directory, "data"), "--port", "0", "--zookeeper-port", "0")
    taken = stack.bootstrap.rsplit(":", 1)[1]
    refused(taken, "--data-dir", d + "/b", "--port", taken, "--zookeeper-port", "0")
    assert "usage: ottla standalone" in run([OTTLA, "standalone", "--help"]).stdout


main(test_life, test_wrong_starts)
