"""Log directories both ways: one directory, one ensemble, opened in turn by our broker and by Apache Kafka 3.9, after clean
ends and after kill -9 in the middle of writes. What clients can see of it must not change at a handover: every batch byte for
byte, offsets, times, leader epochs, log start, producers and their sequences, committed offsets, groups. DumpLogSegments
reads all of it in between.

The short form is one round trip; `--full` crosses more often and kills in the middle of a load. OTTLA_SEED: the records."""
import glob, json, random, re, threading
from harness import *

try:
    from kazoo.client import KazooClient
    import wire
    from wire import Wire, batch, legacy_batch, read_all
except ImportError:
    skip("python3-kafka or python3-kazoo is not installed")

peers()
kcat = need("kcat")
SEED = int(os.environ.get("OTTLA_SEED", "1"))
EXTRA = ("zookeeper.session.timeout.ms=15000\nauto.create.topics.enable=false\nlog.flush.start.offset.checkpoint.interval.ms=200\n"
         "log.initial.task.delay.ms=100\nlog.index.interval.bytes=512\nlog.segment.delete.delay.ms=100\nlog.cleaner.backoff.ms=200\nlog.retention.check.interval.ms=1000\nlog.cleaner.enable=false\n"
         "transaction.state.log.num.partitions=2\nlog.cleaner.dedupe.buffer.size=4000000\n")
TOPICS = {
    "codecs": {"segment.bytes": "20000", "retention.ms": "-1"},
    "idem": {"segment.bytes": "20000"},
    "stamped": {"message.timestamp.type": "LogAppendTime"},
    "stamped-packed": {"message.timestamp.type": "LogAppendTime", "compression.type": "gzip"},
    "cut": {"segment.bytes": "15000", "retention.ms": "-1"},
    "old": {"retention.ms": "-1", "segment.bytes": "20000"},
    "large": {"segment.bytes": "2000000", "retention.ms": "-1"},
    "keys": {"cleanup.policy": "compact", "segment.bytes": "15000", "min.cleanable.dirty.ratio": "0.01", "segment.ms": "600000"},
    "empty": {},
}


