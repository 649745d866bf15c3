"""kazoo: sessions, ephemerals, watches, transactions, and its recipes."""
import threading
from harness import *

try:
    from kazoo.client import KazooClient
    from kazoo.exceptions import BadVersionError, NoAuthError, NoNodeError, NodeExistsError, NotEmptyError, RolledBackError
    from kazoo.security import make_digest_acl
except ImportError:
    skip("python3-kazoo is not installed")


def client(ensemble, chroot=""):
    zk = KazooClient(hosts=f"127.0.0.1:{ensemble.port}{chroot}", timeout=4)
    zk.start(10)
    atexit.register(lambda: (zk.stop(), zk.close()))
    return zk


def raises(kind, call, *args, **kwargs):
    try:
        call(*args, **kwargs)
    except kind:
        return
    raise AssertionError(f"{call} did not raise {kind}")


def test_operations():
    ensemble = Ensemble()
    zk = client(ensemble)
    assert zk.create("/a", b"1") == "/a"
    raises(NodeExistsError, zk.create, "/a", b"1")
    raises(NoNodeError, zk.create, "/x/y", b"")
    assert zk.set("/a", b"2").version == 1
    raises(BadVersionError, zk.set, "/a", b"3", version=0)
    names = [zk.create("/a/s-", b"", sequence=True) for _ in range(3)]
    assert names == ["/a/s-0000000000", "/a/s-0000000001", "/a/s-0000000002"]
    assert sorted(zk.get_children("/a")) == [n[3:] for n in names]
    raises(NotEmptyError, zk.delete, "/a")
    data, stat = zk.get("/a")
    assert data == b"2" and stat.numChildren == 3 and stat.cversion == 3 and stat.version == 1
    transaction = zk.transaction()
    transaction.create("/t", b"x")
    transaction.check("/a", version=99)
    results = transaction.commit()
    assert isinstance(results[1], BadVersionError) and isinstance(results[0], RolledBackError), results
    assert zk.exists("/t") is None
    zk.add_auth("digest", "joe:secret")
    zk.create("/private", b"", acl=[make_digest_acl("joe", "secret", all=True)])
    raises(NoAuthError, client(ensemble).get, "/private")
    assert zk.get("/private")[0] == b""
    big = b"x" * 900_000
    zk.create("/big", big)
    assert zk.get("/big")[0] == big


def test_watches_and_ephemerals():
    ensemble = Ensemble()
    zk, other = client(ensemble), client(ensemble)
    fired = []
    event = threading.Event()
    zk.get_children("/", watch=lambda e: (fired.append(e), event.set()))
    other.create("/e", b"", ephemeral=True)
    assert event.wait(5) and fired[0].type == "CHILD" and fired[0].path == "/", fired
    gone = threading.Event()
    assert zk.exists("/e", watch=lambda e: gone.set()).owner_session_id == other.client_id[0]
    other.stop()
    assert gone.wait(5)
    assert zk.exists("/e") is None


def test_chroot():
    ensemble = Ensemble()
    client(ensemble).create("/tenant", b"")
    inside = client(ensemble, "/tenant")
    inside.create("/a", b"v")
    assert client(ensemble).get("/tenant/a")[0] == b"v"


def test_recipes():
    ensemble = Ensemble()
    a, b = client(ensemble), client(ensemble)
    order = []
    lock = a.Lock("/lock", "a")
    lock.acquire(timeout=5)
    waiter = threading.Thread(target=lambda: (b.Lock("/lock", "b").acquire(timeout=10), order.append("b")))
    waiter.start()
    wait_until(lambda: len(a.get_children("/lock")) == 2, "second contender queued")
    order.append("a")
    lock.release()
    waiter.join(10)
    assert order == ["a", "b"]
    queue = a.Queue("/queue")
    for i in range(10):
        queue.put(str(i).encode())
    assert [b.Queue("/queue").get() for _ in range(10)] == [str(i).encode() for i in range(10)]
    barrier = a.Barrier("/barrier")
    barrier.create()
    threading.Timer(0.2, barrier.remove).start()
    assert b.Barrier("/barrier").wait(5)
    counter = a.Counter("/counter")
    counter += 5
    counter -= 2
    assert b.Counter("/counter").value == 3
    elected = threading.Event()
    threading.Thread(target=lambda: a.Election("/election", "a").run(elected.set)).start()
    assert elected.wait(5)


def test_session_survives_a_server_restart():
    ensemble = Ensemble()
    zk = client(ensemble)
    zk.create("/e", b"", ephemeral=True)
    session = zk.client_id[0]
    ensemble.server.kill()
    ensemble.start()
    wait_until(lambda: zk.connected, "reconnected")
    assert zk.exists("/e").owner_session_id == session


main(test_operations, test_watches_and_ephemerals, test_chroot, test_recipes, test_session_survives_a_server_restart)
