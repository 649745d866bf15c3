"""kazoo: sessions, ephemerals, watches, transactions, and its recipes."""
import collections
import datetime
import threading
from harness import *

try:
    from kazoo.client import KazooClient
    from kazoo.exceptions import BadVersionError, NoAuthError, NoNodeError, NodeExistsError, NotEmptyError, RolledBackError
    from kazoo.recipe.cache import TreeCache, TreeEvent
    from kazoo.recipe.watchers import PatientChildrenWatch
    from kazoo.security import make_digest_acl
except ImportError:
    skip("python3-kazoo is not installed")


def client(ensemble, chroot=""):
    zk = KazooClient(hosts=f"127.0.0.1:{ensemble.port}{chroot}", timeout=scaled(4))
    zk.start(scaled(10))
    atexit.register(lambda: (zk.stop(), zk.close()))
    return zk


def raises(kind, call, *args, **kwargs):
    try:
        call(*args, **kwargs)
    except kind:
        return
    raise AssertionError(f"{call} did not raise {kind}")


def test_operations():
    ensemble = ensemble_of_choice()
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
    ensemble = ensemble_of_choice()
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
    ensemble = ensemble_of_choice()
    client(ensemble).create("/tenant", b"")
    inside = client(ensemble, "/tenant")
    inside.create("/a", b"v")
    assert client(ensemble).get("/tenant/a")[0] == b"v"


def test_recipes():
    ensemble = ensemble_of_choice()
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


