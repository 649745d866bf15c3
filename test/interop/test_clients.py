"""The client matrix: each client library creates a topic, produces with every codec it has, joins a group of two, goes on
through a kill -9 and a clean restart of the broker without loss (and without duplicates where its producer is idempotent),
commits and resumes. clients/README.md says what a client program has to do.

test_clients.py              those that need nothing but Debian and the peers' jars
test_clients.py --full       all; what cannot be fetched or built here is skipped with a line
test_clients.py NAME ...     some"""
import collections, os, shutil, subprocess, sys, threading, time, traceback
import harness
from harness import Stack, has_leader, need, peers, run, wait_until

SOURCES = os.path.join(harness.ROOT, "test", "interop", "clients")
BUILT = os.environ.get("OTTLA_CLIENTS", os.path.join(harness.ROOT, "build", "clients"))
PARTITIONS = 4


class NotHere(Exception):
    pass


def built(name, make):
    """Runs make(directory) once; a directory appears whole or not at all."""
    directory = os.path.join(BUILT, name)
    if not os.path.isdir(directory):
        unfinished = f"{directory}.{os.getpid()}"
        shutil.rmtree(unfinished, ignore_errors=True)
        os.makedirs(unfinished)
        try:
            make(unfinished)
        except (subprocess.TimeoutExpired, AssertionError) as e:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise NotHere(f"cannot be built here: {str(e).strip().splitlines()[-1][:200]}") from e
        os.rename(unfinished, directory)
    return directory


def program(name):
    found = shutil.which(name)
    if not found:
        raise NotHere(f"{name} is not installed")
    return found


def java(version):
    def prepare():
        program("java"), program("javac")
        lib = peers({"2.8": "clients-2.8", "3.9": None, "4.2": "clients-4.2"}[version])
        classes = built(f"java-{version}", lambda d: run([program("javac"), "-nowarn", "-cp", lib, "-d", d, os.path.join(SOURCES, "java", "Client.java")], timeout=120))
        return ["java", "-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", f"-Dlog4j.configuration=file:{SOURCES}/java/log4j.properties", "-cp", f"{classes}:{lib}", "Client"]
    return prepare


def go(folder):
    def prepare():
        compiler = program("go")
        directory = built(folder, lambda d: run([compiler, "build", "-o", os.path.join(d, "client"), "."], cwd=os.path.join(SOURCES, folder), timeout=600))
        return [os.path.join(directory, "client")]
    return prepare


def node():
    npm = program("npm")

    def make(d):
        for file in ("package.json", "client.js"):
            shutil.copy(os.path.join(SOURCES, "node", file), d)
        run([npm, "install", "--no-package-lock", "--silent"], cwd=d, timeout=300)
    return [program("node"), "--no-deprecation", os.path.join(built("node", make), "client.js")]


def rust():
    cargo = program("cargo")

    def make(d):
        shutil.copytree(os.path.join(SOURCES, "rust"), os.path.join(d, "source"))
        run([cargo, "build", "-q"], cwd=os.path.join(d, "source"), env={"CARGO_TARGET_DIR": os.path.join(d, "target")}, timeout=900)
    return [os.path.join(built("rust", make), "target", "debug", "ottla-test-rdkafka")]


PINNED = {"kafka-python": "kafka-python==2.2.15", "aiokafka": "aiokafka==0.12.0", "confluent-kafka": "confluent-kafka==2.11.1"}


def python(library):
    def prepare():
        def make(d):
            run([program("python3"), "-m", "venv", os.path.join(d, "venv")], timeout=120)
            run([os.path.join(d, "venv", "bin", "pip"), "install", "-q", "lz4", "python-snappy", "zstandard", "cramjam", *PINNED.values()], timeout=600)
        # The environment is moved into place after it was made: only its interpreter is used, which does not mind.
        interpreter = os.path.join(built("python", make), "venv", "bin", "python3")
        return [interpreter, os.path.join(SOURCES, "python", "client.py"), library]
    return prepare


def debian_python(library):
    def prepare():
        module = {"kafka-python": "kafka", "confluent-kafka": "confluent_kafka"}[library]
        if run(["/usr/bin/python3", "-c", f"import {module}"], check=False).returncode != 0:
            raise NotHere(f"Debian's {library} is not installed")
        return ["/usr/bin/python3", os.path.join(SOURCES, "python", "client.py"), library]
    return prepare


# Name, how its command comes to be, whether its producer is idempotent, whether it is part of the short form.
CLIENTS = [("java-2.8", java("2.8"), True, False), ("java-3.9", java("3.9"), True, True), ("java-4.2", java("4.2"), True, False),
           ("debian-kafka-python", debian_python("kafka-python"), False, True), ("debian-librdkafka", debian_python("confluent-kafka"), True, True), ("kafka-python", python("kafka-python"), True, False),
           ("aiokafka", python("aiokafka"), True, False), ("librdkafka", python("confluent-kafka"), True, False),
           ("franz-go", go("franz"), True, False), ("sarama", go("sarama"), True, False),
           ("kafkajs", node, True, False), ("rdkafka-rust", rust, True, False)]


class Member:
    """A client in a group: what it was assigned last and what it read."""

    def __init__(self, command, errors):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=open(errors, "ab"), text=True)
        self.errors, self.assigned, self.records, self.closed, self.other = errors, None, [], False, []
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            word, _, rest = line.strip().partition(" ")
            if word == "assigned":
                self.assigned = {int(p) for p in rest.split(",") if p}
            elif word == "record":
                partition, offset, key, value = rest.split(" ", 3)
                assert value == f"value of {key}", line
                self.records.append((int(partition), int(offset), key))
            elif word == "closed":
                self.closed = True
            else:
                self.other.append(line.strip())

    def keys(self):
        return [key for _, _, key in list(self.records)]

    def finish(self):
        self.process.stdin.close()
        code = self.process.wait(60)
        self.reader.join(10)
        assert code == 0 and self.closed, f"a member ended with {code}: {self.other} {open(self.errors).read()[-2000:]}"


