"""What a wrong start or a wrong byte is answered with: one line with the remedy and exit code 1; an error or a close."""
import random
from harness import *


def refused(command, *wanted, timeout=30):
    """The program exits with 1 and says, in one line, all that is wanted."""
    done = run(command, timeout=timeout, check=False)
    text = done.stdout + done.stderr
    assert done.returncode == 1, (done.returncode, text)
    for line in text.splitlines():
        if all(w in line for w in wanted):
            return
    raise AssertionError(f"no line with {wanted} in:\n{text}")


def write(directory, name, text):
    path = os.path.join(directory, name)
    with open(path, "w") as f:
        f.write(text)
    return path


def test_wrong_values():
    d = tmp_dir()
    zoo = write(d, "zoo.cfg", f"dataDir={d}/zk\nclientPort=abc\n")
    refused([OTTLA, "zookeeper", zoo], "zoo.cfg", "clientPort", "abc", "must be")
    server = write(d, "server.properties", f"log.dirs={d}/logs\nzookeeper.connect=127.0.0.1:1\nlog.segment.bytes=lots\n")
    refused([OTTLA, "broker", server], "server.properties", "log.segment.bytes", "lots", "must be")
    refused([OTTLA, "broker", os.path.join(d, "missing.properties")], "missing.properties")
    refused([OTTLA, "zookeeper", os.path.join(d, "missing.cfg")], "missing.cfg")


def test_ports_and_directories():
    stack = Stack()
    d = tmp_dir()
    zoo = write(d, "zoo.cfg", f"dataDir={d}/zk\nclientPort={stack.ensemble.port}\n")
    refused([OTTLA, "zookeeper", zoo], str(stack.ensemble.port))
    port, nobody = free_ports(2)
    common = f"log.dirs={d}/logs\nbroker.id=5\n"
    taken = write(d, "taken.properties", common + f"zookeeper.connect={stack.zookeeper}/other\nlisteners=PLAINTEXT://127.0.0.1:{stack.broker.port}\n")
    refused([OTTLA, "broker", taken], str(stack.broker.port))
    alone = write(d, "alone.properties", common + f"zookeeper.connect=127.0.0.1:{nobody}\nzookeeper.connection.timeout.ms=500\nlisteners=PLAINTEXT://127.0.0.1:{port}\n")
    refused([OTTLA, "broker", alone], str(nobody))
    # The same data directory for another broker id, and for another cluster.
    d2 = stack.broker.directory
    stack.broker.server.stop()
    other_id = write(d, "id.properties", f"broker.id=77\nlog.dirs={d2}/logs\nzookeeper.connect={stack.zookeeper}\nlisteners=PLAINTEXT://127.0.0.1:{port}\n")
    refused([OTTLA, "broker", other_id], "77", "meta.properties")
    other_cluster = write(d, "cluster.properties", f"broker.id=0\nlog.dirs={d2}/logs\nzookeeper.connect={stack.zookeeper}/elsewhere\nlisteners=PLAINTEXT://127.0.0.1:{port}\n")
    refused([OTTLA, "broker", other_cluster], "meta.properties")
    # A directory that is a file can be written by nobody, root included.
    blocked = write(d, "file", "")
    unwritable = write(d, "unwritable.properties", f"broker.id=6\nlog.dirs={blocked}/logs\nzookeeper.connect={stack.zookeeper}\nlisteners=PLAINTEXT://127.0.0.1:{port}\n")
    refused([OTTLA, "broker", unwritable], f"{blocked}/logs")
    zoo2 = write(d, "zoo2.cfg", f"dataDir={blocked}/zk\nclientPort={port}\n")
    refused([OTTLA, "zookeeper", zoo2], f"{blocked}/zk")


def test_same_broker_id_twice():
    stack = Stack()
    d = tmp_dir()
    (port,) = free_ports(1)
    twin = write(d, "twin.properties", f"broker.id=0\nlog.dirs={d}/logs\nzookeeper.connect={stack.zookeeper}\nlisteners=PLAINTEXT://127.0.0.1:{port}\n"
                 "zookeeper.session.timeout.ms=4000\n")
    refused([OTTLA, "broker", twin], "broker.id")
    stack.check_alive()


