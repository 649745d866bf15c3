"""What the interop tests share: servers of ours (from dist/) and of Apache on free loopback ports, clients run with a
time limit, and one exit code for "cannot be run here" (77, which CTest shows as skipped).

Every process started here is ended at exit, by its own id. Nothing sleeps where a state can be asked for."""
import atexit, contextlib, os, random, shutil, signal, socket, struct, subprocess, sys, tempfile, time, traceback
import sanitizer_reports

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
DIST = os.environ.get("OTTLA_DIST", os.path.join(ROOT, "dist"))
BUILD = os.environ.get("OTTLA_BUILD", os.path.join(ROOT, "build", "dev"))  # where the tests' own programs are
OTTLA = os.path.join(DIST, "bin", "ottla")
SKIPPED = 77
# A sanitizer's build: limits of time are longer, every server of ours is asked to end at the end, and any report of any
# process fails the test. CTest sets both variables in build/asan and build/tsan.
SANITIZER = os.environ.get("OTTLA_SANITIZER")
TIME_FACTOR = float(os.environ.get("OTTLA_TIME_FACTOR", "1"))
FULL = "--full" in sys.argv  # the long form of a test that has one
_started, _directories = [], []
_reports = sanitizer_reports.prepare(BUILD) if SANITIZER else None


def scaled(seconds):
    """A limit of time, longer where the servers under test are slow."""
    return seconds * TIME_FACTOR


def skip(reason):
    print(f"skipped: {reason}", flush=True)
    sys.exit(SKIPPED)


def need(program):
    return shutil.which(program) or skip(f"{program} is not installed")


def shared(*parts):
    """A file of the shared vectors, or a skip."""
    for top in (os.environ.get("OTTLA_SHARED"), os.path.join(ROOT, "..", "shared")):
        if top and os.path.exists(os.path.join(top, *parts)):
            return os.path.abspath(os.path.join(top, *parts))
    skip(f"no shared/{'/'.join(parts)} beside the checkout")


def tmp_dir():
    path = tempfile.mkdtemp(prefix="ottla-test-")
    _directories.append(path)
    return path


def free_ports(count):
    """Below the range that the system gives to outgoing connections: none of those takes the port before the server does."""
    sockets = []
    while len(sockets) < count:
        s = socket.socket()
        try:
            s.bind(("127.0.0.1", random.randrange(10000, 32000)))
            sockets.append(s)
        except OSError:
            s.close()
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def run(command, stdin=None, timeout=60, check=True, env=None, cwd=None):
    """Runs to the end; returns CompletedProcess with text output. A failure shows what was said."""
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, errors="backslashreplace", timeout=scaled(timeout),
                          env={**os.environ, **(env or {})}, cwd=cwd)
    if check and done.returncode != 0:
        raise AssertionError(f"{command} exited with {done.returncode}\nstdout: {done.stdout[-3000:]}\n"
                             f"stderr: {done.stderr[-3000:]}")
    return done


class Process:
    """A server; its output goes to a file that a failing test prints."""

    def __init__(self, command, log, env=None, cwd=None):
        self.command, self.log = command, log
        self.out = open(log, "ab")
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self.out, stderr=self.out,
                                        env={**os.environ, **(env or {})}, cwd=cwd)
        _started.append(self)

    @property
    def pid(self):
        return self.process.pid

    def alive(self):
        return self.process.poll() is None

    def kill(self):
        """kill -9, reaped."""
        if self.alive():
            self.process.kill()
        self.process.wait()

    def stop(self, timeout=20):
        """SIGTERM; the exit code."""
        if self.alive():
            self.process.terminate()
        return self.process.wait(scaled(timeout))

    def tail(self, lines=30):
        with open(self.log, errors="replace") as f:
            return "".join(f.readlines()[-lines:])


def end_servers():
    """Every process that still runs; a sanitizer's build of ours by SIGTERM, since leaks are looked for at a clean end. A
    line for each that did not end with 0."""
    faults = []
    for process in reversed(_started):  # a broker before its ensemble
        if not process.alive():
            continue
        if SANITIZER and process.command[0] == OTTLA:
            process.process.send_signal(signal.SIGCONT)
            try:
                code = process.stop()
            except subprocess.TimeoutExpired:
                code = "nothing within the limit"
            if code != 0:
                faults.append(f"{process.command[:3]} ended with {code} when asked to:\n{process.tail()}")
        process.kill()
    return faults


