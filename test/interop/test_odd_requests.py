"""Requests that no client library sends: of very many parts (more of them in test_hostile.py), and a controller's orders from a
stranger. Each is answered, and the broker goes on."""
from harness import *
from wire import Wire, array, string


def uvarint(value):
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def compact(text):
    return uvarint(len(text) + 1) + text


def many(parts):
    return uvarint(len(parts) + 1) + b"".join(parts)


def names(count):
    return [b"name%d" % i for i in range(count)]


# What is quadratic takes many minutes with these numbers; a request may have 200,000 elements.
LONG = {
    "ListTransactions in unknown states": (66, 0, many([compact(name) for name in names(190_000)]) + b"\1\0"),
    "CreatePartitions of topics without a name": (37, 2, many([b"\1\0\0\0\2\0\0"] * 190_000) + b"\0\0\x10\0\0\0"),
}


def test_long_lists():
    stack = Stack()
    for what, (api, version, body) in LONG.items():
        wire = Wire(stack.broker.bootstrap, timeout=scaled(60))
        began = time.monotonic()
        try:
            wire.ask(api, version, body, flexible=True)
        except OSError as e:
            raise AssertionError(f"{what}: {e!r} after {time.monotonic() - began:.1f} s\n{stack.broker.server.tail()}") from e
        finally:
            wire.close()
        print(f"{what}: {time.monotonic() - began:.1f} s", flush=True)
        stack.check_alive()


def test_orders_of_a_stranger():
    """__consumer_offsets by LeaderAndIsr, a member, and only then by UpdateMetadata."""
    stack = Stack()
    wire = Wire(stack.broker.bootstrap, timeout=scaled(30))
    state = array([string("__consumer_offsets") + struct.pack(">5i", 3, 1, 0, 0, 1) + struct.pack(">4i", 0, 0, 1, 0)])
    brokers = array([struct.pack(">i", 0) + string("127.0.0.1") + struct.pack(">i", stack.broker.port)])
    order = struct.pack(">ii", 0, 1) + state + brokers
    join = string("g") + struct.pack(">i", 10000) + string("") + string("consumer") + array([string("range") + struct.pack(">i", 0)])
    wire.ask(4, 0, order)
    wire.ask(11, 0, join)
    wire.ask(6, 0, order)
    stack.check_alive()


main(test_long_lists, test_orders_of_a_stranger)
