"""Hostile clients of both servers: memory stays bounded, other clients do not notice, and everything they held is given
back. A calm client asks one thing after the other all the time; its p99 during each attack is held against that before.
Short by default; --full has 10,000 idle connections on each server instead of 2,000 and longer attacks."""
import random, resource, sys, zlib
from harness import *

IDLE = 10_000 if FULL else 2_000
SECONDS = 20 if FULL else 1.5
RSS_GROWTH_MB = scaled(256)  # over what the server had before the attack; a sanitizer shadows it
P99_RATIO = 20          # of the calm client's p99 before
P99_FLOOR_MS = scaled(250)  # a machine that runs the whole suite has this much noise
MB = 1 << 20


def raise_limit():
    wanted = IDLE + 2000  # here, and in each server; the idle connections are children's
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < wanted:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, wanted))
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard != resource.RLIM_INFINITY and hard < wanted:
        skip(f"no {wanted} open files for this test (RLIMIT_NOFILE is {hard})")
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def rss(pid):
    with open(f"/proc/{pid}/status") as f:
        return next(int(line.split()[1]) // 1024 for line in f if line.startswith("VmRSS"))


def fds(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def frame(body):
    return struct.pack(">i", len(body)) + body


def header(api, version, correlation=1):
    return struct.pack(">hhih", api, version, correlation, -1)


def produce_v7(topic, batch, acks=1):
    name = topic.encode()
    return frame(header(0, 7) + struct.pack(">hhii", -1, acks, 5000, 1) + struct.pack(">h", len(name)) + name + struct.pack(">iii", 1, 0, len(batch)) + batch)


def fetch_v4(topic, max_bytes=50 * MB):
    name = topic.encode()
    return frame(header(1, 4) + struct.pack(">iiiib", -1, 0, 1, max_bytes, 0) + struct.pack(">i", 1) + struct.pack(">h", len(name)) + name +
                 struct.pack(">iiqi", 1, 0, 0, max_bytes))


def crc32c(data, table=[]):
    if not table:
        for i in range(256):
            for _ in range(8):
                i = i >> 1 ^ (0x82f63b78 if i & 1 else 0)
            table.append(i)
    crc = 0xffffffff
    for byte in data:
        crc = crc >> 8 ^ table[(crc ^ byte) & 0xff]
    return crc ^ 0xffffffff


def batch(payload, codec, count):
    now = Scene.now_ms
    tail = struct.pack(">hiqqqhii", codec, count - 1, now, now, -1, -1, -1, count) + payload
    return struct.pack(">qiib", 0, len(tail) + 9, -1, 2) + struct.pack(">I", crc32c(tail)) + tail


def varint(value):
    value = value << 1 ^ value >> 63
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def record(value):
    body = b"\0" + varint(0) + varint(0) + varint(-1) + varint(len(value)) + value + varint(0)
    return varint(len(body)) + body


def record_of_zeros(size):
    """The head of a record whose value is so many zeros, and how many zeros follow it (the count of headers is one more)."""
    whole = b"\0" + varint(0) + varint(0) + varint(-1) + varint(size)
    return varint(len(whole) + size + 1) + whole, size + 1


def gzipped(head_and_zeros):
    head, zeros = head_and_zeros
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    out, piece = packer.compress(head), bytes(MB)
    for _ in range(zeros // MB):
        out += packer.compress(piece)
    return out + packer.compress(bytes(zeros % MB)) + packer.flush()


def zstd_of_zeros(head_and_zeros, tail=b""):
    """A frame of raw blocks with the head and the tail, and between them blocks that each repeat one byte 128 KB times.
    Source: RFC 8878."""
    head, zeros = head_and_zeros
    out = struct.pack("<IBB", 0xfd2fb528, 0, 0x70)  # a window of 16 MB, no content size, no checksum

    def block(last, kind, size, content):
        return struct.pack("<I", last | kind << 1 | size << 3)[:3] + content
    out += block(0, 0, len(head), head)
    whole, rest = divmod(zeros, 128 << 10)
    return out + block(0, 1, 128 << 10, b"\0") * whole + block(0, 1, rest, b"\0") + block(1, 0, len(tail), tail)


def session(port, timeout_ms=10_000):
    s = socket.create_connection(("127.0.0.1", port), 10)
    s.settimeout(10)
    s.sendall(frame(struct.pack(">iqiqi", 0, 0, timeout_ms, 0, 16) + bytes(16)))
    reply(s)
    return s


def reply(s):
    return exactly(s, struct.unpack(">i", exactly(s, 4))[0])


def calm_client(kafka_port, zk_port, path):
    """A process of its own, so that what attackers compute in theirs is not measured: asks Metadata, a Produce and, of the
    ensemble, getData; one after the other, every few milliseconds. Writes which and how long to `path`."""
    def connected(port):
        s = connect(port)
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return s
    kafka, zk = connected(kafka_port), session(zk_port)
    value = batch(record(b"calm"), 0, 1)
    asks = [(kafka, frame(header(3, 0) + struct.pack(">ih4s", 1, 4, b"calm"))), (kafka, produce_v7("calm", value)),
            (zk, frame(struct.pack(">iii1s?", 1, 4, 1, b"/", False)))]
    with open(path, "ab", buffering=0) as out:
        while True:
            for i, (s, ask) in enumerate(asks):
                began = time.monotonic()
                s.sendall(ask)
                reply(s)
                out.write(Calm.ONE.pack(i, (time.monotonic() - began) * 1000))
            time.sleep(0.004)


class Calm:
    """The calm client's process, and what it measured."""
    ONE = struct.Struct("<id")
    WHICH = ("Metadata", "Produce", "getData")

    def __init__(self, stack):
        self.path = os.path.join(tmp_dir(), "times")
        self.process = Process([sys.executable, os.path.abspath(__file__), "--calm", str(stack.broker.port), str(stack.ensemble.port), self.path],
                               os.path.join(os.path.dirname(self.path), "calm.log"))

    def count(self):
        assert self.process.alive(), f"the calm client failed:\n{self.process.tail()}"
        return os.path.getsize(self.path) // self.ONE.size if os.path.exists(self.path) else 0

    def p99(self, since):
        """Of all answers from the given one on; and the longest of each kind."""
        count = self.count()
        assert count - since >= 30, f"the calm client got only {count - since} answers"
        with open(self.path, "rb") as f:
            f.seek(since * self.ONE.size)
            times = list(self.ONE.iter_unpack(f.read((count - since) * self.ONE.size)))
        longest = ", ".join(f"{which} {max((ms for i, ms in times if i == kind), default=0):.0f}" for kind, which in enumerate(self.WHICH))
        times = sorted(ms for _, ms in times)
        return times[int(len(times) * 0.99)], f"{len(times)} answers, longest {longest} ms"


class Scene:
    now_ms = int(time.time() * 1000)

    def __init__(self):
        raise_limit()
        self.stack = Stack(extra="queued.max.request.bytes=134217728\nconnections.max.idle.ms=600000\n")
        self.servers = {"broker": self.stack.broker.server, "ensemble": self.stack.ensemble.server}
        for topic in ("calm", "big", "bomb", "late"):
            self.stack.create_topic(topic)
        wait_until(lambda: all(has_leader(self.stack.broker.port, topic) for topic in ("calm", "big", "bomb", "late")), "leaders")
        self.fill()
        self.calm = Calm(self.stack)
        wait_until(lambda: self.calm.count() >= 300, "the calm client's first answers")
        self.before, longest = self.calm.p99(30)
        print(f"calm client's p99 before: {self.before:.1f} ms ({longest})", flush=True)

    def fill(self):
        """20 MB to fetch."""
        one = produce_v7("big", batch(record(random.Random(1).randbytes(900_000)), 0, 1))
        with socket.create_connection(("127.0.0.1", self.stack.broker.port), 10) as s:
            s.settimeout(20)
            for _ in range(20):
                s.sendall(one)
                answer = reply(s)
                assert answer[4 + 4 + 2 + 3 + 4 + 4:][:2] == b"\0\0", answer

    def under(self, name, attack):
        """attack() fills what it holds; it goes on for a while, then all is closed."""
        memory = {n: rss(s.pid) for n, s in self.servers.items()}
        files = {n: fds(s.pid) for n, s in self.servers.items()}
        since = self.calm.count()
        held, peak = [], dict(memory)
        deadline = time.monotonic() + SECONDS

        def look():
            for n, s in self.servers.items():
                assert s.alive(), f"{name}: {n} ended:\n{s.tail()}"
                peak[n] = max(peak[n], rss(s.pid))

        attack(held, lambda: (look(), time.monotonic() < deadline)[1])
        while time.monotonic() < deadline or self.calm.count() - since < 60:
            look()
            time.sleep(0.02)
        p99, longest = self.calm.p99(since)
        for s in held:
            s.close()
        print(f"{name}: p99 {p99:.1f} ms of {longest}; " + ", ".join(f"{n} {memory[n]} MB, at most {peak[n]} MB" for n in memory), flush=True)
        for n in memory:
            assert peak[n] - memory[n] <= RSS_GROWTH_MB, f"{name}: {n} grew from {memory[n]} to {peak[n]} MB"
        limit = max(P99_FLOOR_MS, P99_RATIO * self.before)
        assert p99 <= limit, f"{name}: p99 {p99:.1f} ms, {self.before:.1f} before, {limit:.1f} allowed"
        for n, s in self.servers.items():
            wait_until(lambda: fds(s.pid) <= files[n] + 2, f"{name}: {n} gives its connections back ({files[n]} before)", server=s)


class Idlers:
    """A child that holds IDLE connections until it is closed."""

    def __init__(self, port):
        program = ("import socket, sys\n"
                   "held = [socket.create_connection(('127.0.0.1', int(sys.argv[1])), 30) for _ in range(int(sys.argv[2]))]\n"
                   "print(len(held), flush=True)\nsys.stdin.read()\n")
        self.child = subprocess.Popen([sys.executable, "-c", program, str(port), str(IDLE)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        os.set_blocking(self.child.stdout.fileno(), False)

    def ready(self):
        assert self.child.poll() is None, f"connections refused: {self.child.returncode}"
        return (self.child.stdout.read() or b"").strip() == str(IDLE).encode()

    def close(self):
        self.child.stdin.close()
        self.child.wait(30)


def connect(port):
    s = socket.create_connection(("127.0.0.1", port), 10)
    s.settimeout(10)
    return s


def main_test():
    scene = Scene()
    kafka, zk = scene.stack.broker.port, scene.stack.ensemble.port

    def lengths(held, go_on):
        """Lengths of 2 GB, negative ones, and 0: refused at once."""
        for port in (kafka, zk):
            for length in (0x7fffffff, -1, -0x80000000, 0x7ffffff0, 0 if port == kafka else -2):
                s = connect(port)
                s.sendall(struct.pack(">i", length) + bytes(100))
                with contextlib.suppress(ConnectionResetError):
                    assert s.recv(10) == b"", f"a length of {length} was not refused"
                s.close()
        while go_on():
            for port in (kafka, zk):
                s = connect(port)
                held.append(s)
                s.sendall(struct.pack(">i", 0x7fffffff) + bytes(1000))
                held.pop().close()

    def half_frames(held, go_on):
        """As many as may be held at once: all promise 100 MB (1 MB of the ensemble) and send a few bytes."""
        for _ in range(400):
            for port, length in ((kafka, 100 * MB), (zk, MB - 1)):
                s = connect(port)
                held.append(s)
                s.sendall(struct.pack(">i", length) + bytes(2000))

    def slow_readers(held, go_on):
        """Who asks for 20 MB and reads a kilobyte now and then; and who never reads."""
        ask = fetch_v4("big")
        for _ in range(40):
            s = socket.socket()
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            s.connect(("127.0.0.1", kafka))
            s.setblocking(False)
            held.append(s)
            with contextlib.suppress(BlockingIOError):
                s.sendall(ask * 50)
        while go_on():
            for s in held[:20]:
                with contextlib.suppress(BlockingIOError, ConnectionResetError):
                    s.recv(1024)
            time.sleep(0.05)

    def deaf_sessions(held, go_on):
        """The ensemble's: a node of 900 KB, read again and again by clients that never read answers."""
        owner = session(zk)
        acl = struct.pack(">iii5si6s", 1, 31, 5, b"world", 6, b"anyone")
        owner.sendall(frame(struct.pack(">iii4si", 1, 1, 4, b"/fat", 900_000) + bytes(900_000) + acl + struct.pack(">i", 0)))
        reply(owner)
        held.append(owner)
        ask = frame(struct.pack(">iii4s?", 2, 4, 4, b"/fat", False))
        for _ in range(40):
            s = session(zk)
            s.setblocking(False)
            held.append(s)
            with contextlib.suppress(BlockingIOError):
                s.sendall(ask * 2000)
        while go_on():
            time.sleep(0.05)

    def pipelined(held, go_on):
        """Thousands of requests on each connection before the first answer is read."""
        for port, ask in ((kafka, frame(header(3, 0) + struct.pack(">i", 0))), (zk, frame(struct.pack(">iii1s?", 1, 8, 1, b"/", False)))):
            for _ in range(4):
                s = connect(port) if port == kafka else session(port)
                s.setblocking(False)
                held.append(s)
        left = {s: 0 for s in held}
        asks = [frame(header(3, 0) + struct.pack(">i", 0)) * 3000] * 4 + [frame(struct.pack(">iii1s?", 1, 8, 1, b"/", False)) * 3000] * 4
        answered = 0
        while go_on():
            for s, ask in zip(held, asks):
                with contextlib.suppress(BlockingIOError):
                    left[s] = (left[s] + s.send(ask[left[s]:])) % len(ask)
                if answered % 2:
                    with contextlib.suppress(BlockingIOError):
                        s.recv(1 << 16)
            answered += 1
            time.sleep(0.005)

    # 10 to 300 KB that open to 200 MB, which is taken, and to 300 MB, which is not. Nothing ends their opening early: they are one
    # record of zeros.
    taken, too_large = b"\0\0", struct.pack(">h", 10)
    charges = [(produce_v7("bomb", batch(packed(record_of_zeros(size)), codec, 1)), wanted)
               for size, wanted in ((200 * MB, taken), (300 * MB, too_large)) for codec, packed in ((1, gzipped), (4, zstd_of_zeros))]
    # And 256 MB of zeros without a sound record.
    charges.append((produce_v7("bomb", batch(zstd_of_zeros((b"", 256 * MB)), 4, 1)), struct.pack(">h", 87)))

    def bombs(held, go_on):
        """Each at once, from a connection of its own; then again as long as it lasts."""
        held += [connect(kafka) for _ in charges]
        while True:
            for s, (bomb, _) in zip(held, charges):
                s.settimeout(60)
                s.sendall(bomb)
            for s, (_, wanted) in zip(held, charges):
                answer = reply(s)
                assert answer[4 + 4 + 2 + 4 + 4 + 4:][:2] == wanted, (answer, wanted)
            if not go_on():
                break

    def old_consumers(held, go_on):
        """Want what the bombs left in the format of 2012, which opens and writes it anew."""
        name = b"bomb"
        ask = frame(header(1, 2) + struct.pack(">iiiih", -1, 0, 1, 1, len(name)) + name + struct.pack(">iiqi", 1, 0, 0, MB))
        held += [connect(kafka) for _ in range(4)]
        while True:
            for s in held:
                s.settimeout(60)
                s.sendall(ask)
            for s in held:
                reply(s)
            if not go_on():
                break

    # 200 MB before a record of a later time: who looks for that time has them opened.
    head, zeros = record_of_zeros(200 * MB)
    late = b"\0" + varint(1) + varint(1) + varint(-1) + varint(2) + b"ok" + varint(0)
    late = varint(len(late)) + late
    with connect(kafka) as s:
        s.settimeout(60)
        s.sendall(produce_v7("late", batch(zstd_of_zeros((head, zeros), late), 4, 2)))
        answer = reply(s)
        assert answer[4 + 4 + 2 + 4 + 4 + 4:][:2] == taken, answer

    def look_ups(held, go_on):
        """Look for the time of the last record of a bomb."""
        name = b"late"
        ask = frame(header(2, 1) + struct.pack(">iih", -1, 1, len(name)) + name + struct.pack(">iiq", 1, 0, Scene.now_ms + 1))
        held += [connect(kafka) for _ in range(4)]
        while True:
            for s in held:
                s.settimeout(60)
                s.sendall(ask)
            for s in held:
                answer = reply(s)
                assert struct.unpack_from(">hqq", answer, len(answer) - 18)[::2] == (0, 1), answer
            if not go_on():
                break

    # 50,000 parts: one topic's configs again and again; and refused without asking anybody: configs of topics that are not there, resources named twice, quotas of what
    # is no entity; and as many users, named twice.
    many = 50_000
    name = [b"%x" % i for i in range(many)]

    def short(text):
        return struct.pack(">h", len(text)) + text

    def compact(text):
        return bytes([len(text) + 1]) + text

    def parts(each):
        return struct.pack(">i", many) + b"".join(each)

    def compact_parts(each):
        return b"\xd1\x86\x03" + b"".join(each)  # many + 1
    none, topic_resource = struct.pack(">i", 0), b"\2" + short(b"nope")
    users, changes = header(50, 0) + b"\0", header(51, 0) + b"\0"
    again = b"\2" + short(b"calm") + struct.pack(">i", -1)
    crowds = [header(32, 3) + parts([again] * many) + b"\1\1",
              header(32, 3) + parts([topic_resource + struct.pack(">i", -1)] * many) + b"\1\1",
              header(33, 1) + parts([topic_resource + none] * many) + b"\1",
              header(49, 0) + parts(struct.pack(">i", 1) + short(b"what") + short(each) + none for each in name) + b"\1",
              users + compact_parts([compact(each) + b"\0" for each in name[:many // 2]] * 2) + b"\0",
              changes + compact_parts([compact(each) + b"\1\0" for each in name[:many // 2]] * 2) + b"\1\0"]

    def crowded(held, go_on):
        """Administrators who ask for very much at once."""
        s = connect(kafka)
        s.settimeout(60)
        held.append(s)
        for crowd in crowds:
            s.sendall(frame(crowd))
            answer = reply(s)
            assert len(answer) > 20, answer
        with connect(kafka) as s:  # 10 million names to find coordinators of: more than anybody may ask for
            s.settimeout(60)
            with contextlib.suppress(ConnectionError):
                s.sendall(frame(header(10, 4) + b"\0" + b"\0" + b"\x81\xad\xe2\x04" + b"\2a" * 10_000_000 + b"\0"))
                assert not s.recv(1), "answered"

    def idle(held, go_on):
        """Thousands of connections to each that never say a word."""
        for port in (kafka, zk):
            held.append(Idlers(port))
        for idlers in held:
            while not idlers.ready():
                go_on()
                time.sleep(0.02)

    for name, attack in (("lengths", lengths), ("half frames", half_frames), ("slow readers", slow_readers), ("deaf sessions", deaf_sessions),
                         ("pipelined", pipelined), ("bombs", bombs), ("old consumers", old_consumers), ("look-ups", look_ups), ("crowded", crowded), ("idle", idle)):
        scene.under(name, attack)
    scene.stack.check_alive()
    assert serves_kafka(kafka) and ruok(zk)


if "--calm" in sys.argv:
    calm_client(int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
main(main_test)
