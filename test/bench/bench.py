"""Ours and Apache's, one after the other, round by round, with the same client: medians and ratios.

  scripts/bench.sh [--rounds N] [--rows start,zk,produce,consume,latency,topics] [--quick] [--markdown]

Servers run one at a time on fresh directories; the order within a round alternates. CPU is what the server's process used
(user and system) between the start and the end of a load. Without Java or the Apache jars only ours is measured."""
import argparse, statistics, sys
sys.path.insert(0, __file__.rsplit("/", 2)[0] + "/interop")
from harness import *

BUILD = os.environ.get("OTTLA_BUILD", os.path.join(ROOT, "build", "release"))
LOAD = os.path.join(BUILD, "test", "bench")
TICKS = os.sysconf("SC_CLK_TCK")


def cpu_s(pid):
    with open(f"/proc/{pid}/stat") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def rss_mb(pid):
    """Proportional memory: shared pages of one program in two processes count once."""
    with contextlib.suppress(OSError):
        with open(f"/proc/{pid}/smaps_rollup") as f:
            for line in f:
                if line.startswith("Pss:"):
                    return int(line.split()[1]) / 1024
    return 0


def load(program, *args, timeout=240):
    out = run([os.path.join(LOAD, program), *map(str, args)], timeout=timeout).stdout
    return {k: (float(v) if v.replace(".", "", 1).isdigit() else v) for k, v in (pair.split("=") for pair in out.split())}


# ------------------------------------------------------------------------------ the two stacks

class Ours:
    name = "ours"

    def __init__(self):
        self.directory = tmp_dir()

    def zookeeper(self):
        port, = free_ports(1)
        config = os.path.join(self.directory, "zoo.cfg")
        with open(config, "w") as f:
            f.write(f"tickTime=2000\ndataDir={self.directory}/zk\nclientPort={port}\nadmin.enableServer=false\n4lw.commands.whitelist=*\nmaxClientCnxns=0\n")
        return Process([OTTLA, "zookeeper", config], os.path.join(self.directory, "zk.log")), port

    def broker(self, zk_port):
        port, = free_ports(1)
        config = os.path.join(self.directory, "server.properties")
        with open(config, "w") as f:
            f.write(PROPERTIES.format(port=port, zk=zk_port, logs=self.directory + "/logs"))
        return Process([OTTLA, "broker", config], os.path.join(self.directory, "broker.log")), port


class Apache(Ours):
    name = "apache"

    def zookeeper(self):
        port, = free_ports(1)
        config = os.path.join(self.directory, "zoo.cfg")
        with open(config, "w") as f:
            f.write(f"tickTime=2000\ndataDir={self.directory}/zk\nclientPort={port}\nadmin.enableServer=false\n4lw.commands.whitelist=*\nmaxClientCnxns=0\n")
        debian = "/usr/share/zookeeper/bin/zkEnv.sh"
        if os.path.exists(debian):  # ZooKeeper 3.8 of Debian
            classpath = run(["bash", "-c", f". {debian} >/dev/null 2>&1; echo $CLASSPATH"]).stdout.strip()
        else:
            classpath = peers()
        return Process([java(), "-Xmx1000m", "-cp", classpath, "org.apache.zookeeper.server.quorum.QuorumPeerMain", config],
                       os.path.join(self.directory, "zk.log")), port

    def broker(self, zk_port):
        port, = free_ports(1)
        config = os.path.join(self.directory, "server.properties")
        with open(config, "w") as f:
            f.write(PROPERTIES.format(port=port, zk=zk_port, logs=self.directory + "/logs"))
        return Process([java(), "-Xms1G", "-Xmx1G", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20", "-XX:InitiatingHeapOccupancyPercent=35",
                        "-cp", peers(), "kafka.Kafka", config], os.path.join(self.directory, "broker.log")), port


PROPERTIES = ("broker.id=0\nlisteners=PLAINTEXT://127.0.0.1:{port}\nzookeeper.connect=127.0.0.1:{zk}\nlog.dirs={logs}\nnum.partitions=4\n"
              "offsets.topic.replication.factor=1\ntransaction.state.log.replication.factor=1\ntransaction.state.log.min.isr=1\n"
              "group.initial.rebalance.delay.ms=0\n")


