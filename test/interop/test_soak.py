"""A stack under load for minutes while faults take turns: kill -9, SIGSTOP for longer than a session, full disks and floods of
connections, on the broker and on the ensemble. Checked all along: no acknowledged record or znode is lost, none is written twice
(idempotent producers, one partition each: the sequence in the log has no gap and no repetition), committed offsets never go
back, each fault is over within two seconds of its end (a new connection's write is acknowledged), memory stays flat.

test_soak.py [--minutes M]      default 3: one turn; the log directories are tmpfs of a mount namespace (root)
Servers that end are started again at once, as a service manager would."""
import ctypes, itertools, logging, resource, threading
from harness import *

try:
    import confluent_kafka as ck
    import kazoo.client, kazoo.exceptions
    import wire
except ImportError as e:
    skip(f"{e.name} is not installed")

MINUTES = float(sys.argv[sys.argv.index("--minutes") + 1]) if "--minutes" in sys.argv else 3
PRODUCERS, STOPPED_S, FULL_S, FLOOD_S, CALM_S = 3, 30, 6, 6, 10
OVER_WITHIN_S = 2.0
ending = threading.Event()
logging.disable(logging.ERROR)  # kazoo tells of every lost connection
failures = []


def fail(text):
    failures.append(text)
    print("FAILED:", text, flush=True)
    ending.set()


def guarded(work):
    def body(*args):
        try:
            work(*args)
        except Exception as e:
            traceback.print_exc()
            fail(f"{work.__name__}{args}: {e}")
    return body


class Supervised:
    """Starts a server again when it ends."""

    def __init__(self, name, server_of, start):
        self.name, self.server_of, self.start, self.starts, self.may_end = name, server_of, start, 0, False
        threading.Thread(target=guarded(self.watch), daemon=True).start()

    def watch(self):
        while not ending.is_set():
            server = self.server_of()
            if server.alive():
                ending.wait(0.05)
                continue
            self.starts += 1
            if not self.may_end:
                fail(f"{self.name} ended by itself with {server.process.returncode}: {server.tail(1).strip()}")
            self.start()

    def signal(self, number):
        os.kill(self.server_of().pid, number)

    def resident_mb(self):
        with contextlib.suppress(OSError):
            for line in open(f"/proc/{self.server_of().pid}/status"):
                if line.startswith("VmRSS"):
                    return int(line.split()[1]) / 1024
        return 0.0


def mount_namespace(*sizes):
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(0x00020000) != 0 or libc.mount(None, b"/", None, 1 << 18 | 1 << 14, None) != 0:
        skip("no mount namespace can be made here")
    made = []
    for size in sizes:
        at = tmp_dir()
        if libc.mount(b"tmpfs", at.encode(), b"tmpfs", 0, f"size={size}".encode()) != 0:
            skip("no tmpfs can be mounted here")
        atexit.register(libc.umount2, at.encode(), 2)
        made.append(at)
    return made


# ------------------------------------------------------------------------------------------ load on the broker

@guarded
def produce(bootstrap, partition, acked):
    """acked[partition]: how many records, from the first on, are acknowledged."""
    def delivered(error, message):
        if error:
            fail(f"partition {partition}: not delivered: {error}")
        elif int(message.key()) != acked[partition]:
            fail(f"partition {partition}: {int(message.key())} acknowledged after {acked[partition] - 1}")
        else:
            acked[partition] += 1

    producer = ck.Producer({"bootstrap.servers": bootstrap, "enable.idempotence": True, "message.timeout.ms": 0, "linger.ms": 5, "socket.timeout.ms": 5000,
                            "reconnect.backoff.max.ms": 200, "retry.backoff.ms": 50, "queue.buffering.max.messages": 20000, "log_level": 0,
                            "request.timeout.ms": 5000, "compression.type": ["none", "lz4", "zstd"][partition % 3]})
    for i in itertools.count():
        if ending.is_set():
            break
        while not ending.is_set():
            with contextlib.suppress(BufferError):
                producer.produce("t", partition=partition, key=str(i), value=b"%010d" % i * 30, on_delivery=delivered)
                break
            producer.poll(0.1)
        producer.poll(0)
        if i % 20 == 0:
            ending.wait(0.01)
    if producer.flush(60) and not failures:
        fail(f"partition {partition}: {len(producer)} records neither acknowledged nor refused")


