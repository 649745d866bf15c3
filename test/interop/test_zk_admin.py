#!/usr/bin/python3
"""What operators read of an ensemble member, beside a real Apache 3.9: every four-letter word line by line, every HTTP
command's fields, refusals; and snapshots crossing over, compressed ones in directories and plain ones over HTTP."""
import http.client
import json
import os
import re
import socket
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import ApacheEnsemble, Ensemble, free_ports, main, skip, wait_until  # noqa: E402

try:
    from kazoo.client import KazooClient
except ImportError:
    skip("python3-kazoo is not installed")

WORDS = "conf cons crst dirs dump envi gtmk hash isro mntr ruok srst srvr stat wchc wchp wchs".split()
NO_WORDS = "icfg lead lsnp orst obsr sdmp sysp".split()  # only HTTP knows them
COMMANDS = ("configuration conf config connections cons dirs dump environment env envi get_trace_mask gtmk hash "
            "initial_configuration icfg is_read_only isro last_snapshot lsnp leader lead monitor mntr "
            "observer_connection_stat_reset orst observers obsr ruok server_stats srvr set_trace_mask stats stat "
            "system_properties sysp voting_view watch_summary wchs watches wchc watches_by_path wchp zabstate nosuch ruok/x "
            "set_trace_mask?traceMask=7 stmk?traceMask=x connection_stat_reset crst stat_reset srst snapshot snap restore").split()
OURS_ALONE = {"fsync_threshold_exceed_count", "refused_writes", "watches_fired"}
SUPER = {"Authorization": "digest super:test"}
EXTRA = "admin.enableServer=true\nadmin.serverAddress=127.0.0.1\nDigestAuthenticationProvider.superDigest=super:D/InIHSb7yEEbrWz8b9l71RjZJU=\n"


def server(kind, directory=None, extra=""):
    admin = free_ports(1)[0]
    made = kind(directory=directory, extra=EXTRA + f"admin.serverPort={admin}\n" + extra)
    made.admin = admin
    wait_until(lambda: ask(made, "ruok")[0] == 200, "the admin server", server=made.server)
    return made


def word(server, text):
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as s:
        s.sendall(text)
        s.settimeout(0.5 if text.decode("latin1") in NO_WORDS else 10)
        answer = b""
        try:
            while piece := s.recv(65536):
                answer += piece
        except ConnectionResetError:
            pass
        except TimeoutError:
            assert text.decode("latin1") in NO_WORDS, text
        return answer.decode()


def ask(server, target, method="GET", headers=None, body=None):
    try:
        c = http.client.HTTPConnection("127.0.0.1", server.admin, timeout=20)
        c.request(method, "/commands" + ("/" + target if target else ""), body=body, headers=headers or {})
        r = c.getresponse()
        answer = r.read()
        c.close()
        return r.status, dict((k.lower(), v) for k, v in r.getheaders()), answer
    except OSError:
        return 0, {}, b""


def client(server):
    k = KazooClient(hosts=f"127.0.0.1:{server.port}")
    k.start()
    return k


def populate(server):
    k = client(server)
    k.create("/pa", b"x")
    k.create("/pa/e", b"1", ephemeral=True)
    for path in ("/pa", "/nope"):
        k.exists(path, watch=lambda event: None)
    k.get_children("/pa", watch=lambda event: None)
    return k


def normal(text):
    """Numbers, sessions, ports, dates and the version become marks; what is left must be the same."""
    text = re.sub(r"3\.9\.\d+-[^\n,]*, built on [^\n]*", "VERSION", text)
    text = re.sub(r"0x[0-9a-f]+", "HEX", text)
    text = re.sub(r"[A-Z][a-z]{2} [A-Z][a-z]{2} +\d+ [\d:]+ \w+ \d{4}", "DATE", text)
    text = re.sub(r"=/[^\n]*", "=PATH", text)
    text = re.sub(r"lop=\w+", "lop=OP", text)  # the last operation: a ping has come by now, or not yet
    return re.sub(r"-?\d+(\.\d+)?", "N", text)


def lines(name, text):
    if name == "envi":
        return [line.split("=")[0] for line in text.splitlines()]
    if name == "mntr":
        keys = [line.split("\t")[0].removeprefix("zk_") for line in text.splitlines()]
        return sorted(set(keys) - OURS_ALONE)
    if name == "dump":
        return sorted(set(normal(text).splitlines()))  # how many expiry times sessions share depends on the moment they came
    if name in ("cons", "stat", "wchc", "wchp"):
        return sorted(normal(text).splitlines())  # their lists are in the order of Java's hashes
    return normal(text).splitlines()


def shape(value, sort=False):
    """Types for values. The order of a page's own fields is theirs; what is in them comes from Java beans, whose order is
    that of the JVM's reflection and changes from run to run."""
    if isinstance(value, dict):
        return {key: shape(one, True) for key, one in (sorted(value.items()) if sort else value.items())}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return type(value).__name__


def fields(target, answer):
    if not answer.startswith(b"{"):
        return answer
    page = json.loads(answer)
    if target in ("environment", "env", "envi"):
        return list(page)
    if target in ("monitor", "mntr"):
        return {k: type(v).__name__ for k, v in page.items() if k not in OURS_ALONE}
    if target in ("system_properties", "sysp"):
        return sorted(k for k in page if k.startswith("zookeeper.admin.") or k in ("command", "error"))
    if target in ("dump", "watches", "wchc", "watches_by_path", "wchp"):
        # Keys are sessions, paths and expiry times. How many expiry times there are depends on the moment sessions came,
        # and one that all sessions have left stays, empty, until it is due.
        return {k: sorted({str(one) for one in shape(v).values() if one != []}) if isinstance(v, dict) and "path_to" not in k
                else shape(v) for k, v in page.items()}
    if target in ("last_snapshot", "lsnp", "dirs"):
        return list(page)
    small = len(answer) < 150 and target != "initial_configuration"
    return (json.dumps(page) if small else json.dumps(shape(page)))  # the order of the fields counts


