"""A log directory on a small tmpfs that fills up: it goes offline with one clear line, the broker ends, having no other, and after a
restart with room everything acknowledged is readable. One of two directories: the broker goes on with the other. Needs a mount namespace (root)."""
import ctypes
import json
from harness import *
from wire import Wire

try:
    from kafka import KafkaConsumer, KafkaProducer
    from kafka.errors import KafkaError
    from kazoo.client import KazooClient
except ImportError:
    skip("python3-kafka or python3-kazoo is not installed")


def mount_tmpfs(at, size):
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(0x00020000) != 0 or libc.mount(None, b"/", None, 1 << 18 | 1 << 14, None) != 0:
        skip("no mount namespace can be made here")
    os.makedirs(at, exist_ok=True)
    if libc.mount(b"tmpfs", at.encode(), b"tmpfs", 0, f"size={size}".encode()) != 0:
        skip("no tmpfs can be mounted here")
    return libc


def test_broker_log():
    d = tmp_dir()
    small = os.path.join(d, "small")
    libc = mount_tmpfs(small, 64 << 20)
    ensemble = ensemble_of_choice()
    broker = Broker(f"127.0.0.1:{ensemble.port}", extra=f"log.dirs={small}\n")
    producer = KafkaProducer(bootstrap_servers=broker.bootstrap, acks="all", retries=0, request_timeout_ms=5000, max_block_ms=5000)
    acked = 0
    try:
        for i in range(200):
            producer.send("fill", bytes(1 << 19)).get(10)
            acked += 1
    except Exception as e:
        print("refused after", acked, "records:", type(e).__name__)
    assert 20 < acked < 140, acked
    wait_until(lambda: not broker.server.alive(), "the broker's end", timeout=60)
    assert broker.server.process.returncode == 1, broker.server.tail()
    assert "No space left" in broker.server.tail(200), broker.server.tail()
    libc.mount(b"tmpfs", small.encode(), b"tmpfs", 32, b"size=256m")  # MS_REMOUNT
    broker.start()
    wait_until(lambda: has_leader(broker.port, "fill"), "leader after the restart")
    consumer = KafkaConsumer("fill", bootstrap_servers=broker.bootstrap, auto_offset_reset="earliest", consumer_timeout_ms=5000)
    found = sum(1 for m in consumer if len(m.value) == 1 << 19)
    assert found >= acked, (found, acked)


def test_one_of_two():
    """The controller hears of it: nobody leads what lay there, the rest is served."""
    d = tmp_dir()
    small = os.path.join(d, "small")
    mount_tmpfs(small, 8 << 20)
    ensemble = ensemble_of_choice()
    broker = Broker(f"127.0.0.1:{ensemble.port}", extra=f"log.dirs={small},{d}/large\n")
    wire = Wire(broker.bootstrap)
    wire.create("two", 2)
    wait_until(lambda: all(has_leader(broker.port, "two", p) for p in (0, 1)), "leaders")
    there = int(os.listdir(small).count("two-1"))
    producer = KafkaProducer(bootstrap_servers=broker.bootstrap, acks="all", retries=0, request_timeout_ms=5000, max_block_ms=5000)
    try:
        for _ in range(200):
            producer.send("two", bytes(1 << 19), partition=there).get(10)
        raise AssertionError("the directory took all")
    except KafkaError as e:
        print("refused:", type(e).__name__)
    wait_until(lambda: not has_leader(broker.port, "two", there), "nobody leads what is gone", 20, broker.server)
    assert has_leader(broker.port, "two", 1 - there)
    producer.send("two", b"goes on", partition=1 - there).get(10)
    zookeeper = KazooClient(f"127.0.0.1:{ensemble.port}")
    zookeeper.start()
    assert zookeeper.get_children("/log_dir_event_notification") == []  # heard and struck out
    state = json.loads(zookeeper.get(f"/brokers/topics/two/partitions/{there}/state")[0])
    assert state["leader"] == -1, state
    zookeeper.stop()
    assert broker.server.alive(), broker.server.tail()


main(test_broker_log, test_one_of_two)