def test_generated_broker_ids():
    """Without broker.id the next number from ZooKeeper is taken, once: meta.properties keeps it."""
    def id_of(broker):
        with open(f"{broker.directory}/logs/meta.properties") as f:
            return [line.strip() for line in f if line.startswith("broker.id")]

    zookeeper = f"127.0.0.1:{ensemble_of_choice().port}"
    first = Broker(f"{zookeeper}/one", broker_id=None)
    assert id_of(first) == ["broker.id=1001"], id_of(first)
    run([script("kafka-topics.sh"), "--bootstrap-server", first.bootstrap, "--create", "--topic", "t"])
    for end in ("stop", "kill"):
        getattr(first.server, end)()
        first.start()
        wait_until(lambda: has_leader(first.port, "t"), "leader again", server=first.server)
        assert id_of(first) == ["broker.id=1001"]
    first.server.stop()
    second = Broker(f"{zookeeper}/one", broker_id=-1)
    assert id_of(second) == ["broker.id=1002"]
    other = Broker(f"{zookeeper}/two", broker_id=None, extra="reserved.broker.max.id=7\n")
    assert id_of(other) == ["broker.id=8"]
    # What is set must be what the directory was made for; and nothing is made up where that is forbidden.
    with open(first.config) as f:
        text = f.read()
    d = tmp_dir()
    refused([OTTLA, "broker", write(d, "set.properties", text + "broker.id=5\n")], "broker.id=1001", "5", "meta.properties")
    refused([OTTLA, "broker", write(d, "off.properties", text.replace("/logs", "/elsewhere") + "broker.id.generation.enable=false\n")],
            "off.properties", "broker.id", "broker.id.generation.enable")


def test_unknown_keys_warn_by_name():
    stack = Stack(extra="no.such.key=1\n")
    with open(stack.broker.server.log) as f:
        text = f.read()
    assert text.count("no.such.key") == 1, text


def test_any_bytes_on_any_port():
    """Hostile bytes end, at worst, their own connection; a client that was there before goes on undisturbed."""
    stack = Stack()
    stack.create_topic("calm")
    rng = random.Random(int(os.environ.get("OTTLA_SEED", "1")))
    shapes = [
        lambda: rng.randbytes(rng.randrange(1, 2000)),
        lambda: struct.pack(">i", 0x7fffffff) + rng.randbytes(100),
        lambda: struct.pack(">i", -1),
        lambda: struct.pack(">i", 0),
        lambda: struct.pack(">i", 1000) + rng.randbytes(10),
        lambda: (lambda body: struct.pack(">i", len(body)) + body)(struct.pack(">hhih", rng.randrange(0, 70), rng.randrange(0, 18), 1, -1) + rng.randbytes(rng.randrange(0, 300))),
        lambda: struct.pack(">iiqiq", 44, 0, 0, 10000, 0) + struct.pack(">i", 16) + bytes(16) + struct.pack(">i", 20) + rng.randbytes(20),
        lambda: b"GET / HTTP/1.1\r\n\r\n",
    ]
    held = socket.create_connection(("127.0.0.1", stack.broker.port))
    for _ in range(400):
        for port in (stack.broker.port, stack.ensemble.port):
            with contextlib.suppress(OSError):
                with socket.create_connection(("127.0.0.1", port), 2) as s:
                    s.settimeout(0.02)
                    s.sendall(rng.choice(shapes)())
                    with contextlib.suppress(OSError):
                        s.recv(4096)
    stack.check_alive()
    frame = struct.pack(">hhih", 18, 0, 9, -1)
    held.sendall(struct.pack(">i", len(frame)) + frame)
    held.settimeout(5)
    assert held.recv(8)[4:8] == struct.pack(">i", 9)
    assert ruok(stack.ensemble.port) and has_leader(stack.broker.port, "calm")


def test_idle_flood():
    """A thousand connections that never say a word leave room for one that does."""
    stack = Stack()
    idle = []
    for port in (stack.broker.port, stack.ensemble.port):
        idle += [socket.create_connection(("127.0.0.1", port)) for _ in range(500)]
    began = time.monotonic()
    assert serves_kafka(stack.broker.port) and ruok(stack.ensemble.port)
    assert time.monotonic() - began < 1
    for s in idle:
        s.close()
    stack.check_alive()


main(test_wrong_values, test_ports_and_directories, test_same_broker_id_twice, test_generated_broker_ids, test_unknown_keys_warn_by_name, test_any_bytes_on_any_port, test_idle_flood)
