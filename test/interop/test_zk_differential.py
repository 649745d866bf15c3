"""One seeded stream of operations to Apache ZooKeeper and to ours in lock step, every answer compared
(test/differential/README.md has what may differ). Afterwards each server opens the other's directory and
must show the same tree.

  test_zk_differential.py [--seed N] [--seeds N] [--operations N] [--as 3.9|3.8] [--play FILE] [--shrink FILE] [--full]

Without arguments: what fits into every test run. A difference prints its seed, leaves the script of what was
played in build/zk_diff.SEED.script, and --shrink FILE cuts that down to the few steps that still differ."""
import argparse
from harness import *

PROGRAM = os.environ.get("OTTLA_ZK_DIFF", os.path.join(BUILD, "test", "differential", "zk_diff"))
# Long ticks: nothing may expire while the stream runs. The reaper of containers never comes.
EXTRA = "tickTime=300000\nextendedTypesEnabled=true\nenforceQuota=true\nforceSync=no\npreAllocSize=4096\n" \
        "DigestAuthenticationProvider.superDigest=super:D/InIHSb7yEEbrWz8b9l71RjZJU=\n"
NEVER = 1_000_000_000


def apache(version, directory=None):
    return ApacheEnsemble(version, directory=directory, extra=EXTRA, heap="512m", jvm=[
        f"-Dznode.container.checkIntervalMs={NEVER}", "-Dzookeeper.forceSync=no", "-Dzookeeper.extendedTypesEnabled=true"])


def ours(directory=None):
    return Ensemble(directory=directory, extra=EXTRA + f"znode.container.checkIntervalMs={NEVER}\n")


def dump(ensemble):
    return run([PROGRAM, "--dump", str(ensemble.port)], timeout=60).stdout


def without_quota_statistics(text):
    """Both servers count them anew at a start, and a running server's may have drifted."""
    return [line for line in text.splitlines() if "/zookeeper_stats'" not in line.split(" ")[0]]


def swap_directories(a, b, version):
    """Both killed; each server opens the other's directory: the tree is what it was, to the last field."""
    trees = [dump(a), dump(b)]
    for server in (a, b):
        server.server.kill()
    # The dumps' own sessions are nobody's business: they own nothing and change no node.
    for directory, tree, start in ((a.directory, trees[0], ours), (b.directory, trees[1], lambda d: apache(version, d))):
        other = start(directory)
        was, now = without_quota_statistics(tree), without_quota_statistics(dump(other))
        differ = [pair for pair in zip(was, now) if pair[0] != pair[1]][:1]
        assert was == now, f"the tree of {directory}, {len(was)} nodes, is another on {type(other).__name__}, {len(now)} nodes: {differ}"
        other.server.kill()


def one_seed(seed, operations, version, swap, script=None):
    a, b = apache(version), ours()
    script = script or os.path.join(ROOT, "build", f"zk_diff.{seed}.script")
    done = run([PROGRAM, "--reference", str(a.port), "--subject", str(b.port), "--seed", str(seed), "--operations", str(operations),
                "--as", version, "--script", script], timeout=3600, check=False)
    print(done.stdout + done.stderr, end="", flush=True)
    if done.returncode != 0:
        shutil.copy(a.server.log, script.replace(".script", ".reference.log"))
        shutil.copy(b.server.log, script.replace(".script", ".subject.log"))
        raise AssertionError(f"seed {seed}: the servers differ; script {script}; cut it down with --shrink {script}")
    os.unlink(script)
    if swap:
        swap_directories(a, b, version)
    for server in (a, b):
        server.server.kill()


def play(script, version):
    a, b = apache(version), ours()
    done = run([PROGRAM, "--reference", str(a.port), "--subject", str(b.port), "--play", script, "--as", version], timeout=3600, check=False)
    for server in (a, b):
        server.server.kill()
    return done.stdout


def shrink(script, version):
    """Leaves out ever smaller pieces of the script as long as what remains still differs at the same kind of step."""
    with open(script) as f:
        lines = f.read().splitlines()
    said = play(script, version)
    assert "DIFFERENCE" in said, "the script shows no difference"
    wanted = said.splitlines()[1].split(":")[-1].split()[3:4]
    attempt, piece = script + ".try", len(lines) // 2
    while piece >= 1:
        at = 0
        while at < len(lines):
            rest = lines[:at] + lines[at + piece:]
            with open(attempt, "w") as f:
                f.write("\n".join(rest) + "\n")
            now = play(attempt, version)
            if "DIFFERENCE" in now and now.splitlines()[1].split(":")[-1].split()[3:4] == wanted:
                lines, said = rest, now
                print(f"{len(lines)} steps", flush=True)
            else:
                at += piece
        piece //= 2
    with open(script + ".short", "w") as f:
        f.write("\n".join(lines) + "\n")
    print(said + f"{len(lines)} steps in {script}.short")


if not os.path.exists(PROGRAM):
    skip(f"{PROGRAM} is not built (scripts/build.sh dev zk_diff)")
java()
arguments = argparse.ArgumentParser()
arguments.add_argument("--seed", type=int, default=int(time.time()))
arguments.add_argument("--seeds", type=int, default=1)
arguments.add_argument("--operations", type=int)
arguments.add_argument("--full", action="store_true")
arguments.add_argument("--as", dest="version", choices=["3.8", "3.9"])
arguments.add_argument("--no-swap", action="store_true")
arguments.add_argument("--play")
arguments.add_argument("--shrink")
options = arguments.parse_args()
if options.play:
    print(play(options.play, options.version or "3.9"), end="")
elif options.shrink:
    shrink(options.shrink, options.version or "3.9")
else:
    # Every run: a fresh seed, short. The long form: five of full length.
    seeds, operations = (5, {"3.9": 200_000, "3.8": 50_000}) if options.full else (options.seeds, {"3.9": 12_000, "3.8": 4_000})
    for seed in range(options.seed, options.seed + seeds):
        for version in [options.version] if options.version else ["3.9", "3.8"]:
            one_seed(seed, options.operations or operations[version], version, not options.no_swap)
    print("passed")
