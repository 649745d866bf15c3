"""SIGTERM at every moment of a request's life. Each moment leaves connections behind in one state: half a handshake, half a
frame, a write whose sync runs, a fetch that waits, a member that waits for its group, a reader that does not read. Then the
server is asked to end, at once or while more of the same arrives. It must end with 0 within BOUND_S, every connection that is
read must end on the edge of a frame, and after the next start everything that was acknowledged must be there.

Without arguments each moment once and all together a few times; --full each at stepwise delays, and all together many times."""
import functools, gzip, itertools, selectors
from harness import *

try:
    from kafka.record.default_records import DefaultRecordBatch
    from kafka.record.util import calc_crc32c
    from wire import Wire, array, batch, batches_of, string
except ImportError:
    skip("python3-kafka is not installed")

BOUND_S = 15  # a server's own patience ends after ten
DELAYS_MS = [0, 0.2, 0.5, 1, 2, 3, 5, 8, 13, 21, 34, 55] if FULL else [0]
TOGETHER_MS = [0, 0.2, 0.5, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144] * 5 if FULL else [0, 1, 5, 30]
START_MS = list(range(0, 60, 2)) * 2 if FULL else [0, 3, 8, 15, 25, 40]
MB = 1 << 20


def frame(body):
    return struct.pack(">i", len(body)) + body


class Peer:
    """A connection that sends what it is given and takes in what comes, until the end."""

    def __init__(self, port, first=b"", deaf=False, framed=True, receive_buffer=None, on_frame=None):
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(scaled(10))
        self.socket.connect(("127.0.0.1", port))
        self.socket.setblocking(False)
        self.unsent, self.got, self.frames = b"", b"", []
        self.deaf, self.slow, self.framed, self.on_frame = deaf, receive_buffer is not None, framed, on_frame
        self.over, self.reset = False, False
        if first:
            self.send(first)

    def send(self, data):
        """As much as the server takes now; the rest goes along while it is read."""
        self.unsent += data
        with contextlib.suppress(BlockingIOError, BrokenPipeError, ConnectionResetError):
            while self.unsent:
                self.unsent = self.unsent[self.socket.send(self.unsent[:1 << 18]):]

    def read(self):
        """What is there now."""
        self.send(b"")
        try:
            more = self.socket.recv(1 << 18)
        except BlockingIOError:
            return
        except ConnectionResetError:
            self.over = self.reset = True
            return
        if not more:
            self.over = True
            return
        self.got += more
        while self.framed and len(self.got) >= 4 and len(self.got) >= 4 + (size := struct.unpack_from(">i", self.got)[0]):
            self.frames.append(self.got[4:4 + size])
            self.got = self.got[4 + size:]
            if self.on_frame:
                self.on_frame(self.frames[-1])

    def answer(self, count=1):
        """Waits for so many frames in all; the last."""
        def there():
            self.read()
            assert not self.over or len(self.frames) >= count, "the server closed the connection"
            return len(self.frames) >= count

        wait_until(there, f"{count} answers")
        return self.frames[count - 1]