@guarded
def read(bootstrap, seen, stop):
    """seen[partition]: how many records were read; their keys have to be 0, 1, 2, ..."""
    consumer = ck.Consumer({"bootstrap.servers": bootstrap, "group.id": "reader", "enable.auto.commit": False, "auto.offset.reset": "error",
                            "reconnect.backoff.max.ms": 200, "socket.timeout.ms": 5000, "log_level": 0, "fetch.error.backoff.ms": 50})
    consumer.assign([ck.TopicPartition("t", p, 0) for p in range(PRODUCERS)])
    while not stop():
        for message in consumer.consume(1000, 0.2):
            if message.error():
                if message.error().code() == ck.KafkaError._AUTO_OFFSET_RESET or message.error().fatal():
                    fail(f"reader: {message.error()}")
                continue
            p = message.partition()
            if int(message.key()) != seen[p]:
                fail(f"partition {p}: record {int(message.key())} at offset {message.offset()} follows record {seen[p] - 1}")
                return
            seen[p] += 1
    consumer.close()


@guarded
def follow(bootstrap, commits):
    """A member of a group that commits; what the group has committed never goes back."""
    consumer = ck.Consumer({"bootstrap.servers": bootstrap, "group.id": "group", "enable.auto.commit": False, "auto.offset.reset": "earliest",
                            "session.timeout.ms": 6000, "reconnect.backoff.max.ms": 200, "socket.timeout.ms": 5000, "log_level": 0})
    consumer.subscribe(["t"])
    committed = {}
    while not ending.is_set():
        if not consumer.consume(5000, 0.2):
            continue
        with contextlib.suppress(ck.KafkaException):
            for tp in consumer.commit(asynchronous=False) or []:
                if not tp.error:
                    committed[tp.partition] = max(committed.get(tp.partition, 0), tp.offset)
                    commits[0] += 1
        with contextlib.suppress(ck.KafkaException):
            for tp in consumer.committed([ck.TopicPartition("t", p) for p in committed], 5):
                if not tp.error and tp.offset < committed[tp.partition]:
                    fail(f"group: partition {tp.partition} was committed up to {committed[tp.partition]}, now {tp.offset}")
    consumer.close()


# ------------------------------------------------------------------------------------------ load on the ensemble

LOST = (kazoo.exceptions.ConnectionLoss, kazoo.exceptions.SessionExpiredError, kazoo.exceptions.ConnectionClosedError, kazoo.exceptions.OperationTimeoutError)


@guarded
def write_znodes(hosts, worker, writes):
    """Counts up in 50 znodes of its own. A write without an answer may have happened or not: what is read later has to be one of the two."""
    client = kazoo.client.KazooClient(hosts, timeout=8, connection_retry={"max_tries": -1, "delay": 0.05, "max_delay": 0.2})
    client.start(30)
    acked, tried = {}, {}

    def patiently(call, *args):
        while not ending.is_set():
            try:
                return call(*args)
            except LOST:
                ending.wait(0.02)

    patiently(client.ensure_path, f"/soak/{worker}")
    for i in itertools.count():
        if ending.is_set():
            break
        path = f"/soak/{worker}/{i % 50}"
        try:
            if path in tried:  # after a lost answer
                found = patiently(client.exists, path) and patiently(client.get, path)
                if ending.is_set():
                    break
                value = int(found[0]) if found else None
                if value not in (acked.get(path), tried[path]):
                    fail(f"{path} is {value}: {acked.get(path)} was acknowledged, {tried[path]} tried")
                acked[path] = value
                del tried[path]
                if value is None:
                    del acked[path]
            tried[path] = i
            if path not in acked:
                client.create(path, b"%d" % i)
            elif i % 1000 < 50:
                client.delete(path)
                client.create(path, b"%d" % i)
            else:
                client.set(path, b"%d" % i)
            acked[path] = i
            del tried[path]
            writes[worker] += 1
        except LOST:
            # A delete that happened with a create that did not leaves nothing: both are allowed for this path.
            if i % 1000 < 50 and path in acked:
                while not ending.is_set():
                    try:
                        if client.exists(path) is None:
                            acked.pop(path), tried.pop(path)
                        break
                    except LOST:
                        ending.wait(0.02)
        except kazoo.exceptions.NodeExistsError:
            fail(f"{path} exists: {acked.get(path)} acknowledged, {tried.get(path)} tried")
    with contextlib.suppress(Exception):
        for path, value in acked.items():
            if path not in tried and client.get(path)[0] != b"%d" % value:
                fail(f"{path} is {client.get(path)[0]} at the end, {value} was acknowledged")
    client.stop()


# ------------------------------------------------------------------------------------------ probes: one new connection each

