"""A log directory on a small tmpfs that fills up: it goes offline with one clear line, the broker ends, having no other, and after a
restart with room everything acknowledged is readable. Needs a mount namespace (root)."""
import ctypes
from harness import *

try:
    from kafka import KafkaConsumer, KafkaProducer
except ImportError:
    skip("python3-kafka is not installed")


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


main(test_broker_log)