def same_words_and_commands():
    apache, ours = server(ApacheEnsemble), server(Ensemble)
    sessions = [populate(apache), populate(ours)]
    for name in WORDS:
        theirs, mine = (lines(name, word(s, name.encode())) for s in (apache, ours))
        assert theirs == mine, f"{name}:\n{theirs}\n{mine}"
    for text in (b"stmk" + (5).to_bytes(8, "big"), b"gtmk", b"\xff\xf4\xff\xfd", *[w.encode() for w in NO_WORDS]):
        theirs, mine = word(apache, text), word(ours, text)
        assert theirs == mine, (text, theirs, mine)
    for target in COMMANDS:
        (status, headers, answer), (my_status, my_headers, my_answer) = ask(apache, target), ask(ours, target)
        assert (status, headers["content-type"]) == (my_status, my_headers["content-type"]), (target, status, my_status)
        assert fields(target, answer) == fields(target, my_answer), f"{target}:\n{answer.decode()}\n{my_answer.decode()}"
    assert ask(apache, "")[2] == ask(ours, "")[2]
    for target, method, headers in (("snapshot", "GET", {"Authorization": "nope x"}), ("snapshot", "GET", {"Authorization": "digest"}),
                                    ("restore", "POST", {}), ("snapshot", "POST", {}), ("ruok", "TRACE", {}), ("ruok", "PUT", {}),
                                    ("ruok", "HEAD", {})):
        theirs, mine = ask(apache, target, method, headers), ask(ours, target, method, headers)
        refused = method in ("TRACE", "PUT")  # with a line of text here, with nothing there
        assert theirs[0] == mine[0] and (refused or theirs[2] == mine[2]), (target, method, theirs, mine)
    for k in sessions:
        k.stop()
    refused = Ensemble(extra="4lw.commands.whitelist=ruok\n"), ApacheEnsemble(extra="4lw.commands.whitelist=ruok\n")
    for text in (b"ruok", b"srvr", b"mntr", b"isro", b"wchs", b"\xff\xf4\xff\xfd"):
        mine, theirs = (normal(word(s, text)) for s in refused)
        assert (mine == theirs) or text == b"srvr" and mine.startswith("Zookeeper version"), (text, mine, theirs)
    for s in (*refused, apache, ours):
        s.server.kill()


def snapshots_over_http():
    apache, ours = server(ApacheEnsemble), server(Ensemble)
    for source, target in ((apache, ours), (ours, apache)):
        k = client(source)
        mark = f"/from{source.port}"
        for i in range(30):
            k.create(f"{mark}-{i}", b"v" * i)
        k.stop()
        time.sleep(0.5)  # the rate limit
        status, headers, snapshot = ask(source, "snapshot", headers=SUPER)
        assert status == 200 and headers["content-type"] == "application/octet-stream", status
        assert int(headers["snapshot_size"]) == len(snapshot) and headers["last_zxid"].startswith("0x")
        if target is apache:
            break  # it takes one restore in five minutes, and its sessions then are the snapshot's: looked at below
        status, _, answer = ask(target, "restore", "POST", SUPER, snapshot)
        assert status == 200 and json.loads(answer)["last_zxid"] >= int(headers["last_zxid"], 16), (status, answer)
        k = client(target)
        assert k.get(f"{mark}-29")[0] == b"v" * 29
        k.stop()
        target.server.kill()
        target.start()
        k = client(target)
        assert k.get(f"{mark}-29")[0] == b"v" * 29
        k.stop()
    status, _, answer = ask(apache, "restore", "POST", SUPER, snapshot)
    assert status == 200 and json.loads(answer)["last_zxid"] == int(headers["last_zxid"], 16), (status, answer)
    for s in (apache, ours):
        s.server.kill()


def compressed_snapshots_in_directories():
    for method, ending in (("gz", ".gz"), ("snappy", ".snappy")):
        extra = f"snapshot.compression.method={method}\n"
        directory = None
        for turn, kind in enumerate((ApacheEnsemble, Ensemble, ApacheEnsemble)):
            s = server(kind, directory, extra)
            directory = s.directory
            k = client(s)
            for earlier in range(turn):
                assert k.get(f"/turn{earlier}-19")[0] == b"z" * 2000, (method, kind, earlier)
            for i in range(20):
                k.create(f"/turn{turn}-{i}", b"z" * 2000)
            k.stop()
            assert ask(s, "snapshot?streaming=false", headers=SUPER)[0] == 200
            names = os.listdir(os.path.join(directory, "zk", "version-2"))
            assert any(n.startswith("snapshot.") and n.endswith(ending) for n in names), names
            s.server.kill()
            # The logs go, so that what is read next is the snapshot; it says all, as nobody wrote meanwhile.
            for name in os.listdir(os.path.join(directory, "zk", "version-2")):
                if name.startswith("log."):
                    os.remove(os.path.join(directory, "zk", "version-2", name))


if __name__ == "__main__":
    main(same_words_and_commands, snapshots_over_http, compressed_snapshots_in_directories)
