"""The commands of the books, verbatim, from the distribution; and three tenants' chroots on one ensemble.

The verbatim run needs the default ports and /tmp, so it happens in a network and mount namespace of its own; where those
cannot be made it uses the ports of this machine if they are free, and else is skipped."""
import ctypes, fcntl
from harness import *

# The distribution, where the /tmp of a namespace does not hide it.
HOME = tempfile.mkdtemp(prefix="ottla-dist-", dir="/var/tmp")
atexit.register(shutil.rmtree, HOME, ignore_errors=True)
shutil.copytree(DIST, HOME, dirs_exist_ok=True)
LINES = "first line\nsecond line\nthird line\n"


def in_namespace(body):
    """Runs body in a process with a loopback, a /tmp and process ids of its own (the stop scripts end every server they can
    see). Its exit code; SKIPPED when such a process cannot be made."""
    outer = os.fork()
    if outer != 0:
        return os.waitstatus_to_exitcode(os.waitpid(outer, 0)[1])
    code = 1
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.unshare(0x40000000 | 0x00020000 | 0x20000000) != 0:  # CLONE_NEWNET | CLONE_NEWNS | CLONE_NEWPID
            os._exit(SKIPPED)
        first = os.fork()  # process 1 of the new namespace: everything ends with it
        if first != 0:
            os._exit(os.waitstatus_to_exitcode(os.waitpid(first, 0)[1]) % 256)
        private = 1 << 18 | 1 << 14
        if (libc.mount(None, b"/", None, private, None) != 0 or libc.mount(b"proc", b"/proc", b"proc", 0, None) != 0 or
                libc.mount(b"tmpfs", b"/tmp", b"tmpfs", 0, None) != 0):
            os._exit(SKIPPED)
        with socket.socket() as s:
            fcntl.ioctl(s, 0x8914, struct.pack("16sh22x", b"lo", 0x1 | 0x40))  # SIOCSIFFLAGS: lo up
        body()
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush(), sys.stderr.flush()
        os._exit(code)


def bin_run(command, stdin=None, **more):
    return run(command.split(), stdin=stdin, cwd=HOME, **more)


def test_verbatim():
    logs = tmp_dir()
    zookeeper = Process("bin/zookeeper-server-start.sh config/zookeeper.properties".split(), os.path.join(logs, "zk.log"), cwd=HOME)
    wait_until(lambda: accepts(2181), "ensemble on 2181", server=zookeeper)
    broker = Process("bin/kafka-server-start.sh config/server.properties".split(), os.path.join(logs, "broker.log"), cwd=HOME)
    wait_until(lambda: serves_kafka(9092), "broker on 9092", server=broker)
    created = bin_run("bin/kafka-topics.sh --create --topic test --bootstrap-server localhost:9092").stdout
    assert created == "Created topic test.\n", created
    bin_run("bin/kafka-console-producer.sh --topic test --bootstrap-server localhost:9092", stdin=LINES)
    read = bin_run("bin/kafka-console-consumer.sh --topic test --from-beginning --bootstrap-server localhost:9092 --max-messages 3")
    assert read.stdout == LINES, read
    assert "Processed a total of 3 messages" in read.stderr + read.stdout
    # A second create is refused as Apache's tool refuses it.
    again = bin_run("bin/kafka-topics.sh --create --topic test --bootstrap-server localhost:9092", check=False)
    assert again.returncode == 1 and "Topic 'test' already exists." in again.stdout + again.stderr, again
    # The stop scripts find the servers by themselves; both end cleanly.
    bin_run("bin/kafka-server-stop.sh")
    assert broker.process.wait(20) in (0, 143, -15), broker.tail()
    bin_run("bin/zookeeper-server-stop.sh")
    assert zookeeper.process.wait(20) in (0, 143, -15), zookeeper.tail()
    # As daemons, with an override; what was written before is still there.
    bin_run("bin/zookeeper-server-start.sh -daemon config/zookeeper.properties")
    wait_until(lambda: accepts(2181), "ensemble daemon")
    bin_run("bin/kafka-server-start.sh -daemon config/server.properties --override num.partitions=3")
    wait_until(lambda: serves_kafka(9092), "broker daemon")
    read = bin_run("bin/kafka-console-consumer.sh --topic test --from-beginning --bootstrap-server localhost:9092 --timeout-ms 5000 --max-messages 3")
    assert read.stdout == LINES, read
    bin_run("bin/kafka-console-producer.sh --topic auto --bootstrap-server localhost:9092", stdin="x\n")
    described = bin_run("bin/kafka-topics.sh --describe --topic auto --bootstrap-server localhost:9092").stdout
    assert "PartitionCount: 3" in described, described
    bin_run("bin/kafka-server-stop.sh")
    wait_until(lambda: not accepts(9092), "broker daemon stopped")
    bin_run("bin/zookeeper-server-stop.sh")
    wait_until(lambda: not accepts(2181), "ensemble daemon stopped")


def test_three_chroots():
    """One ensemble, three brokers, each its own cluster: same broker id, same topic name, nothing shared."""
    ensemble = ensemble_of_choice()
    tenants = {name: Broker(f"127.0.0.1:{ensemble.port}/{name}") for name in ("red", "green", "blue")}
    for name, broker in tenants.items():
        at = ("--bootstrap-server", broker.bootstrap)
        run([script("kafka-topics.sh"), *at, "--create", "--topic", "test"])
        run([script("kafka-topics.sh"), *at, "--create", "--topic", f"only-{name}"])
        run([script("kafka-console-producer.sh"), *at, "--topic", "test"], stdin=f"of {name}\n")
    ids = set()
    for name, broker in tenants.items():
        at = ("--bootstrap-server", broker.bootstrap)
        read = run([script("kafka-console-consumer.sh"), *at, "--topic", "test", "--from-beginning", "--max-messages", "1"]).stdout
        assert read == f"of {name}\n", read
        assert run([script("kafka-topics.sh"), *at, "--list"]).stdout.split() == ["__consumer_offsets", f"only-{name}", "test"]
        shell = run([script("zookeeper-shell.sh"), f"127.0.0.1:{ensemble.port}", "get", f"/{name}/cluster/id"]).stdout
        ids.add(shell.splitlines()[-1])
    assert len(ids) == 3, ids


def test_verbatim_somewhere():
    code = in_namespace(test_verbatim) if os.geteuid() == 0 else SKIPPED
    if code != SKIPPED:
        assert code == 0, f"the verbatim run failed with {code}"
        return
    if accepts(2181) or accepts(9092) or os.path.exists("/tmp/kafka-logs") or os.path.exists("/tmp/zookeeper"):
        skip("no namespace can be made here, and the default ports or directories are taken")
    for directory in ("/tmp/kafka-logs", "/tmp/zookeeper"):
        atexit.register(shutil.rmtree, directory, ignore_errors=True)
    test_verbatim()


main(test_verbatim_somewhere, test_three_chroots)