class Scene:
    """A server, what was acknowledged, and the connections of the moment."""

    def __init__(self):
        self.peers = []
        self.count = itertools.count()

    def peer(self, *args, **how):
        self.peers.append(Peer(self.port, *args, **how))
        return self.peers[-1]

    def end(self, name):
        """SIGTERM; serves the connections until all are over."""
        began = time.monotonic()
        process = self.server.process
        process.terminate()
        selector = selectors.DefaultSelector()
        for peer in self.peers:
            if not peer.deaf:
                selector.register(peer.socket, selectors.EVENT_READ, peer)
        while process.poll() is None or selector.get_map():
            assert time.monotonic() - began < scaled(BOUND_S), f"{name}: not over within {BOUND_S} s: {process.poll()}, " \
                f"{len(selector.get_map())} connections left\n{self.server.tail()}"
            for key, _ in selector.select(0.005):
                key.data.read()
                if key.data.over:
                    selector.unregister(key.fileobj)
        took = time.monotonic() - began
        assert process.returncode == 0, f"{name}: ended with {process.returncode}\n{self.server.tail()}"
        for peer in self.peers:
            # A server that closes with bytes of ours unread resets: then what was on its way to us may be cut. So may what a
            # slow reader was sent.
            assert peer.slow or not peer.framed or peer.reset or not peer.got, f"{name}: the last answer is cut after {len(peer.got)} bytes"
            peer.socket.close()
        self.peers = []
        return took

    def at(self, moment, delay_ms=0.0):
        for one in (moment if isinstance(moment, list) else [moment]):
            # A second each, which ends wait for it: together with the others now and then is enough.
            if one is not deaf_reader or moment is one or not next(self.count) % 4:
                one(self)
        if delay_ms:
            deadline = time.monotonic() + delay_ms / 1000
            while time.monotonic() < deadline:
                for peer in self.peers:
                    if not peer.deaf and not peer.over:
                        peer.read()
                time.sleep(0.0002)
        name = "all" if isinstance(moment, list) else moment.__name__
        took = self.end(f"{name} after {delay_ms} ms")
        self.start_again()
        self.check(name)
        return took

    def play(self, moments):
        slowest = (0.0, "")
        for moment, delay in [*itertools.product(moments, DELAYS_MS), *((moments, delay) for delay in TOGETHER_MS)]:
            slowest = max(slowest, (self.at(moment, delay), getattr(moment, "__name__", "all")))
        print(f"{len(moments)} moments, {len(moments) * len(DELAYS_MS) + len(TOGETHER_MS)} ends, the slowest {slowest[0]:.2f} s ({slowest[1]})")


# ------------------------------------------------------------------------------------------ the ensemble

ACL = struct.pack(">iii5si6s", 1, 31, 5, b"world", 6, b"anyone")
CONNECT = frame(struct.pack(">iqiqi", 0, 0, 30_000, 0, 16) + bytes(16))


def path(text):
    return struct.pack(">i", len(text)) + text.encode()


def op(xid, code, body=b""):
    return frame(struct.pack(">ii", xid, code) + body)


def create(xid, at, data=b"", flags=0):
    return op(xid, 1, path(at) + struct.pack(">i", len(data)) + data + ACL + struct.pack(">i", flags))


class EnsembleScene(Scene):
    def __init__(self):
        super().__init__()
        self.admin, = free_ports(1)
        self.ensemble = Ensemble(extra=f"admin.enableServer=true\nadmin.serverAddress=127.0.0.1\nadmin.serverPort={self.admin}\n"
                                       "snapCount=100\npreAllocSize=64\nglobalOutstandingLimit=20\ntickTime=2000\n")
        self.port = self.ensemble.port
        self.acknowledged, self.kept = set(), []
        s = self.session()
        s.send(create(1, "/fat", bytes(900_000)) + create(2, "/w"))
        s.answer(3)
        s.socket.close()
        self.peers = []

    @property
    def server(self):
        return self.ensemble.server

    def session(self, **how):
        s = self.peer(CONNECT, **how)
        s.answer()
        return s

    def writer(self, burst):
        """Creates without waiting for answers; what is answered with 0 is there for good."""
        names = {}

        def on_frame(answer):
            xid, _, error = struct.unpack_from(">iqi", answer)
            if xid in names and error == 0:
                self.acknowledged.add(names[xid])

        s = self.session()
        s.on_frame = on_frame
        for xid in range(1, burst + 1):
            names[xid] = f"/w/{next(self.count)}"
        s.send(b"".join(create(xid, name) for xid, name in names.items()))
        return s

    def start_again(self):
        self.ensemble.start()

    def check(self, name):
        s = self.session()
        s.send(op(1, 12, path("/w") + b"\0"))
        answer = s.answer(2)
        at, found = 20, set()
        for _ in range(struct.unpack_from(">i", answer, 16)[0]):
            size = struct.unpack_from(">i", answer, at)[0]
            found.add("/w/" + answer[at + 4:at + 4 + size].decode())
            at += 4 + size
        lost = self.acknowledged - found
        assert not lost, f"{name}: {len(lost)} acknowledged nodes are lost, e.g. {sorted(lost)[:5]}"
        # A session that was not closed outlives the server and is taken up again.
        for session in self.kept:
            again = self.peer(frame(struct.pack(">iqi", 0, 0, 30_000) + session + b"\0"))
            assert again.answer()[8:16] == session[:8], f"{name}: a session is gone"
            again.send(op(1, -11))
            again.answer(2)
        self.kept = []
        for peer in self.peers:
            peer.socket.close()
        self.peers = []