def in_threads(*calls):
    """Runs the calls side by side; what one raises is raised here."""
    failures = []

    def guarded(call):
        try:
            call()
        except BaseException as e:  # noqa: B036
            failures.append(e)

    threads = [threading.Thread(target=guarded, args=(call,), daemon=True) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive(), "a recipe hangs"
    if failures:
        raise failures[0]


def test_locks():
    ensemble = ensemble_of_choice()
    clients = [client(ensemble) for _ in range(4)]
    inside, most, counts = [], [0], []

    def critical(zk, name):
        for i in range(8):
            with zk.Lock("/lock", name):
                inside.append(name)
                counts.append(int(zk.get("/sum")[0]))
                zk.set("/sum", str(counts[-1] + 1).encode())
                assert inside == [name]
                inside.remove(name)

    clients[0].create("/sum", b"0")
    in_threads(*[lambda zk=zk, name=str(i): critical(zk, name) for i, zk in enumerate(clients)])
    assert counts == list(range(32)), counts
    lock = clients[0].Lock("/lock", "kept")
    assert lock.acquire(timeout=5) and not clients[1].Lock("/lock", "no").acquire(blocking=False)
    assert clients[1].Lock("/lock", "no").contenders() == ["kept"]
    lock.release()

    readers = [clients[i].ReadLock("/rw", f"r{i}") for i in range(2)]
    for reader in readers:
        assert reader.acquire(timeout=5)
    writer = clients[2].WriteLock("/rw", "w")
    assert not writer.acquire(blocking=False)
    order = []

    def write():
        assert writer.acquire(timeout=10)
        order.append("w")
        writer.release()

    def read_late():
        wait_until(lambda: any("__lock__" in n and "rlock" not in n for n in clients[3].get_children("/rw")), "the writer is in line")
        late = clients[3].ReadLock("/rw", "late")
        assert not late.acquire(blocking=False), "a reader overtakes a waiting writer"
        order.append("r")
        for reader in readers:
            reader.release()
        assert late.acquire(timeout=10)
        order.append("late")

    in_threads(write, read_late)
    assert order == ["r", "w", "late"], order

    def lease(zk, name):
        for _ in range(4):
            with zk.Semaphore("/semaphore", name, max_leases=2):
                inside.append(name)
                most[0] = max(most[0], len(inside))
                time.sleep(0.005)
                inside.remove(name)

    in_threads(*[lambda zk=zk, name=str(i): lease(zk, name) for i, zk in enumerate(clients)])
    assert most[0] <= 2, most
    leases = [zk.Semaphore("/semaphore", str(i), max_leases=2) for i, zk in enumerate(clients[:3])]
    assert [lease.acquire(blocking=False) for lease in leases] == [True, True, False]
    for lease in leases[:2]:
        lease.release()
    raises(ValueError, clients[0].Semaphore("/semaphore", "x", max_leases=3).acquire)
    assert clients[0].Semaphore("/semaphore", "x", max_leases=2).lease_holders() == []


def test_election_and_barriers():
    ensemble = ensemble_of_choice()
    clients = [client(ensemble) for _ in range(3)]
    led, leading = [], []
    elections = [zk.Election("/election", str(i)) for i, zk in enumerate(clients)]

    def lead(name):
        leading.append(name)
        assert leading == [name]
        if name == "0":
            wait_until(lambda: len(elections[0].contenders()) == 3, "all stand")
        led.append(name)
        leading.remove(name)

    first = threading.Thread(target=lambda: elections[0].run(lead, "0"), daemon=True)
    first.start()
    wait_until(lambda: leading == ["0"] or led, "the first leads")
    in_threads(*[lambda i=i: elections[i].run(lead, str(i)) for i in (1, 2)])
    first.join(5)
    assert led[0] == "0" and sorted(led) == ["0", "1", "2"], led

    steps = []

    def pass_through(zk, name):
        barrier = zk.DoubleBarrier("/double", 3, name)
        steps.append("e")
        barrier.enter()
        steps.append("E")
        wait_until(lambda: steps.count("E") == 3, "all are in")
        steps.append("l")
        barrier.leave()
        steps.append("L")

    in_threads(*[lambda zk=zk, name=str(i): pass_through(zk, name) for i, zk in enumerate(clients)])
    assert "".join(steps).rfind("e") < "".join(steps).find("E") and "".join(steps).rfind("l") < "".join(steps).find("L"), steps

    barrier = clients[0].Barrier("/barrier")
    barrier.create()
    assert not clients[1].Barrier("/barrier").wait(0.1)
    in_threads(lambda: clients[1].Barrier("/barrier").wait(10), lambda: clients[2].Barrier("/barrier").wait(10), barrier.remove)


def test_queues_and_counters():
    ensemble = ensemble_of_choice()
    a, b, c = (client(ensemble) for _ in range(3))
    queue = a.Queue("/queue")
    for i, priority in enumerate([100, 50, 100, 1]):
        queue.put(str(i).encode(), priority)
    assert len(queue) == 4
    assert [b.Queue("/queue").get() for _ in range(5)] == [b"3", b"1", b"0", b"2", None]
    queue = a.LockingQueue("/locking")
    assert queue.put_all([b"x", b"y", b"z"]) is None and len(queue) == 3
    one, two = b.LockingQueue("/locking"), c.LockingQueue("/locking")
    assert (one.get(5), two.get(5)) == (b"x", b"y") and one.holds_lock() and two.holds_lock()
    assert one.consume() and len(queue) == 2
    c.stop()  # gives back what it had not consumed
    assert one.get(5) == b"y" and one.consume() and one.get(5) == b"z" and one.consume()
    assert one.get(0.2) is None and len(queue) == 0

    def add(zk, step):
        counter = zk.Counter("/counter")
        for _ in range(10):
            counter += step

    in_threads(lambda: add(a, 3), lambda: add(b, -1))
    assert a.Counter("/counter").value == 20
    floating = a.Counter("/float", default=1.5)
    floating += 2.0
    assert b.Counter("/float", default=1.5).value == 3.5


def test_parties_and_leases():
    ensemble = ensemble_of_choice()
    a, b, c = (client(ensemble) for _ in range(3))
    for kind in ("Party", "ShallowParty"):
        path = f"/{kind}"
        parties = [getattr(zk, kind)(path, name) for zk, name in ((a, "ann"), (b, "bob"))]
        for party in parties:
            party.join()
        assert sorted(parties[0]) == ["ann", "bob"] and len(parties[1]) == 2
        parties[0].leave()
        assert list(parties[1]) == ["bob"]
    lasting = datetime.timedelta(seconds=30)
    assert a.NonBlockingLease("/lease", lasting, "ann")
    assert a.NonBlockingLease("/lease", lasting, "ann")  # renewed
    assert not b.NonBlockingLease("/lease", lasting, "bob")
    held = [bool(zk.MultiNonBlockingLease(2, "/leases", lasting, name)) for zk, name in ((a, "ann"), (b, "bob"), (c, "cid"))]
    assert held == [True, True, False], held
    b.create("/work")
    partitioners = [zk.SetPartitioner("/partition", set=tuple(range(7)), identifier=name, time_boundary=0.2)
                    for zk, name in ((a, "ann"), (b, "bob"))]
    in_threads(*[lambda p=p: (p.wait_for_acquire(15), wait_until(lambda: p.acquired, "acquired")) for p in partitioners])
    parts = [set(p) for p in partitioners]
    assert parts[0] | parts[1] == set(range(7)) and not parts[0] & parts[1] and all(parts), parts
    for p in partitioners:
        p.finish()


def test_watchers_and_caches():
    ensemble = ensemble_of_choice()
    zk, other = client(ensemble), client(ensemble)
    data, names = [], []
    zk.DataWatch("/data", lambda value, stat: data.append(value))
    other.create("/data", b"1")
    wait_until(lambda: data == [None, b"1"], "created")
    other.set("/data", b"2")
    wait_until(lambda: data[-1] == b"2", "changed")
    other.delete("/data")
    wait_until(lambda: data[-1] is None, "deleted")
    other.create("/data", b"3")
    wait_until(lambda: data[-1] == b"3", "created again")
    other.create("/top")
    zk.ChildrenWatch("/top", lambda children: names.append(sorted(children)))
    for name in "abc":
        other.create(f"/top/{name}", ephemeral=True)
        wait_until(lambda: names[-1][-1:] == [name], f"{name} is seen")
    assert names[0] == [] and names[-1] == ["a", "b", "c"]
    settled, changed = PatientChildrenWatch(zk, "/top", time_boundary=0.2).start().get(10)
    assert sorted(settled) == ["a", "b", "c"] and not changed.ready()

    cache, seen = TreeCache(zk, "/tree"), collections.Counter()
    zk.create("/tree/x/y", b"deep", makepath=True)
    cache.listen(lambda event: seen.update([(kind_of(event), event.event_data.path if event.event_data else "")]))
    cache.start()
    wait_until(lambda: ("INITIALIZED", "") in seen, "the cache has all")
    assert cache.get_data("/tree/x/y").data == b"deep" and cache.get_children("/tree") == {"x"}
    other.set("/tree/x/y", b"deeper")
    other.create("/tree/x/z", b"new")
    wait_until(lambda: ("NODE_UPDATED", "/tree/x/y") in seen and ("NODE_ADDED", "/tree/x/z") in seen, "changes are seen")
    other.delete("/tree/x", recursive=True)
    wait_until(lambda: all(("NODE_REMOVED", f"/tree/x{rest}") in seen for rest in ("", "/y", "/z")), "removals are seen")
    assert cache.get_children("/tree") == set()
    ensemble.server.kill()
    ensemble.start()
    wait_until(lambda: other.connected and ("CONNECTION_RECONNECTED", "") in seen, "reconnected")
    other.create("/tree/after", b"")
    wait_until(lambda: ("NODE_ADDED", "/tree/after") in seen, "the cache watches again")
    wait_until(lambda: sorted(names[-1]) == ["a", "b", "c"], "the children again")
    other.set("/data", b"4")
    wait_until(lambda: data[-1] == b"4", "the watch was set again")
    cache.close()


def kind_of(event):
    return next(name for name in ("NODE_ADDED", "NODE_UPDATED", "NODE_REMOVED", "CONNECTION_SUSPENDED", "CONNECTION_RECONNECTED",
                                  "CONNECTION_LOST", "INITIALIZED") if getattr(TreeEvent, name) == event.event_type)


def test_session_survives_a_server_restart():
    ensemble = ensemble_of_choice()
    zk = client(ensemble)
    zk.create("/e", b"", ephemeral=True)
    session = zk.client_id[0]
    ensemble.server.kill()
    ensemble.start()
    wait_until(lambda: zk.connected, "reconnected")
    assert zk.exists("/e").owner_session_id == session


main(test_operations, test_watches_and_ephemerals, test_chroot, test_recipes, test_locks, test_election_and_barriers, test_queues_and_counters,
     test_parties_and_leases, test_watchers_and_caches, test_session_survives_a_server_restart)