@atexit.register
def _at_exit():
    faults = end_servers() + sanitizer_reports.found(_reports)
    if _reports and not faults:
        shutil.rmtree(_reports)
    for directory in _directories:
        shutil.rmtree(directory, ignore_errors=True)
    if faults:
        print("FAILED:", *faults, sep="\n", flush=True)
        sys.stderr.flush()
        os._exit(1)


def wait_until(ready, what, timeout=20, server=None):
    """Asks again every few milliseconds; a server that ends meanwhile fails the test at once."""
    timeout = scaled(timeout)
    deadline = time.monotonic() + timeout
    while True:
        result = ready()
        if result:
            return result
        if server is not None and not server.alive():
            raise AssertionError(f"{server.command[0]} ended with {server.process.returncode}:\n{server.tail()}")
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {timeout} s" + (f"\n{server.tail()}" if server else ""))
        time.sleep(0.005)


def accepts(port):
    with contextlib.suppress(OSError):
        with socket.create_connection(("127.0.0.1", port), 0.5):
            return True
    return False


# ------------------------------------------------------------------------------------------ raw probes

def ruok(port):
    with contextlib.suppress(OSError):
        with socket.create_connection(("127.0.0.1", port), scaled(0.5)) as s:
            s.sendall(b"ruok")
            return s.recv(4) == b"imok"
    return False


def serves_sessions(port):
    """srvr names a mode; Apache's ruok answers before sessions are taken."""
    with contextlib.suppress(OSError):
        with socket.create_connection(("127.0.0.1", port), scaled(0.5)) as s:
            s.sendall(b"srvr")
            text = b""
            while more := s.recv(4096):
                text += more
            return b"Mode:" in text
    return False


def kafka_request(port, api_key, version, body, timeout=2.0):
    """One request with a v1 header; the answer after its correlation id."""
    with socket.create_connection(("127.0.0.1", port), scaled(timeout)) as s:
        s.settimeout(scaled(timeout))
        frame = struct.pack(">hhih", api_key, version, 7, -1) + body
        s.sendall(struct.pack(">i", len(frame)) + frame)
        size = struct.unpack(">i", exactly(s, 4))[0]
        return exactly(s, size)[4:]


def exactly(s, count):
    """So many bytes of a socket; OSError when it ends before."""
    data = b""
    while len(data) < count:
        more = s.recv(count - len(data))
        if not more:
            raise OSError("closed")
        data += more
    return data


def has_leader(port, topic, partition=0):
    """Metadata v0 names a leader for the partition."""
    try:
        answer = kafka_request(port, 3, 0, struct.pack(">ih", 1, len(topic)) + topic.encode())
        at, (brokers,) = 4, struct.unpack_from(">i", answer)
        for _ in range(brokers):
            (host,) = struct.unpack_from(">h", answer, at + 4)
            at += 4 + 2 + host + 4
        (topics,) = struct.unpack_from(">i", answer, at)
        error, name = struct.unpack_from(">hh", answer, at + 4)
        at += 4 + 4 + name
        (partitions,) = struct.unpack_from(">i", answer, at)
        at += 4
        for _ in range(partitions):
            p_error, index, leader, replicas = struct.unpack_from(">hiii", answer, at)
            at += 14 + 4 * replicas
            (isr,) = struct.unpack_from(">i", answer, at)
            at += 4 + 4 * isr
            if index == partition and p_error == 0 and leader >= 0:
                return True
    except (OSError, struct.error):
        pass
    return False


def has_brokers(port, count=1):
    """Metadata v0 names so many brokers. Apache's answers requests before it has heard of itself."""
    with contextlib.suppress(OSError, struct.error):
        return struct.unpack_from(">i", kafka_request(port, 3, 0, struct.pack(">i", 0)))[0] >= count
    return False


def serves_kafka(port):
    try:
        return kafka_request(port, 18, 0, b"")[:2] == b"\0\0"
    except (OSError, struct.error):
        return False


# ------------------------------------------------------------------------------------------ our servers