def broker_acks(bootstrap):
    with contextlib.suppress(OSError, AssertionError, struct.error):
        w = wire.Wire(bootstrap, timeout=0.5)
        try:
            return w.produce("probe", 0, wire.batch([(0, b"k", b"v", [])]))[0] == 0
        finally:
            w.close()
    return False


def ensemble_acks(port):
    """A session of its own writes one znode."""
    with contextlib.suppress(OSError, struct.error):
        with socket.create_connection(("127.0.0.1", port), 0.5) as s:
            s.settimeout(0.5)
            connect = struct.pack(">iqiqi16s", 0, 0, 4000, 0, 16, b"")
            s.sendall(struct.pack(">i", len(connect)) + connect)
            _exactly_from(s)
            path = b"/soak/probe"
            acl = struct.pack(">ii", 1, 31) + struct.pack(">i5si6s", 5, b"world", 6, b"anyone")
            create = struct.pack(">iii", 1, 1, len(path)) + path + struct.pack(">i", 0) + acl + struct.pack(">i", 2)  # sequential
            s.sendall(struct.pack(">i", len(create)) + create)
            answer = _exactly_from(s)
            done = struct.unpack_from(">iqi", answer)[2] == 0
            if done:
                name = answer[20:20 + struct.unpack_from(">i", answer, 16)[0]]
                delete = struct.pack(">iii", 2, 2, len(name)) + name + struct.pack(">i", -1)
                close = struct.pack(">ii", 3, -11)
                s.sendall(struct.pack(">i", len(delete)) + delete + struct.pack(">i", len(close)) + close)
                _exactly_from(s)
            return done
    return False


def _exactly_from(s):
    return exactly(s, struct.unpack(">i", exactly(s, 4))[0])


# ------------------------------------------------------------------------------------------ faults

def fill(directory):
    path = os.path.join(directory, "ballast")
    with open(path, "wb") as f:
        with contextlib.suppress(OSError):
            while True:
                f.write(bytes(1 << 20))
                f.flush()
    return lambda: os.unlink(path)


def used_mb(directory):
    info = os.statvfs(directory)
    return (info.f_blocks - info.f_bfree) * info.f_frsize >> 20


def flood(port, first_bytes):
    """3,000 connections, each with half a frame."""
    sockets = []
    for _ in range(3000):
        with contextlib.suppress(OSError):
            s = socket.create_connection(("127.0.0.1", port), 1)
            sockets.append(s)
            s.sendall(first_bytes)
    return lambda: [s.close() for s in sockets]