def silent(scene):
    scene.peer()


def half_a_handshake(scene):
    scene.peer(CONNECT[:20])


def handshake_on_its_way(scene):
    for _ in range(5):
        scene.peer(CONNECT)


def half_a_frame(scene):
    scene.session().send(create(1, "/half")[:-3])


def a_length_alone(scene):
    scene.session().send(struct.pack(">i", MB - 1))


def waiting_for_the_disk(scene):
    scene.writer(300)


def behind_the_limit(scene):
    """More requests than may be outstanding, of many connections."""
    for _ in range(20):
        scene.writer(20)


def reads_behind_writes(scene):
    s = scene.writer(20)
    s.send(b"".join(op(100 + i, 4, path("/w") + b"\0") for i in range(50)) + op(200, 9, path("/w")))


def deaf_reader(scene):
    s = scene.session(receive_buffer=4096)
    s.deaf = True
    s.send(op(1, 4, path("/fat") + b"\0") * 20)


def slow_reader(scene):
    scene.session(receive_buffer=4096).send(op(1, 4, path("/fat") + b"\0") * 3)


def watches_set(scene):
    """Of every kind; one of them fires while the server ends."""
    s = scene.session()
    at = f"/w/{next(scene.count)}"
    s.send(op(1, 3, path(at) + b"\1") + op(2, 8, path("/w") + b"\1") + op(3, 4, path("/fat") + b"\1") +
           op(4, 106, path("/w") + struct.pack(">i", 1)))
    s.answer(5)
    scene.session().send(create(1, at))


def multi(scene):
    """Three creates and a check; then one that fails; then a multi of reads."""
    s = scene.session()
    part = lambda code, body: struct.pack(">i?i", code, False, -1) + body
    made = lambda: part(1, path(f"/w/{next(scene.count)}") + struct.pack(">i", 0) + ACL + struct.pack(">i", 0))
    end = struct.pack(">i?i", -1, True, -1)
    s.send(op(1, 14, made() + made() + made() + part(13, path("/w") + struct.pack(">i", -1)) + end) +
           op(2, 14, made() + part(13, path("/nowhere") + struct.pack(">i", -1)) + end) +
           op(3, 22, part(4, path("/w") + b"\0") + part(8, path("/") + b"\0") + end))


def closing_session(scene):
    s = scene.session()
    s.send(create(1, f"/w/{next(scene.count)}", flags=1) + create(2, f"/w/{next(scene.count)}", flags=3) + op(3, -11))


def vanished(scene):
    """With an ephemeral, and its connection reset."""
    s = scene.session()
    s.send(create(1, f"/w/{next(scene.count)}", flags=1))
    s.answer(2)
    s.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.socket.close()
    scene.peers.remove(s)


def kept_session(scene):
    s = scene.session()
    answer = s.frames[0]
    scene.kept.append(answer[8:16] + answer[16:36])


def moving_session(scene):
    """A session whose client comes back on another connection."""
    answer = scene.session().frames[0]
    scene.peer(frame(struct.pack(">iqi", 0, 0, 30_000) + answer[8:36] + b"\0"))


def words(scene):
    for word in (b"ru", b"ruok", b"mntr", b"wchp", b"cons", b"dump"):
        scene.peer(word, framed=False)


