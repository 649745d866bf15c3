"""A differential run of our broker against Apache Kafka 3.9: starts both stacks, runs build/*/test/interop/differential_kafka.
  differential_kafka.py [--seed N] [--seeds N] [--requests N] [--keep-going] [--trace] [--ports FIRST]
Log directories are on /dev/shm where there is one. See differential_kafka/README.md."""
import argparse
from harness import *

# A partition of __consumer_offsets for each group of the run: which group of one partition is first is a hash map's. What goes by the
# clock (retention, what is forgotten of idle groups and producers) comes after every run.
PROPERTIES = """num.partitions=2
auto.create.topics.enable=true
log.retention.hours=-1
offsets.topic.num.partitions=30
log.initial.task.delay.ms=86400000
offsets.retention.check.interval.ms=86400000
producer.id.expiration.check.interval.ms=86400000
group.min.session.timeout.ms=1000
num.network.threads=1
num.io.threads=1
log.cleaner.enable=false
transaction.state.log.num.partitions=4
controlled.shutdown.enable=false
"""


def program():
    """The build that is newest, or what OTTLA_DIFFERENTIAL_KAFKA names."""
    if given := os.environ.get("OTTLA_DIFFERENTIAL_KAFKA"):
        return given
    found = [path for preset in ("release", "dev", "asan") if
             os.path.exists(path := os.path.join(ROOT, "build", preset, "test", "interop", "differential_kafka", "differential_kafka"))]
    if not found:
        skip("differential_kafka is not built: cmake --build build/dev --target differential_kafka")
    return max(found, key=os.path.getmtime)


class Stacks:
    """An ensemble of ours with two chroots; Apache's broker and ours, each fresh on its own directory in memory."""

    def __init__(self, first_port=None, logs=False):
        ports = range(first_port, first_port + 3) if first_port else free_ports(3)
        base = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        self.logs = logs
        self.directories = [tempfile.mkdtemp(prefix="ottla-differential-", dir=base) for _ in range(3)]
        for d in self.directories:
            atexit.register(shutil.rmtree, d, ignore_errors=True)
        self.ensemble = Ensemble(self.directories[0], ports[0])
        zookeeper = f"127.0.0.1:{self.ensemble.port}"
        self.apache = ApacheBroker(zookeeper + "/apache", self.directories[1], ports[1], extra=PROPERTIES,
                                   # Half the requests are refused: without the words and the stack of each, a run takes half the time.
                                   **({} if logs else {"log_level": "OFF", "jvm": ("-XX:-StackTraceInThrowable",)}))
        self.ours = Broker(zookeeper + "/ottla0", self.directories[2], ports[2],
                           extra="transaction.state.log.replication.factor=1\ntransaction.state.log.min.isr=1\n" + PROPERTIES)

    def run(self, seed, requests, *more, timeout):
        command = [program(), "--apache", str(self.apache.port), "--ours", str(self.ours.port), "--seed", str(seed), "--requests", str(requests),
                   "--own", f"{self.directories[1]}={self.directories[2]}=DIR", "--own", "/apache=/ottla0=CHROOT", *more]
        started = time.monotonic()
        done = subprocess.run(command, timeout=scaled(timeout), stdin=subprocess.DEVNULL)  # its output is ours
        print(f"({time.monotonic() - started:.0f} s)", flush=True)
        for server in (self.apache.server, self.ours.server):
            assert server.alive(), f"{server.command[:3]} ended:\n{server.tail()}"
        return done

    def stop(self):
        for server in (self.apache.server, self.ours.server, self.ensemble.server):
            server.kill()
        for d in self.directories:
            shutil.rmtree(d, ignore_errors=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--requests", type=int, default=50000)
    parser.add_argument("--keep-going", action="store_true")
    parser.add_argument("--trace", action="store_true")
    parser.add_argument("--times", action="store_true", help="where the run spent its time")
    parser.add_argument("--ports", type=int)
    parser.add_argument("--logs", action="store_true", help="print the last lines of both brokers' logs")
    args = parser.parse_args()
    failed = 0
    for seed in range(args.seed, args.seed + args.seeds):
        stacks = Stacks(args.ports, args.logs or "OTTLA_KEEP_LOGS" in os.environ)
        more = [flag for flag, on in (("--keep-going", args.keep_going), ("--trace", args.trace), ("--times", args.times)) if on]
        done = stacks.run(seed, args.requests, *more, timeout=3600)
        failed += done.returncode != 0
        if keep := os.environ.get("OTTLA_KEEP_LOGS"):
            for name, server in (("apache", stacks.apache.server), ("ours", stacks.ours.server)):
                shutil.copy(server.log, os.path.join(keep, f"{name}.{seed}.log"))
        if args.logs:
            print(stacks.apache.server.tail(60), stacks.ours.server.tail(60))
        stacks.stop()
    sys.exit(1 if failed else 0)