def soak():
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    zk_dir, log_dir = mount_namespace(1 << 30, 1 << 30)
    ensemble = Ensemble(directory=zk_dir, extra="tickTime=2000\nsnapCount=20000\nautopurge.snapRetainCount=3\nautopurge.purgeInterval=1\n")
    broker = Broker(f"127.0.0.1:{ensemble.port}", directory=log_dir,
                    extra="log.segment.bytes=16777216\nlog.retention.bytes=67108864\nlog.retention.check.interval.ms=5000\nlog.segment.delete.delay.ms=1000\n")

    def starter(command, config, log):
        def start():
            # Logs stand outside of the full disk. A server that cannot start ends by itself and is started again.
            return Process([OTTLA, command, config], os.path.join(logs, log))
        return start
    logs = tempfile.mkdtemp(prefix="ottla-soak-")  # stays when something failed
    start_zk, start_broker = starter("zookeeper", ensemble.config, "zookeeper.log"), starter("broker", broker.config, "broker.log")
    w = wire.Wire(broker.bootstrap)
    w.create("t", PRODUCERS)
    w.create("probe", 1, {"retention.bytes": "1048576", "segment.bytes": "1048576"})
    w.close()
    for server in (ensemble.server, broker.server):
        server.stop()

    def renew(owner, start):
        def again():
            ending.wait(0.1)
            owner.server = start()
        return again
    ensemble.server = start_zk()
    wait_until(lambda: ruok(ensemble.port), "ensemble ready", server=ensemble.server)
    broker.server = start_broker()
    wait_until(lambda: broker_acks(broker.bootstrap), "broker ready", server=broker.server)
    zk = Supervised("ensemble", lambda: ensemble.server, renew(ensemble, start_zk))
    kafka = Supervised("broker", lambda: broker.server, renew(broker, start_broker))

    acked, seen, commits, writes = [0] * PRODUCERS, [0] * PRODUCERS, [0], [0] * 3
    read_all = threading.Event()
    threads = [threading.Thread(target=produce, args=(broker.bootstrap, p, acked)) for p in range(PRODUCERS)]
    threads += [threading.Thread(target=write_znodes, args=(f"127.0.0.1:{ensemble.port}", n, writes)) for n in range(3)]
    threads.append(threading.Thread(target=follow, args=(broker.bootstrap, commits)))
    reader = threading.Thread(target=read, args=(broker.bootstrap, seen, read_all.is_set))
    for t in [*threads, reader]:
        t.start()

    def stop_and_go(who):
        who.signal(signal.SIGSTOP)
        ending.wait(STOPPED_S)
        return lambda: who.signal(signal.SIGCONT)

    def holding(seconds, undo):
        ending.wait(seconds)
        return undo

    def killed(who):
        who.signal(signal.SIGKILL)
        return lambda: None

    # The name, who may end, and what it does.
    faults = [("kill -9 of the broker", kafka, lambda: killed(kafka)), ("kill -9 of the ensemble", zk, lambda: killed(zk)),
              ("flood of the broker", None, lambda: holding(FLOOD_S, flood(broker.port, b"\0\0\1\0\0\3"))),
              ("flood of the ensemble", None, lambda: holding(FLOOD_S, flood(ensemble.port, b"\0\0\0\x2d\0\0"))),
              ("full disk of the broker", kafka, lambda: holding(FULL_S, fill(log_dir))),
              ("full disk of the ensemble", zk, lambda: holding(FULL_S, fill(zk_dir))),
              (f"SIGSTOP of the broker for {STOPPED_S} s", None, lambda: stop_and_go(kafka)),
              (f"SIGSTOP of the ensemble for {STOPPED_S} s", None, lambda: stop_and_go(zk))]
    memory, slowest, began, turn = [], {}, time.monotonic(), 0
    ending.wait(CALM_S)
    for name, mortal, fault in itertools.cycle(faults):
        if ending.is_set() or (time.monotonic() - began > MINUTES * 60 and turn % len(faults) == 0 and turn):
            break
        before = sum(acked), sum(writes)
        for who in (zk, kafka):
            who.may_end = who is mortal
        undo = fault()
        over = time.monotonic()
        undo()
        # Over is what stays over: a session's end, noticed late, would show as a refusal after the first success.
        healed, well = 0.0, False
        while time.monotonic() - over < CALM_S and not ending.is_set():
            was, well = well, ensemble_acks(ensemble.port) and broker_acks(broker.bootstrap)
            if not well or not was:
                healed = time.monotonic() - over
            ending.wait(0.05 if well else 0.01)
        slowest[name] = max(slowest.get(name, 0), healed)
        if not well or healed > OVER_WITHIN_S:
            fail(f"{name}: over {healed:.2f} s after its end" if well else f"{name}: not over {CALM_S} s after its end")
        if sum(acked) == before[0] or sum(writes) == before[1]:
            fail(f"{name}: no progress of the load after it")
        memory.append((zk.resident_mb(), kafka.resident_mb()))
        turn += 1
        print(f"{time.monotonic() - began:6.0f} s  {name}: over after {healed:.2f} s; {sum(acked)} records, {sum(writes)} znode writes, {commits[0]} commits, "
              f"ensemble {memory[-1][0]:.0f} MB, broker {memory[-1][1]:.0f} MB, starts {zk.starts} {kafka.starts}, "
              f"disks {used_mb(zk_dir)} and {used_mb(log_dir)} MB", flush=True)
    ending.set()
    for t in threads:
        t.join(90)
    wait_until(lambda: failures or seen == acked, f"everything acknowledged is read: {seen} of {acked}", timeout=30)
    read_all.set()
    reader.join(30)
    assert not failures, "\n".join(failures[:5]) + "".join(f"\n--- {p.log}\n{p.tail(15)}" for p in (ensemble.server, broker.server))
    shutil.rmtree(logs)
    half = max(2, len(memory) // 2)
    for i, who in enumerate(("ensemble", "broker")):
        early, late = max(m[i] for m in memory[:half]), max(m[i] for m in memory[half:] or memory)
        assert late <= early * 1.25 + 8, f"{who}: {early:.0f} MB in the first half, {late:.0f} MB in the second"
    print(f"{sum(acked)} records acknowledged, all read once and in order; {sum(writes)} znode writes; {commits[0]} commits; "
          f"slowest: {', '.join(f'{name} {s:.2f} s' for name, s in slowest.items())}")


sys.argv = sys.argv[:1]
main(soak)