def http_requests(scene):
    """Half a request, whole ones on a connection that stays, and a snapshot to be taken."""
    for text in (b"GET /commands/st", b"GET /commands/monitor HTTP/1.1\r\nHost: x\r\n\r\n" * 5, b"GET /commands/snapshot HTTP/1.1\r\n"):
        scene.peers.append(Peer(scene.admin, text, framed=False))


def test_ensemble():
    EnsembleScene().play([silent, half_a_handshake, handshake_on_its_way, half_a_frame, a_length_alone, waiting_for_the_disk, behind_the_limit,
                          reads_behind_writes, deaf_reader, slow_reader, watches_set, multi, closing_session, vanished, kept_session,
                          moving_session, words, http_requests])


# ------------------------------------------------------------------------------------------ the broker

def ask(correlation, api, version, body):
    return frame(struct.pack(">hhi", api, version, correlation) + string("peer") + body)


def produce(correlation, partition, records, acks=-1):
    return ask(correlation, 0, 7, string(None) + struct.pack(">hi", acks, 30_000) +
               array([string("t") + array([struct.pack(">ii", partition, len(records)) + records])]))


def fetch(correlation, offset, wait_ms=0, least=1, most=50 * MB, partition=0, topic="t"):
    return ask(correlation, 1, 4, struct.pack(">iiiib", -1, wait_ms, least, most, 0) +
               array([string(topic) + array([struct.pack(">iqi", partition, offset, most)])]))


@functools.lru_cache(4)
def batch_of(value):
    return batch([(1, b"k", value, [])])


class BrokerScene(Scene):
    def __init__(self):
        super().__init__()
        self.metrics, = free_ports(1)
        self.ensemble = ensemble_of_choice()
        self.broker = Broker(f"127.0.0.1:{self.ensemble.port}", extra=f"ottla.metrics.port={self.metrics}\nlog.flush.interval.messages=1\n"
                             "socket.request.max.bytes=4000000\nqueued.max.request.bytes=4000000\ngroup.min.session.timeout.ms=1000\nlog.segment.bytes=1000000\n")
        self.port = self.broker.port
        self.acknowledged, self.committed, self.created = {}, -1, set()
        wire = Wire(self.broker.bootstrap)
        wire.create("t", 3)
        wait_until(lambda: all(has_leader(self.port, "t", p) for p in range(3)), "leaders")
        for i in range(20):
            assert wire.produce("t", 2, batch_of(bytes(700_000)))[0] == 0
        wait_until(lambda: wire.coordinator("g") == 0, "coordinator")
        wait_until(lambda: not isinstance(wire.committed("g"), int), "offsets loaded")
        wire.close()

    @property
    def server(self):
        return self.broker.server

    def start_again(self):
        self.broker.start()
        wait_until(lambda: all(has_leader(self.port, "t", p) for p in range(3)), "leaders", server=self.server)

    def producer(self, burst, partition=0, size=100):
        values = {}

        def on_frame(answer):
            correlation, = struct.unpack_from(">i", answer)
            error, offset = struct.unpack_from(">hq", answer, 4 + 4 + 3 + 4 + 4)
            if error == 0:
                self.acknowledged[partition, offset] = values[correlation]

        s = self.peer(on_frame=on_frame)
        for i in range(burst):
            values[i] = bytes(size) if size > 1000 else b"%d " % next(self.count) + bytes(size)
        s.send(b"".join(produce(i, partition, batch_of(value)) for i, value in values.items()))
        return s

    def check(self, name):
        wire = Wire(self.broker.bootstrap, timeout=scaled(30))
        for (partition, start), values in sorted(self.acknowledged.items()):
            error, _, _, _, _, data = wire.fetch("t", partition, start)
            records = [r for b in batches_of(data)[:1] for r in DefaultRecordBatch(b[3])] if error == 0 else []
            found = [(r.offset, r.value) for r in records]
            assert found == [(start, values)], f"{name}: record {start} of t-{partition} is lost or another: {error} {found!r:.80}"
        self.acknowledged = {}
        wait_until(lambda: wire.coordinator("g") == 0, "coordinator")
        found = wait_until(lambda: None if isinstance(f := wire.committed("g"), int) else (f, ), "offsets loaded")[0]
        assert found.get(("t", 0), (-1,))[0] >= self.committed, f"{name}: committed {found}, {self.committed} was acknowledged"
        for topic in self.created:
            wait_until(lambda: has_leader(self.port, topic), f"{name}: topic {topic} was acknowledged")
        self.created = set()
        wire.close()