# ------------------------------------------------------------------------------ a first record, with no client in the way

def crc32c_table():
    table = []
    for i in range(256):
        for _ in range(8):
            i = (i >> 1) ^ (0x82f63b78 if i & 1 else 0)
        table.append(i)
    return table


CRC = crc32c_table()


def first_batch():
    """A record batch of magic 2 with one record."""
    record = bytes([0, 0, 0, 1]) + bytes([2 * 5]) + b"first" + bytes([0])
    record = bytes([2 * len(record)]) + record
    after_crc = struct.pack(">hiqqqhii", 0, 0, 1700000000000, 1700000000000, -1, -1, -1, 1) + record
    crc = 0xffffffff
    for byte in after_crc:
        crc = (crc >> 8) ^ CRC[(crc ^ byte) & 0xff]
    return struct.pack(">qiibI", 0, 9 + len(after_crc), -1, 2, crc ^ 0xffffffff) + after_crc


BATCH = first_batch()


def first_record_acknowledged(port):
    """Metadata (creates the topic), then a produce that must be acknowledged."""
    try:
        kafka_request(port, 3, 4, struct.pack(">ih", 1, 5) + b"first" + b"\1")
        body = struct.pack(">hhi", -1, -1, 5000) + struct.pack(">ih", 1, 5) + b"first" + struct.pack(">iii", 1, 0, len(BATCH)) + BATCH
        answer = kafka_request(port, 0, 3, body)
        return struct.unpack_from(">h", answer, 4 + 2 + 5 + 4 + 4)[0] == 0
    except (OSError, struct.error):
        return False


# ------------------------------------------------------------------------------ rows

def row_start(make, out, quick):
    stack = make()
    began = time.monotonic()
    zk, zk_port = stack.zookeeper()
    wait_until(lambda: serves_sessions(zk_port), "ensemble", 60, zk)
    out["ensemble: start to serving, ms"] = (time.monotonic() - began) * 1000
    broker, port = stack.broker(zk_port)
    wait_until(lambda: first_record_acknowledged(port), "first record", 60, broker)
    out["stack: start to first acknowledged record, ms"] = (time.monotonic() - began) * 1000
    out["stack: CPU to first record, s"] = cpu_s(zk.pid) + cpu_s(broker.pid)
    out["stack: memory idle, both, MB"] = rss_mb(zk.pid) + rss_mb(broker.pid)
    broker.kill(), zk.kill()


def row_zk(make, out, quick):
    zk, port = make().zookeeper()
    wait_until(lambda: serves_sessions(port), "ensemble", 60, zk)
    out["ensemble: memory idle, MB"] = rss_mb(zk.pid)
    seconds = 2 if quick else 5
    load("zk_load", f"127.0.0.1:{port}", "--op", "mix", "--seconds", 2)  # warm, as the Java servers need
    for op in ("create", "set", "get", "mix"):
        result = load("zk_load", f"127.0.0.1:{port}", "--op", op, "--seconds", seconds)
        out[f"ensemble: {op}, ops/s"] = result["ops_per_s"]
    out["ensemble: memory after load, MB"] = rss_mb(zk.pid)
    zk.kill()