class Ensemble:
    """`ottla zookeeper FILE` on a directory of its own."""

    def __init__(self, directory=None, port=None, extra=""):
        self.directory = directory or tmp_dir()
        self.port = port or free_ports(1)[0]
        self.config = os.path.join(self.directory, "zoo.cfg")
        with open(self.config, "w") as f:
            f.write(f"dataDir={self.directory}/zk\nclientPort={self.port}\nadmin.enableServer=false\n"
                    f"4lw.commands.whitelist=*\nmaxClientCnxns=0\n{extra}")
        self.start()

    def start(self):
        self.server = Process([OTTLA, "zookeeper", self.config], os.path.join(self.directory, "zookeeper.log"))
        wait_until(lambda: ruok(self.port), "ensemble ready", server=self.server)


class Broker:
    """`ottla broker FILE`, registered at zookeeper_connect; broker_id None: the key is not written."""

    def __init__(self, zookeeper_connect, directory=None, port=None, broker_id=0, extra=""):
        self.directory = directory or tmp_dir()
        self.port = port or free_ports(1)[0]
        self.config = os.path.join(self.directory, "server.properties")
        with open(self.config, "w") as f:
            f.write(("" if broker_id is None else f"broker.id={broker_id}\n") +
                    f"listeners=PLAINTEXT://127.0.0.1:{self.port}\nlog.dirs={self.directory}/logs\n"
                    f"zookeeper.connect={zookeeper_connect}\noffsets.topic.replication.factor=1\n"
                    f"offsets.topic.num.partitions=4\ngroup.initial.rebalance.delay.ms=0\n{extra}")
        self.start()

    @property
    def bootstrap(self):
        return f"127.0.0.1:{self.port}"

    def start(self):
        self.server = Process([OTTLA, "broker", self.config], os.path.join(self.directory, "broker.log"))
        wait_until(lambda: serves_kafka(self.port), "broker ready", server=self.server)


def ensemble_of_choice(**how):
    """What OTTLA_TEST_ENSEMBLE says the brokers under test stand on: ours (the default), apache-3.8 or apache-3.9."""
    choice = os.environ.get("OTTLA_TEST_ENSEMBLE", "ours")
    if choice == "ours":
        return Ensemble(**how)
    assert choice in ("apache-3.8", "apache-3.9"), f"OTTLA_TEST_ENSEMBLE={choice}"
    return ApacheEnsemble(choice[len("apache-"):], **how)


class Stack:
    """An ensemble of one (of choice) and a broker, each its own process."""

    def __init__(self, chroot="", extra="", zk_extra=""):
        self.ensemble = ensemble_of_choice(extra=zk_extra)
        self.broker = Broker(f"127.0.0.1:{self.ensemble.port}{chroot}", extra=extra)
        self.bootstrap = self.broker.bootstrap
        self.zookeeper = f"127.0.0.1:{self.ensemble.port}"

    def create_topic(self, topic, partitions=1, *more):
        run([script("kafka-topics.sh"), "--bootstrap-server", self.bootstrap, "--create", "--topic", topic,
             "--partitions", str(partitions), "--replication-factor", "1", *more])

    def check_alive(self):
        for server in (self.ensemble.server, self.broker.server):
            assert server.alive(), f"{server.command} ended:\n{server.tail()}"


def script(name):
    return os.path.join(DIST, "bin", name)


# ------------------------------------------------------------------------------------------ Apache peers

def java():
    return need("java")


def peers(name=None):
    """The class path of a pinned set of Apache's jars, fetched once through Maven into build/; else a skip.
    None: Kafka 3.9 with ZooKeeper 3.8 (pom.xml); "zookeeper-3.9", "clients-2.8", "clients-4.2": pom-NAME.xml.
    OTTLA_PEERS_LIB names a folder that has the first, OTTLA_PEERS a folder with NAME/lib for the others."""
    java()
    if name is None and (given := os.environ.get("OTTLA_PEERS_LIB")):
        return os.path.join(given, "*")
    if name and os.path.isdir(given := os.path.join(os.environ.get("OTTLA_PEERS", "/nonexistent"), name, "lib")):
        return os.path.join(given, "*")
    suffix = f"-{name}" if name else ""
    lib = os.path.join(ROOT, "build", "peers" + suffix)
    if not os.path.isdir(lib):
        maven = need("mvn")
        fetched = lib + f".{os.getpid()}"
        done = run([maven, "-q", "-f", os.path.join(ROOT, "test", "interop", f"pom{suffix}.xml"), "dependency:copy-dependencies",
                    f"-DoutputDirectory={fetched}"], timeout=300, check=False)
        if done.returncode != 0:
            shutil.rmtree(fetched, ignore_errors=True)
            skip(f"Maven cannot fetch the Apache jars of pom{suffix}.xml")
        try:
            os.rename(fetched, lib)
        except OSError:
            shutil.rmtree(fetched, ignore_errors=True)  # another test was faster
    return os.path.join(lib, "*")