class Crossing:
    """The directory, the ensemble, and whichever broker has it open."""

    def __init__(self, ensemble=None):
        self.ensemble = ensemble or Ensemble(extra="tickTime=500\n")
        self.zookeeper = f"127.0.0.1:{self.ensemble.port}"
        self.directory, self.port = tmp_dir(), free_ports(1)[0]
        self.rng = random.Random(SEED)
        self.extra, self.broker, self.wire, self.topics = EXTRA, None, None, dict(TOPICS)
        self.producers, self.clock, self.groups = {}, 1_500_000_000_000, ["offsets-only", "readers"]

    def open(self, kind, extra=""):
        self.kind = kind
        self.broker = kind(self.zookeeper, self.directory, self.port, extra=self.extra + extra)
        wait_until(lambda: all(has_leader(self.port, t) for t in self.partitions()), "leaders", 30, self.broker.server)
        self.wire = Wire(self.broker.bootstrap)
        if "__consumer_offsets" in self.partitions():
            for group in self.groups:
                wait_until(lambda: self.wire.coordinator(group) == 0 and self.wire.group(group)[0] == 0, "groups loaded", 20)
        return self

    def close(self, end="stop"):
        self.wire.close()
        getattr(self.broker.server, end)()
        if end == "kill":
            self.end_ghost()

    def end_ghost(self):
        """Apache's broker refuses to start beside its own ghost, and ours beside Apache's. As if its session were over: that takes
        its timeout, which is long here, since a busy machine lets Java's sessions expire."""
        with self.zk() as zk:
            for path in ("/brokers/ids/0", "/controller"):
                if zk.exists(path):
                    zk.delete(path)

    @contextlib.contextmanager
    def zk(self):
        client = KazooClient(hosts=self.zookeeper, timeout=10)
        client.start()
        try:
            yield client
        finally:
            client.stop()
            client.close()

    def tree(self):
        """Every lasting znode but ZooKeeper's own: data and the whole Stat."""
        found = {}
        with self.zk() as zk:
            def walk(path):
                data, stat = zk.get(path)
                if stat.ephemeralOwner == 0:
                    # The parents of ephemerals change with them.
                    found[path] = (data, stat) if path not in ("/", "/brokers/ids") else data
                for child in zk.get_children(path):
                    if child != "zookeeper":
                        walk("/" + child if path == "/" else f"{path}/{child}")
            walk("/")
        return found

    def bump_epochs(self):
        """As if each leader had been elected again while no broker ran."""
        with self.zk() as zk:
            for topic, partition in self.all():
                path = f"/brokers/topics/{topic}/partitions/{partition}/state"
                state = json.loads(zk.get(path)[0])
                state["leader_epoch"] += 1
                zk.set(path, json.dumps(state, separators=(",", ":")).encode())

    def partitions(self):
        """Topic: partition count, of the directories."""
        found = {}
        for path in glob.glob(f"{self.directory}/logs/*-[0-9]*"):
            if not path.endswith("-delete"):
                found.setdefault(os.path.basename(path).rsplit("-", 1)[0], []).append(int(path.rsplit("-", 1)[1]))
        return found

    def all(self):
        return sorted((t, p) for t, ps in self.partitions().items() for p in ps)

    # ------------------------------------------------------------------------------------ writing
    def records(self, count, now=False, keys=True):
        made = []
        for _ in range(count):
            self.clock += self.rng.randrange(0, 50)
            key = None if keys and self.rng.random() < .2 else f"k{self.rng.randrange(40)}".encode()
            value = None if keys and self.rng.random() < .1 else "".join(self.rng.choices("abcdefgh", k=self.rng.randrange(0, 60))).encode() * 4
            headers = [(f"h{i}", self.rng.choice([None, b"", b"v" * 20])) for i in range(self.rng.choice([0, 0, 0, 1, 3]))]
            made.append((int(time.time() * 1000) if now else self.clock, key, value, headers))
        return made

    def must(self, answer):
        assert answer[0] == 0, answer
        return answer[1]

    def create_topics(self):
        for topic, config in self.topics.items():
            self.wire.create(topic, 1, config)
        wait_until(lambda: all(has_leader(self.port, t) for t in self.topics), "topics", 30)
        for group in self.groups:
            wait_until(lambda: self.wire.coordinator(group) == 0, "coordinator", 30)

    def fill(self):
        """One lot of everything, to whoever is there."""
        w, rng = self.wire, self.rng
        for topic in ("codecs", "stamped", "stamped-packed", "cut"):
            for codec in wire.CODECS:
                for _ in range(4):
                    self.must(w.produce(topic, 0, batch(self.records(rng.randrange(1, 30)), codec)))
        for magic in (0, 1):
            for codec in ("none", "gzip", "snappy", "lz4")[:3 + magic]:
                self.must(w.produce("old", 0, legacy_batch(self.records(rng.randrange(1, 30)), magic, codec), version=2))
        self.must(w.produce("large", 0, batch([(self.clock, b"k", rng.randbytes(450_000).hex().encode(), [])])))
        for _ in range(30):
            self.must(w.produce("keys", 0, batch(self.records(20, now=True, keys=False), rng.choice(["none", "gzip", "lz4"]))))
        for i in range(4):
            self.go_on(i)
        start, end = w.offset_at("cut", 0, -2)[2], w.offset_at("cut", 0, -1)[2]
        cut = rng.randrange(start, end)
        assert w.delete_records("cut", 0, cut) == cut
        for i in range(3):
            w.commit(f"offsets-only", {("codecs", 0): (rng.randrange(1000), rng.choice([-1, 0]), f"note {i}"), ("cut", 0): (rng.randrange(1000), -1, "")})
        run([kcat, "-q", "-C", "-b", self.broker.bootstrap, "-X", "auto.offset.reset=earliest", "-X", "session.timeout.ms=30000", "-f", "%t %o\\n", "-e", "-G", "readers", "codecs", "idem"],
            timeout=60)
        # A group that is left stable: its member dies without a word.
        group = f"stable-{len(self.groups)}"
        member = subprocess.Popen([kcat, "-q", "-b", self.broker.bootstrap, "-X", "session.timeout.ms=600000", "-X", "max.poll.interval.ms=600000", "-X", "auto.offset.reset=earliest", "-f", "%o\n",
                                   "-G", group, "idem", "stamped"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            wait_until(lambda: w.coordinator(group) == 0 and w.group(group)[1] == "Stable", "a stable group", 30)
        finally:
            member.kill()
            member.wait()
        self.groups.append(group)
        # What DeleteRecords did must not hang on the moment of a kill: the checkpoint has it.
        checkpoint = f"{self.directory}/logs/log-start-offset-checkpoint"
        wait_until(lambda: os.path.exists(checkpoint) and f"cut 0 {cut}" in open(checkpoint).read(), "log start checkpoint")

    def go_on(self, i):
        """Producer i goes on with its sequence; its last batch again is known; a gap is refused."""
        w = self.wire
        if i not in self.producers:
            error, pid, epoch = wait_until(lambda: (got := w.init_producer()) and got[0] == 0 and got, "a producer id")
            self.producers[i] = [(pid, epoch), 0, None]
        producer, sequence, last = self.producers[i]
        if last:
            assert w.produce("idem", 0, last[0]) == (0, last[1]), f"producer {i}: a known batch is told its offset again"
            assert w.produce("idem", 0, batch(self.records(1, now=True), "none", producer, sequence + 7))[0] == 45, "a gap is out of order"
        for _ in range(3):
            records = self.records(self.rng.randrange(1, 20), now=True)
            made = batch(records, self.rng.choice(list(wire.CODECS)), producer, sequence)
            offset = self.must(w.produce("idem", 0, made))
            sequence += len(records)
        self.producers[i][1:] = [sequence, (made, offset)]

    # ------------------------------------------------------------------------------------ looking
    def picture(self):
        w, seen = self.wire, {}
        for tp in self.all():
            name = f"{tp[0]}-{tp[1]}"
            batches, _ = read_all(w, *tp)
            ends = w.fetch(*tp, w.offset_at(*tp, -2)[2])[:4]
            times = sorted({struct.unpack_from(">q", b[3], at)[0] for b in batches if b[2] == 2 for at in (27, 35)} |
                           {struct.unpack_from(">q", b[3], 18)[0] for b in batches if b[2] == 1})
            times = [t for t in times if t >= 0]  # -1 would ask for the end
            seen[name, "ends"] = ends
            seen[name, "batches"] = batches
            seen[name, "aborted"] = read_all(w, *tp, committed=True)[1]
            seen[name, "offsets"] = [w.offset_at(*tp, t) for t in (-2, -1, -3)]
            seen[name, "times"] = [(t + d, w.offset_at(*tp, t + d)) for t in times[::max(1, len(times) // 40)] for d in (0, 1)]
            seen[name, "epochs"] = [w.epoch_end(*tp, e) for e in range(8)]
            seen[name, "producers"] = w.producers(*tp)
        for group in self.groups:
            seen[group, "committed"] = w.committed(group)
            seen[group, "group"] = w.group(group)
        return seen

    def clients_see(self):
        """What kcat and the Java consumer print of the records."""
        seen = {}
        for topic in ("codecs", "idem", "stamped", "stamped-packed", "old", "cut"):
            seen[topic, "kcat"] = run([kcat, "-q", "-C", "-b", self.broker.bootstrap, "-t", topic, "-e", "-o", "beginning", "-f", "%o %T %k %S %s %h\n"]).stdout
            end, start = self.wire.offset_at(topic, 0, -1)[2], self.wire.offset_at(topic, 0, -2)[2]
            seen[topic, "java"] = run(java_command(
                "org.apache.kafka.tools.consumer.ConsoleConsumer", "--bootstrap-server", self.broker.bootstrap, "--topic", topic, "--from-beginning",
                "--max-messages", str(end - start), "--timeout-ms", "30000",
                *(f"--property=print.{what}=true" for what in ("timestamp", "key", "offset", "headers", "epoch"))), timeout=90).stdout
            for what in ("kcat", "java"):
                assert seen[topic, what].count("\n") == end - start, (topic, what, start, end)
        return seen

    def handover(self, end, kind, before=None, bump=False, extra="", skip=()):
        """Ends who has the directory, opens it with the other: the picture is the same."""
        before = before or self.picture()
        was = self.kind.__name__
        self.close(end)
        if end == "stop" or self.kind is Broker:  # the tool dies of the preallocated index of Apache's own empty segment
            dump(self.directory, f"after {end} of {was}")
        if bump:
            self.bump_epochs()
        said = self.broker.server.log
        size = os.path.getsize(said)
        self.open(kind, extra)
        after = self.picture()
        with open(said) as f:
            f.seek(size)
            errors = [line for line in f if " ERROR " in line or " error [" in line]
        assert end == "kill" or not errors, f"after a clean end of {was}: {errors[:5]}"
        compare(before, after, f"{was}, {end} -> {kind.__name__}", bump, skip)
        return after


def brief(value):
    text = repr(value)
    return text if len(text) < 1500 else text[:700] + " ... " + text[-700:]


def compare(before, after, what, bump=False, skip=()):
    wrong = []
    for key in sorted((set(before) | set(after)) - set(skip), key=str):
        a, b = before.get(key), after.get(key)
        if bump and key[1] == "epochs" and a and b:  # the newest epoch's number has grown by one
            a, b = [e[2] for e in a if e[2] >= 0], [e[2] for e in b if e[2] >= 0]
            b = b[:len(a)]
        if bump and key[1] == "offsets" and a and b:
            a, b = [o[:3] for o in a], [o[:3] for o in b]
        if a == b:
            continue
        if isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
            at = [i for i in range(len(a)) if a[i] != b[i]]
            wrong.append(f"{key}: {len(at)} of {len(a)} differ, first {at[0]}:\n   {brief(a[at[0]])}\n   {brief(b[at[0]])}")
        else:
            wrong.append(f"{key}:\n   {brief(a)}\n   {brief(b)}")
    assert not wrong, f"{what}: {len(wrong)} differences (before, after)\n" + "\n".join(wrong[:12])
    print(f"same: {what}: {len(after)} answers", flush=True)


def dump(directory, what):
    """DumpLogSegments over every file of the log directory has nothing to say against any."""
    logs = sorted(glob.glob(f"{directory}/logs/*/*.log"))
    indexes = sorted(glob.glob(f"{directory}/logs/*/*.index") + glob.glob(f"{directory}/logs/*/*.timeindex"))
    snapshots = sorted(glob.glob(f"{directory}/logs/*/*.snapshot"))
    tool = "kafka.tools.DumpLogSegments"
    done = run(java_command(tool, "--deep-iteration", "--print-data-log", "--files", ",".join(logs + indexes + snapshots), jvm=("-Xss2m",)), timeout=120)
    text = done.stdout
    assert "xception" not in done.stderr, f"{what}: {done.stderr[-2000:]}"
    for bad in ("Found ", "Mismatches", "Non-consecutive", "invalid", "isvalid: false"):
        for line in text.splitlines():
            if bad in line:
                raise AssertionError(f"{what}: DumpLogSegments: {line}\n" + "\n".join(text.splitlines()[-20:]))
    assert text.count("Dumping ") == len(logs + indexes + snapshots), text[-2000:]
    if indexes:  # a broker of ours that is killed young has none yet
        sane = run(java_command(tool, "--index-sanity-check", "--files", ",".join(indexes)), timeout=120)
    for path in indexes:
        assert f"{path} passed sanity check." in sane.stdout or f"{path} is empty." in sane.stdout, f"{what}: {path}: {sane.stdout[-2000:]} {sane.stderr[-2000:]}"
    offsets = [f for f in logs if "__consumer_offsets" in f]
    if FULL and any(map(os.path.getsize, offsets)):
        decoded = run(java_command(tool, "--offsets-decoder", "--files", ",".join(offsets)), timeout=120).stdout
        for wanted in ("offset_commit::group=offsets-only" if "offset_commit::" in decoded else "offsets-only", "readers"):
            assert wanted in decoded, f"{what}: no {wanted} in {decoded[-3000:]}"


def test_round_trip():
    c = Crossing().open(Broker)
    c.create_topics()
    c.fill()
    if FULL:
        c.handover("stop", ApacheBroker)
        c.fill()
        c.handover("kill", Broker, bump=True)
        c.fill()
    c.handover("kill", ApacheBroker)
    c.fill()
    if FULL:
        clients = c.clients_see()
    c.handover("stop", Broker, bump=not FULL)
    if FULL:
        assert c.clients_see() == clients, "a client sees other records"
        c.fill()
        c.handover("stop", Broker)
    c.close()


def test_what_only_apache_writes():
    """Transactions (committed, aborted, open), compacted segments with gaps and empty batches, message formats 0 and 1: written by
    Apache, killed or ended, opened by ours, written on, and given back."""
    c = Crossing()
    c.topics = {"txn": {"segment.bytes": "15000"}, "keys": TOPICS["keys"], "old0": {"message.format.version": "0.9.0", "retention.ms": "-1"},
                "old1": {"message.format.version": "0.10.2", "retention.ms": "-1", "segment.bytes": "15000"},
                "stamped1": {"message.format.version": "0.10.2", "message.timestamp.type": "LogAppendTime"}}
    old = "inter.broker.protocol.version=2.8\nlog.message.format.version=2.8\n"
    c.extra = EXTRA.replace("log.cleaner.enable=false\n", "")
    c.open(ApacheBroker, old)
    c.create_topics()
    w = c.wire
    wait_until(lambda: w.coordinator("t0", 1) == 0 and w.init_producer("t0")[0] == 0, "transaction coordinator", 30)
    for i in range(12):
        name = f"t{i % 4}"
        made = wait_until(lambda: (got := w.init_producer(name)) and got[0] == 0 and got, "a producer", 30)
        pid, epoch = made[1:]
        wait_until(lambda: w.add_to_txn(name, (pid, epoch), "txn", 0) == 0, "partition in the transaction", 30)
        c.must(w.produce_txn(name, "txn", 0, batch(c.records(20, now=True), c.rng.choice(["none", "lz4"]), (pid, epoch), 0, True)))
        c.must(w.produce("txn", 0, batch(c.records(5, now=True))))
        if i < 10:  # the last two stay open
            assert w.end_txn(name, (pid, epoch), i % 3 != 0) == 0
    for magic, topic in ((0, "old0"), (1, "old1"), (1, "stamped1")):
        for codec in ("none", "gzip", "snappy", "lz4")[:3 + magic] * 3:
            c.must(w.produce(topic, 0, legacy_batch(c.records(c.rng.randrange(1, 25)), magic, codec), version=2))
    error, pid, epoch = wait_until(lambda: (got := w.init_producer()) and got[0] == 0 and got, "a producer id")
    sequence = 0
    for i in range(60):
        c.must(w.produce("keys", 0, batch(c.records(20, now=True, keys=False), c.rng.choice(["none", "gzip", "lz4"]), (pid, epoch), sequence)))
        sequence += 20
        if i == 40:
            time.sleep(.5)
    wait_until(lambda: len([b for b in read_all(w, "keys", 0)[0]]) < 50, "compaction", 30, c.broker.server)
    settled = lambda: (a := read_all(w, "keys", 0)) == (time.sleep(1), read_all(w, "keys", 0))[1]
    wait_until(settled, "compaction at rest", 60)
    magics = {b[2] for t in ("old0", "old1", "stamped1") for b in read_all(w, t, 0)[0]}
    assert magics == {0, 1}, magics
    seen = c.picture()
    assert seen["txn-0", "aborted"] and seen["txn-0", "ends"][2] < seen["txn-0", "ends"][1], "aborted and open transactions"
    # A broker of the old protocol keeps no epochs for old formats, nor finds the largest time in format 0.
    c.handover("kill", Broker, skip=[(f"{t}-0", k) for t in ("old0", "old1", "stamped1") for k in ("epochs", "offsets")])
    c.must(c.wire.produce("keys", 0, batch(c.records(20, now=True, keys=False), "none", (pid, epoch), sequence)))
    for topic in ("old0", "old1", "stamped1", "txn"):
        c.must(c.wire.produce(topic, 0, batch(c.records(3))))
    c.extra = EXTRA
    c.handover("kill", Broker)
    c.handover("kill", ApacheBroker)
    c.handover("kill", Broker)
    c.handover("stop", ApacheBroker)
    c.handover("stop", Broker)
    c.close()


class Load(threading.Thread):
    """One idempotent producer on one partition that writes until the connection breaks, and goes on where it stopped."""

    def __init__(self, crossing, topic):
        super().__init__(daemon=True)
        self.crossing, self.topic, self.acked, self.open_batch = crossing, topic, [], None
        wire = Wire(crossing.broker.bootstrap)
        self.producer, self.sequence = wait_until(lambda: (got := wire.init_producer()) and got[0] == 0 and got, "a producer id")[1:], 0
        wire.close()

    def again(self):
        """A thread runs once; the producer lives on."""
        threading.Thread.__init__(self, daemon=True)
        self.wire = Wire(self.crossing.broker.bootstrap)
        self.start()

    def run(self):
        rng = random.Random(self.sequence)
        with contextlib.suppress(OSError, struct.error):
            while True:
                if not self.open_batch:
                    records = [(int(time.time() * 1000), b"k", rng.randbytes(rng.randrange(1, 60)).hex().encode(), [])] * rng.randrange(1, 30)
                    self.open_batch = (batch(records, rng.choice(list(wire.CODECS)), self.producer, self.sequence), len(records))
                error, offset = self.wire.produce(self.topic, 0, self.open_batch[0])
                assert error == 0, error
                self.acked.append((offset, self.open_batch[0][17:]))
                self.sequence += self.open_batch[1]
                self.open_batch = None

    def check(self):
        found = {b[0]: b[3][17:] for b in read_all(self.crossing.wire, self.topic, 0)[0]}
        for offset, body in self.acked:
            assert found.get(offset) == body, f"{self.topic}: an acknowledged batch at {offset} is lost or not the same"
        extra = [o for o in found if o not in {offset for offset, _ in self.acked}]
        assert len(extra) <= 1 and all(self.open_batch and found[o] == self.open_batch[0][17:] for o in extra), (self.topic, extra)


def test_killed_while_writing():
    """Whoever has the directory is killed under load, again and again; the other goes on, and the producers with it."""
    c = Crossing().open(Broker)
    c.topics = {f"load{i}": {"segment.bytes": str(40_000 + 60_000 * i)} for i in range(3)}
    c.create_topics()
    loads = [Load(c, topic) for topic in c.topics]
    for lap in range(int(os.environ.get("OTTLA_CROSSINGS", "8"))):
        for load in loads:
            load.again()
        before = [len(load.acked) for load in loads]
        wait_until(lambda: all(len(load.acked) > was + 60 for load, was in zip(loads, before)), "load", 60, c.broker.server)
        time.sleep(c.rng.random() / 5)
        c.close("kill")
        for load in loads:
            load.join(30)
        if c.kind is Broker:
            dump(c.directory, "killed under load")
        c.open(ApacheBroker if c.kind is Broker else Broker)
        for load in loads:
            load.check()
    print("acknowledged batches:", [len(load.acked) for load in loads])
    c.handover("stop", ApacheBroker if c.kind is Broker else Broker)
    c.close()


def test_whole_stack():
    """Both directories, the ensemble's and the broker's, killed or ended together and opened by the other pair; and mixed pairs."""
    c = Crossing().open(Broker)
    c.create_topics()
    ours, theirs = Ensemble, (lambda **how: ApacheEnsemble("3.9", **how))
    for end, ensemble, broker in (("stop", theirs, ApacheBroker), ("kill", ours, Broker), ("kill", theirs, Broker), ("kill", ours, ApacheBroker),
                                  ("kill", theirs, ApacheBroker), ("stop", ours, Broker)):
        c.fill()
        before, was, tree = c.picture(), f"{c.kind.__name__} on {type(c.ensemble).__name__}", c.tree()
        c.wire.close()
        for server in (c.broker.server, c.ensemble.server):
            getattr(server, end)()
        c.ensemble = ensemble(directory=c.ensemble.directory, port=c.ensemble.port, extra="tickTime=500\n")
        assert c.tree() == tree, "the znodes are not the same"
        c.end_ghost()
        c.open(broker)
        compare(before, c.picture(), f"{was}, {end} -> {broker.__name__} on {type(c.ensemble).__name__}")
    c.close()


def test_same_bytes():
    """The same requests to ours and to Apache's: the same segments, indexes, producer snapshots and epoch files, byte for byte."""
    made = {}
    for kind in (Broker, ApacheBroker):
        c = Crossing()
        c.topics = {t: TOPICS[t] for t in ("codecs", "idem", "old", "large", "keys", "empty")}
        c.open(kind)
        c.create_topics()
        w, rng = c.wire, random.Random(SEED)
        now = 1_795_000_000_000  # the same for both; days ago, but neither looks for expired producers that soon
        for i in range(150):
            records = [(now + 10 * i + rng.randrange(0, 9), b"k%d" % rng.randrange(30), rng.randbytes(rng.randrange(0, 300)), []) for _ in range(rng.randrange(1, 20))]
            c.must(w.produce("codecs", 0, batch(records, rng.choice(list(wire.CODECS)))))
            c.must(w.produce("keys", 0, batch(records, rng.choice(list(wire.CODECS)))))
            c.must(w.produce("idem", 0, batch(records[:5], rng.choice(list(wire.CODECS)), (40 + i % 7, 0), 0 if i < 7 else c.producers[i % 7])))
            c.producers[i % 7] = (0 if i < 7 else c.producers[i % 7]) + len(records[:5])
            if i % 3 == 0:
                c.must(w.produce("old", 0, legacy_batch(records, i % 2), version=2))
        c.must(w.produce("large", 0, batch([(now, b"k", rng.randbytes(900_000), [])])))
        c.close()
        made[kind] = {os.path.relpath(path, c.directory + "/logs"): open(path, "rb").read()
                      for topic in c.topics for path in glob.glob(f"{c.directory}/logs/{topic}-0/*") if not path.endswith("partition.metadata")}
    ours, theirs = made[Broker], made[ApacheBroker]
    differ = sorted(name for name in set(ours) | set(theirs) if ours.get(name) != theirs.get(name))
    text = [f"{n}: ours {len(ours[n]) if n in ours else None}, theirs {len(theirs[n]) if n in theirs else None} bytes" for n in differ]
    assert not differ, "\n".join(text)
    print(f"same: {len(ours)} files, byte for byte", flush=True)


def test_leftovers():
    """What a killed broker leaves to be done: directories to delete, topics to delete, and what it set stands: partitions, configs, ids."""
    slow = "log.segment.delete.delay.ms=3600000\nfile.delete.delay.ms=3600000\n"
    for first, second in ((ApacheBroker, Broker), (Broker, ApacheBroker)):
        c = Crossing()
        c.topics = {"kept": {"segment.bytes": "20000", "min.insync.replicas": "1"}, "doomed": {}, "late": {}}
        c.open(first, slow)
        c.create_topics()
        for topic in c.topics:
            c.must(c.wire.produce(topic, 0, batch(c.records(20))))
        def new_producer():
            return wait_until(lambda: (got := c.wire.init_producer()) and got[0] == 0 and got, "a producer id")[1]

        pids = [new_producer() for _ in range(3)]
        at = ("--bootstrap-server", c.broker.bootstrap)
        tool = lambda main, *args: run(java_command(main, *at, *args), timeout=90).stdout
        tool("org.apache.kafka.tools.TopicCommand", "--alter", "--topic", "kept", "--partitions", "3")
        tool("org.apache.kafka.tools.TopicCommand", "--delete", "--topic", "doomed")
        told = lambda: (tool("org.apache.kafka.tools.TopicCommand", "--describe"), tool("kafka.admin.ConfigCommand", "--describe", "--entity-type", "topics", "--entity-name", "kept"))
        wait_until(lambda: glob.glob(f"{c.directory}/logs/doomed-0.*-delete"), "a directory to delete")
        c.topics = {"kept": c.topics["kept"]}
        before = told()
        c.close("kill")
        with c.zk() as zk:
            zk.create("/admin/delete_topics/late")
        c.kind = second
        c.broker = second(c.zookeeper, c.directory, c.port, extra=c.extra)
        wait_until(lambda: has_leader(c.port, "kept", 2), "leaders", 30, c.broker.server)
        c.wire = Wire(c.broker.bootstrap)
        with c.zk() as zk:
            wait_until(lambda: not zk.exists("/brokers/topics/late") and not zk.exists("/admin/delete_topics/late"), "late is deleted", 30)
        wait_until(lambda: not glob.glob(f"{c.directory}/logs/doomed*") and not glob.glob(f"{c.directory}/logs/late*"), "directories are gone", 60)
        lines = lambda text: sorted(re.sub(r"file.delete.delay.ms=\d+", "", line) for line in text.splitlines() if "late" not in line and "__" not in line)
        after = told()
        assert [lines(t) for t in before] == [lines(t) for t in after], [lines(t) for t in before + after]
        assert new_producer() > max(pids), "producer ids are not given twice"
        c.must(c.wire.produce("kept", 2, batch(c.records(20))))
        print(f"ok: left by {first.__name__}, done by {second.__name__}", flush=True)
        c.close()


main(test_same_bytes, test_round_trip, *([test_what_only_apache_writes, test_leftovers, test_killed_while_writing, test_whole_stack] if FULL else []))