def half_a_length(scene):
    scene.peer(b"\0\0")


def half_a_request(scene):
    scene.peer(ask(1, 3, 1, array([string("t")]))[:-2])


def promised_much(scene):
    scene.peer(struct.pack(">i", 3 * MB) + bytes(1000))


def acks_waiting_for_the_disk(scene):
    for partition in (0, 1):
        scene.producer(100, partition)


def behind_queued_bytes(scene):
    """More bytes of requests than may be held, so that connections are not read for a while."""
    for _ in range(8):
        scene.producer(2, 1, size=700_000)


@functools.lru_cache(1)
def bomb():
    """Small on the wire, 60 MB when it is opened, which is done on another thread."""
    packed = gzip.compress(bytes(60 * MB), 9)
    made = bytearray(batch([(1, b"k", b"v", [])]))[:61] + packed
    made[8:12] = struct.pack(">i", len(made) - 12)
    made[21:23] = struct.pack(">h", 1)
    made[17:21] = struct.pack(">I", calc_crc32c(bytes(made[21:])))
    return bytes(made)


def opening_bombs(scene):
    """Record sets that open to so much that they are opened beside the loop, some behind each other."""
    for _ in range(3):
        scene.peer(produce(1, 0, bomb()) + produce(2, 1, bomb()))


def long_poll(scene):
    """Waits for records of t-1 that never come, another for some that may."""
    for correlation in range(3):
        scene.peer(fetch(correlation, 0, 30_000, 40 * MB))
    scene.producer(3)


def deaf_fetcher(scene):
    s = scene.peer(receive_buffer=4096, deaf=True)
    s.send(b"".join(fetch(i, 0, partition=2) for i in range(20)))


def slow_fetcher(scene):
    scene.peer(receive_buffer=4096).send(fetch(1, 0, partition=2))


def join(correlation, group, timeout_ms=60_000):
    return ask(correlation, 11, 2, string(group) + struct.pack(">ii", 10_000, timeout_ms) + string("") + string("consumer") +
               array([string("range") + struct.pack(">i", 0)]))


def joining_group(scene):
    """One member leads a generation, a second waits for it to come back."""
    group = f"g{next(scene.count)}"
    first = scene.peer(join(1, group))
    first.answer()
    scene.peer(join(1, group))


def syncing_group(scene):
    """A member that leads and never gives assignments keeps its follower's SyncGroup waiting."""
    group = f"g{next(scene.count)}"
    first = scene.peer(join(1, group))
    answer = first.answer()
    at = 4 + 4 + 2
    generation, = struct.unpack_from(">i", answer, at)
    size, = struct.unpack_from(">h", answer, at + 4)
    at += 6 + size  # past the protocol
    size, = struct.unpack_from(">h", answer, at)
    at += 2 + size  # past the leader
    size, = struct.unpack_from(">h", answer, at)
    member = answer[at + 2:at + 2 + size].decode()
    first.send(ask(2, 12, 1, string(group) + struct.pack(">i", generation) + string(member)) * 3)  # heartbeats
    first.send(ask(3, 14, 1, string(group) + struct.pack(">i", generation) + string(member) + array([string(member) + struct.pack(">i", 0)])))


