"""What live Apache servers answered, step by step, played against ours. The scenarios that may differ are those named in
docs/compat.md, as lines `| transcript: NAME | reason |`; any other difference fails, and so does an exception that passes."""
import re
from harness import *


def allowed(server):
    """Names between the markers of one server in docs/compat.md."""
    with open(os.path.join(ROOT, "docs", "compat.md")) as f:
        return set(re.findall(rf"^\| {server}: ([\w-]+) \|", f.read(), re.M))


def test_ensemble():
    player, vectors = shared("tools", "zk_transcript.py"), shared("vectors", "zk-transcript.jsonl")
    d = tmp_dir()
    (port,) = free_ports(1)
    config = os.path.join(d, "zoo.cfg")
    with open(config, "w") as f:
        f.write(run([sys.executable, player, "conf", str(port), os.path.join(d, "data")]).stdout)
    server = Process([OTTLA, "zookeeper", config], os.path.join(d, "zk.log"))
    wait_until(lambda: accepts(port), "ensemble ready", server=server)
    skipped = sorted(allowed("zk-transcript"))
    command = [sys.executable, player, "check", vectors, f"127.0.0.1:{port}", "--as", "3.9"] + (["--skip", *skipped] if skipped else [])
    done = run(command, timeout=400, check=False)
    print(done.stdout[-2000:])
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-3000:]
    assert server.alive(), server.tail()


def test_broker():
    source, vectors = shared("tools", "KafkaTranscript.java"), shared("vectors", "kafka-transcript.jsonl")
    properties = shared("vectors", "kafka-transcript.properties")
    jars = peers()
    classes = tmp_dir()
    run([need("javac"), "-nowarn", "-cp", jars, "-d", classes, source], timeout=120)
    ensemble = Ensemble()
    broker_dir = tmp_dir()
    (port,) = free_ports(1)
    with open(properties) as f:
        kept = [l for l in f if not l.startswith(("listeners=", "zookeeper.connect=", "log.dirs="))]
    config = os.path.join(broker_dir, "server.properties")
    with open(config, "w") as f:
        f.write("".join(kept) + f"listeners=PLAINTEXT://127.0.0.1:{port}\nzookeeper.connect=127.0.0.1:{ensemble.port}\nlog.dirs={broker_dir}/logs\n")
    server = Process([OTTLA, "broker", config], os.path.join(broker_dir, "broker.log"))
    wait_until(lambda: serves_kafka(port), "broker ready", server=server)
    done = run([java(), "-Xmx512m", "-XX:TieredStopAtLevel=1", "-DtimeoutMs=2000", "-cp", f"{classes}:{jars}", "KafkaTranscript", "check", vectors, f"127.0.0.1:{port}"],
               timeout=900, check=False)
    text = done.stdout + done.stderr
    with open(vectors) as f:
        names = list(dict.fromkeys(re.findall(r'^\{"scenario":"([^"]+)"', f.read(), re.M)))
    failed = failed_scenarios(text, names)
    expected = allowed("kafka-transcript")
    print(f"{len(names) - len(failed)} of {len(names)} scenarios pass; allowed to differ: {len(expected)}")
    assert failed - expected == set(), f"differ without a reason in docs/compat.md: {sorted(failed - expected)}\n{text[-8000:]}"
    assert expected - failed == set(), f"pass, but docs/compat.md still excuses them: {sorted(expected - failed)}"
    for name, part in narrow("kafka-transcript").items():
        wider = [l for l in text.splitlines() if l.startswith(name + "/") and part not in l]
        assert not wider, f"{name} differs in more than docs/compat.md says ({part}):\n" + "\n".join(wider)[:4000]
    assert server.alive(), server.tail()


def narrow(server):
    """Scenarios that may differ in one thing alone: name -> what every line of difference holds."""
    with open(os.path.join(ROOT, "docs", "compat.md")) as f:
        return dict(re.findall(rf"^\| {server}: ([\w-]+) \| only `([^`]+)`", f.read(), re.M))


def failed_scenarios(text, names):
    """The player's last line: N steps, M scenarios, K steps differ[ in [names]]."""
    summary = re.search(r"^\d+ steps, \d+ scenarios, (\d+) steps differ(?: in \[?(.*?)\]?)?$", text, re.M)
    assert summary, "the player did not finish:\n" + text[-4000:]
    return set(re.findall(r"[\w-]+", summary.group(2) or "")) & set(names)


main(test_ensemble, test_broker)