def row_kafka(make, out, quick, rows):
    stack = make()
    zk, zk_port = stack.zookeeper()
    wait_until(lambda: serves_sessions(zk_port), "ensemble", 60, zk)
    broker, port = stack.broker(zk_port)
    wait_until(lambda: first_record_acknowledged(port), "first record", 60, broker)
    at = f"127.0.0.1:{port}"
    out["broker: memory idle, MB"] = rss_mb(broker.pid)
    megabytes = 200 if quick else 1000

    def measured(label, *args, unit="mb_per_s", unit_text="MB/s", gigabytes=megabytes / 1000):
        before = cpu_s(broker.pid)
        result = load("kafka_load", *args)
        out[f"{label}, {unit_text}"] = result[unit]
        out[f"{label}, broker CPU-s per GB"] = (cpu_s(broker.pid) - before) / gigabytes

    load("kafka_load", "produce", at, "warm", "--megabytes", 100)
    if "produce" in rows or "consume" in rows:
        measured("produce 1 KB", "produce", at, "kb", "--megabytes", megabytes)
    if "produce" in rows:
        small = megabytes // 4
        measured("produce 100 B acks=1", "produce", at, "small", "--size", 100, "--acks", 1, "--megabytes", small, unit="records_per_s", unit_text="records/s", gigabytes=small / 1000)
        for codec in ("lz4", "zstd"):
            measured(f"produce 1 KB {codec}", "produce", at, codec, "--codec", codec, "--megabytes", megabytes)
    if "consume" in rows:
        load("kafka_load", "consume", at, "warm", "--megabytes", 100)
        measured("consume 1 KB", "consume", at, "kb", "--megabytes", megabytes)
        if "produce" in rows:
            measured("consume 100 B", "consume", at, "small", "--megabytes", megabytes // 4, unit="records_per_s", unit_text="records/s", gigabytes=megabytes / 4000)
    if "latency" in rows:
        result = load("kafka_load", "latency", at, "delivery", "--size", 100, "--records", 2000 if quick else 10000)
        for p in ("p50", "p99", "p999"):
            out[f"delivery, 100 B one at a time: {p}, ms"] = result[f"{p}_ms"]
    if "topics" in rows:
        began = time.monotonic()
        run([script("kafka-topics.sh"), "--bootstrap-server", at, "--create", "--topic", "many", "--partitions", "1000", "--replication-factor", "1"], timeout=120)
        wait_until(lambda: has_leader(port, "many", 999), "1,000 partitions led", 60, broker)
        out["create 1,000 partitions, s"] = time.monotonic() - began
    out["broker: memory after load, MB"] = rss_mb(broker.pid)
    broker.kill(), zk.kill()


def main():
    parser = argparse.ArgumentParser(prog="scripts/bench.sh", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rows", default="start,zk,produce,consume,latency,topics")
    parser.add_argument("--quick", action="store_true", help="small loads, for a smoke run")
    parser.add_argument("--markdown", action="store_true", help="print the table as docs/performance.md has it")
    parser.add_argument("--only-ours", action="store_true")
    args = parser.parse_args()
    rows = set(args.rows.split(","))
    stacks = [Ours]
    if not args.only_ours:
        try:
            peers()
            stacks.append(Apache)
        except SystemExit:
            print("only ours is measured", flush=True)
    samples, failed = {}, 0
    for number in range(args.rounds):
        for make in stacks if number % 2 == 0 else reversed(stacks):
            out = {}
            print(f"round {number + 1} of {args.rounds}: {make.name}", file=sys.stderr, flush=True)
            try:
                if "start" in rows:
                    row_start(make, out, args.quick)
                if "zk" in rows:
                    row_zk(make, out, args.quick)
                if rows & {"produce", "consume", "latency", "topics"}:
                    row_kafka(make, out, args.quick, rows)
            except AssertionError as failure:
                failed += 1
                print(f"{make.name}: {failure}", file=sys.stderr, flush=True)
            # A row of this round counts only as far as it came: what failed is said and left out.
            for key, value in out.items():
                samples.setdefault(key, {}).setdefault(make.name, []).append(value)
    line = "| {} | {} | {} | {} |" if args.markdown else "{:<50} {:>12} {:>12} {:>8}"
    print(line.format("What (median)", "ours", "Apache", "ratio"))
    if args.markdown:
        print("|---|---|---|---|")
    for key, by_stack in samples.items():
        if "ours" not in by_stack:
            continue
        ours = statistics.median(by_stack["ours"])
        theirs = statistics.median(by_stack["apache"]) if "apache" in by_stack else None
        ratio = f"{ours / theirs:.2f}" if theirs else "-"
        shown = lambda v: "-" if v is None else f"{v:,.0f}" if v >= 100 else f"{v:.2f}"
        print(line.format(key, shown(ours), shown(theirs), ratio), flush=True)
    sys.exit(1 if failed else 0)


main()
