"""The shells of others against our ensemble (Debian's zkCli.sh in Java, the C client's cli_mt), and ours against it."""
from harness import *


def test_zkcli():
    zkcli = "/usr/share/zookeeper/bin/zkCli.sh"
    if not os.path.exists(zkcli):
        skip("Debian's zookeeper package is not installed")
    ensemble = Ensemble()
    commands = ["create /a hello", "get -s /a", "create -s -e /a/s- x", "ls /a", "set /a world", "stat /a", "create /multi/level x",
                "getAcl /a", "create /locked x", "setAcl /locked world:anyone:r", "set /locked refused", "deleteall /a", "ls /", "quit"]
    done = run([zkcli, "-server", f"127.0.0.1:{ensemble.port}"], stdin="\n".join(commands) + "\n", timeout=60, check=False)
    text = done.stdout + done.stderr
    for wanted in ("Created /a", "hello", "Created /a/s-0000000000", "dataVersion = 1", "Insufficient permission : /locked", "[locked, zookeeper]", "Node does not exist: /multi/level",
                   "cdrwa"):
        assert wanted in text, f"no {wanted!r} in {text[-4000:]}"


def test_c_client_shell():
    shell = "/usr/lib/zookeeper/bin/cli_mt"
    if not os.path.exists(shell):
        skip("zookeeper-bin is not installed")
    ensemble = Ensemble()
    done = run([shell, f"127.0.0.1:{ensemble.port}"], stdin="create /c\nset /c value\nget /c\nls /\nstat /c\ndelete /c\nexists /c\nquit\n",
               timeout=30, check=False)
    text = done.stdout + done.stderr
    for wanted in ("/c", "value", "zookeeper", "rc = 0"):
        assert wanted in text, f"no {wanted!r} in {text[-4000:]}"
    # What the shell did is there for another client: /c was deleted again.
    assert "/c" not in run([script("zookeeper-shell.sh"), f"127.0.0.1:{ensemble.port}", "ls", "/"]).stdout.splitlines()[-1]


def test_our_shell():
    ensemble = Ensemble()
    shell = [script("zookeeper-shell.sh"), f"127.0.0.1:{ensemble.port}"]
    run(shell + ["create", "/s", "data"])
    assert run(shell + ["get", "/s"]).stdout.splitlines()[-1] == "data"
    assert run(shell + ["ls", "/"]).stdout.splitlines()[-1] == "[s, zookeeper]"
    missing = run(shell + ["get", "/none"], check=False)
    assert "Node does not exist: /none" in missing.stdout + missing.stderr and missing.returncode == 1, missing
    for lines, code in ("get /none\n\nquit\n", 1), ("get /none\n\n", 1), ("get /none\nget /s\nquit\n", 0):
        assert run(shell, stdin=lines, check=False).returncode == code, lines


main(test_zkcli, test_c_client_shell, test_our_shell)