def java_command(main, *args, heap="256m", log_level="WARN", lib=None, jvm=()):
    """The command of a Java program; lib: a set of peers()."""
    directory = tmp_dir()
    log4j = os.path.join(directory, "log4j.properties")
    with open(log4j, "w") as f:
        f.write(f"log4j.rootLogger={log_level}, A\nlog4j.appender.A=org.apache.log4j.ConsoleAppender\nlog4j.appender.A.target=System.err\n"
                "log4j.appender.A.layout=org.apache.log4j.PatternLayout\nlog4j.appender.A.layout.ConversionPattern=[%d] %p %m (%c)%n\n")
    return [java(), f"-Xmx{heap}", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", f"-Dlog4j.configuration=file:{log4j}", *jvm, "-cp", peers(lib), main, *args]


class ApacheEnsemble(Ensemble):
    """Apache ZooKeeper, version "3.8" or "3.9", on a directory of its own. jvm: properties, such as -Dzookeeper.forceSync=no."""

    def __init__(self, version="3.9", directory=None, port=None, extra="", jvm=(), heap="384m"):
        self.command = lambda config: java_command("org.apache.zookeeper.server.quorum.QuorumPeerMain", config, heap=heap, jvm=jvm,
                                                   lib={"3.8": None, "3.9": "zookeeper-3.9"}[version])
        super().__init__(directory, port, extra)

    def start(self):
        self.server = Process(self.command(self.config), os.path.join(self.directory, "zookeeper.log"))
        wait_until(lambda: serves_sessions(self.port), "Apache ZooKeeper ready", timeout=60, server=self.server)


class ApacheBroker(Broker):
    """Apache Kafka 3.9 in ZooKeeper mode, configured as Broker is. After kill -9 it refuses to start until its session is over."""

    def __init__(self, zookeeper_connect, directory=None, port=None, broker_id=0, extra="", jvm=(), heap="512m", log_level="WARN"):
        self.command = lambda config: java_command("kafka.Kafka", config, heap=heap, jvm=jvm, log_level=log_level)
        super().__init__(zookeeper_connect, directory, port, broker_id,
                         "transaction.state.log.replication.factor=1\ntransaction.state.log.min.isr=1\n" + extra)

    def start(self):
        self.server = Process(self.command(self.config), os.path.join(self.directory, "broker.log"))
        wait_until(lambda: has_brokers(self.port), "Apache Kafka ready", timeout=60, server=self.server)


def main(*tests):
    """Runs the functions in order; the first failure ends the program with what happened."""
    if not os.path.exists(OTTLA):
        print(f"{OTTLA} is missing: scripts/build.sh {os.path.basename(BUILD) if SANITIZER else 'release'}", file=sys.stderr)
        sys.exit(1)
    wanted = [argument for argument in sys.argv[1:] if not argument.startswith("--")]
    passed = 0
    for test in tests:
        if wanted and test.__name__ not in wanted:
            continue
        started = time.monotonic()
        try:
            test()
        except SystemExit:
            raise
        except BaseException:
            traceback.print_exc()
            for process in _started:
                print(f"--- {' '.join(process.command[:3])} ({'alive' if process.alive() else process.process.returncode})\n{process.tail()}", file=sys.stderr)
            print(f"FAILED: {test.__name__}", flush=True)
            sys.exit(1)
        if faults := sanitizer_reports.found(_reports):
            print(*faults, sep="\n", file=sys.stderr)
            print(f"FAILED: {test.__name__}", flush=True)
            sys.exit(1)
        passed += 1
        print(f"ok: {test.__name__} ({time.monotonic() - started:.1f} s)", flush=True)
    print(f"{passed} passed, 0 failed")