def committing(scene):
    def on_frame(answer):
        if answer[-2:] == b"\0\0":
            scene.committed = max(scene.committed, struct.unpack_from(">i", answer)[0])

    s = scene.peer(on_frame=on_frame)
    first = scene.committed + 1
    s.send(b"".join(ask(i, 8, 2, string("g") + struct.pack(">i", -1) + string("") + struct.pack(">q", -1) +
                        array([string("t") + array([struct.pack(">iq", 0, i) + string("")])])) for i in range(first, first + 50)))


def creating_topics(scene):
    names = {i: f"made-{next(scene.count)}" for i in range(4)}

    def on_frame(answer):
        correlation, = struct.unpack_from(">i", answer)
        if answer[-4:-2] == b"\0\0":  # the error, before a null message
            scene.created.add(names[correlation])

    s = scene.peer(on_frame=on_frame)
    s.send(b"".join(ask(i, 19, 1, array([string(name) + struct.pack(">ih", 2, 1) + array([]) + array([])]) + struct.pack(">ib", 10_000, 0))
                    for i, name in names.items()))


def deleting_topics(scene):
    name = f"gone-{next(scene.count)}"
    wire = Wire(scene.broker.bootstrap)
    wire.create(name, 2)
    wire.close()
    scene.peer(ask(1, 20, 1, array([string(name)]) + struct.pack(">i", 10_000)))


def changing_configs(scene):
    scene.peer(b"".join(ask(i, 33, 0, array([struct.pack(">b", 2) + string("t") + array([string("retention.ms") + string(str(10**9 + i))])]) + b"\0")
                        for i in range(5)))


def producer_ids(scene):
    scene.peer(b"".join(ask(i, 22, 0, string(None) + struct.pack(">i", 1000)) for i in range(50)))


def metrics_requests(scene):
    for text in (b"GET /met", b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 3):
        scene.peers.append(Peer(scene.metrics, text, framed=False))


BROKER_MOMENTS = [silent, half_a_length, half_a_request, promised_much, acks_waiting_for_the_disk, behind_queued_bytes, opening_bombs, long_poll, deaf_fetcher,
                  slow_fetcher, joining_group, syncing_group, committing, creating_topics, deleting_topics, changing_configs, producer_ids,
                  metrics_requests]


def test_broker():
    BrokerScene().play(BROKER_MOMENTS)


def test_broker_without_its_ensemble():
    """It is gone, or stands still: the broker cannot say goodbye and ends all the same."""
    scene = BrokerScene()
    ensemble = scene.ensemble.server
    for gone in (False, True):
        for moment in (acks_waiting_for_the_disk, creating_topics, committing):
            moment(scene)
        (ensemble.kill if gone else lambda: ensemble.process.send_signal(signal.SIGSTOP))()
        took = scene.end("gone" if gone else "stands still")
        print(f"{'gone' if gone else 'stands still'}: {took:.2f} s")
        if gone:
            scene.ensemble.start()
        else:
            ensemble.process.send_signal(signal.SIGCONT)
        scene.start_again()
        scene.check("without the ensemble")


# ------------------------------------------------------------------------------------------ starting

def ends_early(command, log, delay_ms, what):
    """Asked before it can listen to signals a process ends by the signal, later with 0."""
    server = Process(command, log)
    time.sleep(delay_ms / 1000)
    began = time.monotonic()
    code = server.stop(BOUND_S)
    assert code in (0, -signal.SIGTERM), f"{what}: ended with {code} {delay_ms} ms after its start\n{server.tail()}"
    return time.monotonic() - began


