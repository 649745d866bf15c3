"""Data directories both ways, of servers that were killed while they wrote: the other server opens them and shows the
same tree to the last field of every Stat, and every acknowledged write is there.

OTTLA_ZK_KILLS: rounds in each direction; default 2, with --full 50."""
from harness import *

PROGRAM = os.environ.get("OTTLA_ZK_CRASH", os.path.join(BUILD, "test", "differential", "zk_crash"))
DUMP = os.path.join(os.path.dirname(PROGRAM), "zk_diff")
ROUNDS = int(os.environ.get("OTTLA_ZK_KILLS", "50" if FULL else "2"))
# Snapshots and new log files come often; no session ends between two rounds.
EXTRA = "tickTime=300000\nsnapCount=500\npreAllocSize=64\n" \
        "DigestAuthenticationProvider.superDigest=super:D/InIHSb7yEEbrWz8b9l71RjZJU=\n"


def dump(ensemble):
    return run([DUMP, "--dump", str(ensemble.port)], timeout=120).stdout


def load_and_kill(ensemble, seed, files, warm_up=0.0):
    """Eight clients write until the server is killed under them; how many writes were acknowledged."""
    files.append(os.path.join(tmp_dir(), "acknowledged"))
    client = subprocess.Popen([PROGRAM, "load", str(ensemble.port), str(seed), "8", files[-1]], stdout=subprocess.PIPE, text=True)
    time.sleep(warm_up + 0.2 + (seed * 37 % 10) * 0.07)
    ensemble.server.kill()
    out, _ = client.communicate(timeout=60)
    assert client.returncode == 0, out
    return int(out)


def verify(ensemble, files):
    run([PROGRAM, "verify", str(ensemble.port), *files], timeout=120)


def copy_of(ensemble):
    copy = tmp_dir()
    shutil.copytree(os.path.join(ensemble.directory, "zk"), os.path.join(copy, "zk"))
    return copy


def start_again(apache):
    """Apache, killed as it begins a log, leaves it without a header, and does not start before somebody removes it."""
    folder = os.path.join(apache.directory, "zk", "version-2")
    newest = max((n for n in os.listdir(folder) if n.startswith("log.")), key=lambda n: int(n[4:], 16))
    if os.path.getsize(os.path.join(folder, newest)) < 16:
        os.remove(os.path.join(folder, newest))
    apache.start()


def same(a, b, what):
    if a != b:
        lines = [(x, y) for x, y in zip(a.splitlines(), b.splitlines()) if x != y]
        raise AssertionError(f"{what}: {len(a.splitlines())} and {len(b.splitlines())} nodes, first difference {lines[:1]}")


def test_ours_opened_by_apache():
    ours, files, acknowledged = Ensemble(extra=EXTRA), [], 0
    for i in range(ROUNDS):
        acknowledged += load_and_kill(ours, 1000 + i, files)
        copy = copy_of(ours)
        version = ["3.9", "3.8"][i % 2]
        apache = ApacheEnsemble(version, directory=copy, extra=EXTRA)
        verify(apache, files[-3:])
        ours.start()
        same(dump(ours), dump(apache), f"round {i}, ours opened by Apache {version}")
        apache.server.kill()
        shutil.rmtree(copy)
    verify(ours, files)
    print(f"{ROUNDS} kills, {acknowledged} acknowledged writes, none missing")
    assert acknowledged > 100 * ROUNDS


def test_apache_opened_by_ours():
    acknowledged = 0
    for version in ["3.9", "3.8"]:
        files = []
        apache = ApacheEnsemble(version, extra=EXTRA)
        for i in range(ROUNDS if version == "3.9" else (ROUNDS + 1) // 2):
            acknowledged += load_and_kill(apache, 3000 + i, files, warm_up=0.8)
            ours = Ensemble(directory=copy_of(apache), extra=EXTRA)
            verify(ours, files[-3:])
            start_again(apache)
            same(dump(apache), dump(ours), f"round {i}, Apache {version} opened by ours")
            ours.server.kill()
            shutil.rmtree(ours.directory)
        verify(apache, files)
        apache.server.kill()
    print(f"{acknowledged} acknowledged writes, none missing")


if not os.path.exists(PROGRAM):
    skip(f"{PROGRAM} is not built (scripts/build.sh dev zk_crash)")
java()
main(test_ours_opened_by_apache, test_apache_opened_by_ours)