def in_log(stack, topic):
    text = run(["kcat", "-C", "-b", stack.bootstrap, "-t", topic, "-o", "beginning", "-e", "-q", "-f", "%p %o %k\n"], timeout=60).stdout
    return [(int(p), int(o), key) for p, o, key in (line.split() for line in text.splitlines())]


def check_client(name, command, idempotent):
    stack = Stack(extra="num.partitions=1\nauto.create.topics.enable=false\n")
    errors = os.path.join(stack.broker.directory, "client.log")
    call = lambda *a, timeout=60: run([*command, stack.bootstrap, *map(str, a)], timeout=timeout).stdout.split()
    members = []
    try:
        call("create", "t", PARTITIONS)
        wait_until(lambda: all(has_leader(stack.broker.port, "t", p) for p in range(PARTITIONS)), "topic created")
        members = [Member([*command, stack.bootstrap, "consume", "t", "g"], errors) for _ in range(2)]

        def shared_out():
            owned = [m.assigned or set() for m in members]
            return all(owned) and not owned[0] & owned[1] and owned[0] | owned[1] == set(range(PARTITIONS))
        wait_until(shared_out, "a group of two", timeout=60)

        codecs = call("codecs")
        for codec in codecs:
            assert call("produce", "t", codec, 100, codec, 0) == ["acked", "100"], codec
        expected = {f"{codec}-{i}" for codec in codecs for i in range(100)}
        read = lambda: set(members[0].keys()) | set(members[1].keys())
        wait_until(lambda: read() >= expected, f"all of {len(expected)} records of {codecs} read", timeout=60)

        # Through a kill -9 and a clean stop, while it produces.
        producer = subprocess.Popen([*command, stack.bootstrap, "produce", "t", codecs[-1], "3000", "r", "1000"],
                                    stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        written = lambda count: wait_until(lambda: len(read()) >= len(expected) + count, f"{count} records on their way", timeout=60)
        written(300)
        stack.broker.server.kill()
        stack.broker.start()
        written(1500)
        stack.broker.server.stop()
        stack.broker.start()
        out, err = producer.communicate(timeout=180)
        assert producer.returncode == 0 and out.split() == ["acked", "3000"], f"{producer.returncode} {out} {err[-2000:]}"
        expected |= {f"r-{i}" for i in range(3000)}
        wait_until(lambda: read() >= expected, "all records read after two restarts", timeout=90)
        assert read() == expected

        log = in_log(stack, "t")
        times = collections.Counter(key for _, _, key in log)
        assert set(times) == expected, f"lost {sorted(expected - set(times))[:5]}, strange {sorted(set(times) - expected)[:5]}"
        twice = [key for key, count in times.items() if count > 1]
        assert not (idempotent and twice), f"written twice: {twice[:5]} of {len(twice)}"
        stored = set(log)
        for member in members:
            strange = [record for record in member.records if record not in stored]
            assert not strange, f"read but not in the log: {strange[:5]}"

        # A third member goes on where they ended.
        for member in members:
            member.finish()
        third = Member([*command, stack.bootstrap, "consume", "t", "g"], errors)
        members.append(third)
        wait_until(lambda: third.assigned == set(range(PARTITIONS)), "a group of one", timeout=60)
        assert call("produce", "t", codecs[0], 40, "z", 0) == ["acked", "40"]
        wait_until(lambda: len(third.records) >= 40, "the last 40 read", timeout=60)
        third.finish()
        assert sorted(third.keys()) == sorted(f"z-{i}" for i in range(40)), f"resumed wrongly: {sorted(third.keys())[:5]}"
        stack.check_alive()
        return f"{len(codecs)} codecs ({' '.join(codecs)}), {len(log)} records" + (f", {len(twice)} twice" if not idempotent else "")
    except BaseException:
        with open(errors, "a+") as f:
            f.seek(0)
            print(f"--- {name}: {[(m.assigned, len(m.records), m.other[-3:]) for m in members]}\n{f.read()[-3000:]}\n{stack.broker.server.tail()}", file=sys.stderr)
        raise
    finally:
        for member in members:
            if member.process.poll() is None:
                member.process.kill()
        stack.broker.server.kill()
        stack.ensemble.server.kill()


def main():
    if not os.path.exists(harness.OTTLA):
        sys.exit(f"{harness.OTTLA} is missing: scripts/build.sh release")
    need("kcat")
    names = [a for a in sys.argv[1:] if not a.startswith("-")]
    count = collections.Counter()
    for name, prepare, idempotent, short in CLIENTS:
        if not (name in names or (not names and (harness.FULL or short))):
            continue
        started = time.monotonic()
        try:
            try:
                command = prepare()
            except NotHere as e:
                print(f"skipped: {name}: {e}", flush=True)
                count["skipped"] += 1
                continue
            except SystemExit:  # the fixture said why
                count["skipped"] += 1
                continue
            what = check_client(name, command, idempotent)
            count["passed"] += 1
            print(f"ok: {name}: {what} ({time.monotonic() - started:.1f} s)", flush=True)
        except Exception:
            traceback.print_exc()
            count["failed"] += 1
            print(f"FAILED: {name}", flush=True)
    print(f"{count['passed']} passed, {count['failed']} failed, {count['skipped']} skipped")
    sys.exit(1 if count["failed"] else 0 if count["passed"] else harness.SKIPPED)


main()