def test_starting():
    """At stepwise moments of a start: a first one, one with data, and a broker's whose ensemble is silent or not there."""
    ensemble, nobody = Ensemble(), free_ports(1)[0]
    silent_port = socket.socket()
    silent_port.bind(("127.0.0.1", 0))
    silent_port.listen(100)
    slowest = 0.0
    for i, delay in enumerate(START_MS):
        delay = scaled(delay)
        d = tmp_dir()
        for kind in ("zookeeper", "broker", "mute", "alone", "standalone"):
            config = os.path.join(d, kind)
            with open(config, "w") as f:
                if kind == "zookeeper":
                    f.write(f"dataDir={d}/zk\nclientPort={free_ports(1)[0]}\nadmin.enableServer=false\n")
                else:
                    at = {"broker": f"{ensemble.port}/{i}", "mute": silent_port.getsockname()[1], "alone": nobody}.get(kind)
                    f.write(f"broker.id=0\nlisteners=PLAINTEXT://127.0.0.1:{free_ports(1)[0]}\nlog.dirs={d}/{kind}-logs\nzookeeper.connect=127.0.0.1:{at}\n")
            command = {"zookeeper": [OTTLA, "zookeeper", config],
                       "standalone": [OTTLA, "standalone", "--data-dir", f"{d}/standalone-data", "--port", "0", "--zookeeper-port", "0"]}.get(kind, [OTTLA, "broker", config])
            for _ in range(2):
                slowest = max(slowest, ends_early(command, os.path.join(d, kind + ".log"), delay, kind))
    print(f"{len(START_MS) * 10} starts ended, the slowest within {slowest:.2f} s")
    silent_port.close()


def test_start_that_fails():
    """A start that comes to nothing after the logs are open closes them clean and leaves no session behind."""
    ensemble, d, port = Ensemble(), tmp_dir(), free_ports(1)[0]
    config, marker = os.path.join(d, "broker"), f"{d}/logs/.kafka_cleanshutdown"
    with open(config, "w") as f:
        f.write(f"broker.id=0\nlisteners=PLAINTEXT://127.0.0.1:{port}\nlog.dirs={d}/logs\nzookeeper.connect=127.0.0.1:{ensemble.port}/fails\n")
    server = Process([OTTLA, "broker", config], config + ".log")
    wait_until(lambda: serves_kafka(port), "broker serves", server=server)
    assert server.stop() == 0 and os.path.exists(marker), server.tail()
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", port))
        other.listen()
        done = run([OTTLA, "broker", config], check=False, timeout=BOUND_S)
    assert done.returncode == 1 and "another program listens there" in done.stderr, (done.returncode, done.stderr)
    assert os.path.exists(marker), done.stdout
    assert not os.path.exists(f"{d}/logs/ottla.session"), "the session was not ended"


def test_hangup():
    """The terminal goes away: an end as by SIGTERM, unless the server was started by nohup."""
    ensemble, d = Ensemble(), tmp_dir()
    for kind in ("zookeeper", "broker", "standalone"):
        port, config = free_ports(1)[0], os.path.join(d, kind)
        with open(config, "w") as f:
            if kind == "zookeeper":
                f.write(f"dataDir={d}/zk\nclientPort={port}\nadmin.enableServer=false\n")
            else:
                f.write(f"broker.id=0\nlisteners=PLAINTEXT://127.0.0.1:{port}\nlog.dirs={d}/logs\nzookeeper.connect=127.0.0.1:{ensemble.port}/hangup\n")
        command = {"standalone": [OTTLA, "standalone", "--data-dir", f"{d}/standalone-data", "--port", str(port), "--zookeeper-port", "0"]}.get(kind, [OTTLA, kind, config])
        serves = serves_sessions if kind == "zookeeper" else serves_kafka
        for before in ([], ["nohup"]):
            inherited = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # this test may itself run below nohup
            server = Process(before + command, config + ".log")
            signal.signal(signal.SIGHUP, inherited)
            wait_until(lambda: serves(port), f"{kind} serves", server=server)
            server.process.send_signal(signal.SIGHUP)
            if before:
                assert serves(port), f"{kind}: {server.tail()}"
                server.process.terminate()
            code = server.process.wait(scaled(BOUND_S))
            assert code == 0, f"{kind}: ended with {code}\n{server.tail()}"


main(test_ensemble, test_broker, test_broker_without_its_ensemble, test_starting, test_start_that_fails, test_hangup)
