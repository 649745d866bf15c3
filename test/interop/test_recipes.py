"""The C client's recipes (recipes/*.c: lock, election, queue, double barrier), several processes each, some killed with -9.
Every process appends to one log what it did, and the test K PID after a kill; the rules are checked on that log."""
import collections
from harness import *

try:
    from kazoo.client import KazooClient
except ImportError:
    skip("python3-kazoo is not installed")

if not os.path.exists("/usr/include/zookeeper/zookeeper.h"):
    skip("zookeeper/zookeeper.h is not installed (libzookeeper-mt-dev)")

BUILT = tmp_dir()


def build(name):
    here = os.path.join(ROOT, "test", "interop", "recipes")
    run([need("cc"), "-std=gnu11", "-O1", "-Wall", "-Wextra", "-Werror", "-pthread", "-o", os.path.join(BUILT, name),
         os.path.join(here, name + ".c"), "-lzookeeper_mt"])


class Crowd:
    """An ensemble, the processes of one recipe, and their log."""

    def __init__(self, recipe):
        build(recipe)
        self.recipe = os.path.join(BUILT, recipe)
        # The recipes ask for sessions of 2 s and get at least two ticks.
        self.ensemble = ensemble_of_choice(extra=f"tickTime={int(scaled(500))}\n")
        self.log = os.path.join(self.ensemble.directory, "recipe.log")
        self.zk = KazooClient(hosts=f"127.0.0.1:{self.ensemble.port}", timeout=scaled(10))
        self.zk.start(scaled(10))
        atexit.register(lambda: (self.zk.stop(), self.zk.close()))
        self.members = {}

    def start(self, *arguments, count=1):
        for _ in range(count):
            member = Process([self.recipe, f"127.0.0.1:{self.ensemble.port}", self.log, *map(str, arguments)],
                             os.path.join(self.ensemble.directory, "recipe.out"))
            self.members[member.pid] = member
        return member

    def lines(self):
        with contextlib.suppress(FileNotFoundError), open(self.log) as f:
            return [line.split() for line in f.read().splitlines()]
        return []

    def wait_lines(self, verb, count):
        wait_until(lambda: sum(line[0] == verb for line in self.lines()) >= count, f"{count} lines {verb}", timeout=30)

    def kill(self, pid):
        self.members.pop(pid).kill()
        with open(self.log, "a") as f:
            f.write(f"K {pid}\n")

    def join(self):
        """Those left end by themselves, well."""
        for member in self.members.values():
            assert member.process.wait(scaled(40)) == 0, f"{member.command} ended with {member.process.returncode}: {member.tail()}"

    def holder(self):
        """Who has the lock or leads, by the log."""
        holder = None
        for verb, pid, *_ in self.lines():
            if verb == "A":
                holder = int(pid)
            elif verb in "RK" and holder == int(pid):
                holder = None
        return holder


def check_one_at_a_time(lines):
    """Nobody is in before the one before is out, or dead; and they come in the order of their numbers."""
    holder, last = None, -1
    for verb, pid, *rest in lines:
        if verb == "A":
            assert holder is None, f"{pid} has it while {holder} has it"
            assert int(rest[0]) > last, f"{pid} overtakes: {rest[0]} after {last}"
            holder, last = pid, int(rest[0])
        elif verb == "R":
            assert holder == pid, f"{pid} releases what {holder} has"
            holder = None
        elif verb == "K" and holder == pid:
            holder = None
    assert holder is None, f"{holder} never released"


def test_lock():
    crowd = Crowd("lock")
    crowd.start(40, 4, count=6)
    crowd.wait_lines("R", 20)
    first = wait_until(crowd.holder, "somebody has the lock")
    crowd.kill(first)
    crowd.kill(next(pid for pid in crowd.members if pid != crowd.holder()))
    crowd.wait_lines("R", 60)
    crowd.ensemble.server.kill()
    crowd.ensemble.start()
    crowd.join()
    lines = crowd.lines()
    check_one_at_a_time(lines)
    rounds = collections.Counter(line[1] for line in lines if line[0] == "R")
    assert all(rounds[str(pid)] == 40 for pid in crowd.members), rounds
    counted = sum(line[0] == "I" for line in lines)
    wait_until(lambda: crowd.zk.connected, "the observer is back")
    counter = int(crowd.zk.get("/counter")[0].split()[0])
    assert counted <= counter <= counted + 2, f"{counter} after {counted} increments"
    assert crowd.zk.get_children("/lock") == []


def test_election():
    crowd = Crowd("election")
    crowd.start(count=5)
    crowd.wait_lines("C", 5)
    leaders = []
    for turn in range(4):
        leader = wait_until(lambda: (crowd.holder() not in leaders) and crowd.holder(), "a leader", timeout=30)
        leaders.append(leader)
        if turn == 1:
            crowd.kill(leader)  # its session has to expire
        elif turn == 2:
            crowd.ensemble.server.kill()  # the leader stays: nobody's session ended
            crowd.ensemble.start()
            time.sleep(0.5)
            assert crowd.holder() == leader
            crowd.kill(leader)
        else:
            assert crowd.members.pop(leader).stop() == 0
    last = wait_until(lambda: (crowd.holder() not in leaders) and crowd.holder(), "the last leader", timeout=30)
    assert list(crowd.members) == [last]
    crowd.members[last].process.terminate()
    crowd.join()
    check_one_at_a_time(crowd.lines())


def test_queue():
    crowd = Crowd("queue")
    takers = [crowd.start("take").pid for _ in range(4)]
    producers = [crowd.start("put", 200) for _ in range(3)]
    doomed = crowd.start("put", 100_000)
    crowd.wait_lines("T", 50)
    crowd.kill(takers[0])
    crowd.kill(doomed.pid)
    for producer in producers:
        assert crowd.members.pop(producer.pid).process.wait(40) == 0, producer.tail()
    crowd.zk.create("/queue/qn-", b"end", sequence=True)
    crowd.join()
    lines = crowd.lines()
    put = {line[1]: line[2] for line in lines if line[0] == "P"}
    taken = [(line[1], line[2], line[3]) for line in lines if line[0] == "T"]
    numbers = [number for _, number, _ in taken]
    assert len(set(numbers)) == len(numbers), "an item was taken twice"
    assert len(set(put) - set(numbers)) <= 1, "items lost"  # the killed taker may have had one in its hands
    assert len(set(numbers) - set(put)) <= 1, "items from nowhere"  # the killed producer may not have told of its last
    assert all(put.get(number, data) == data for _, number, data in taken), "an item changed"
    for taker in map(str, takers):
        own = [number for pid, number, _ in taken if pid == taker]
        assert own == sorted(own) and own, f"{taker} took items out of order, or none"
    assert len(put) >= 600 and len(crowd.zk.get_children("/queue")) == 1


def test_barrier():
    crowd = Crowd("barrier")
    crowd.zk.create("/gate")
    size, rounds = 4, 15
    crowd.start(size, rounds, count=size - 1)
    wait_until(lambda: len(crowd.zk.exists("/gate") and listeners(crowd, "/gate")) == size - 1, "three wait at the gate")
    assert crowd.lines() == []
    crowd.zk.delete("/gate")
    inside = lambda: crowd.zk.exists("/barrier-0") and crowd.zk.get_children("/barrier-0") or []
    wait_until(lambda: len(inside()) == size - 1, "three wait in the barrier")
    crowd.kill(int(inside()[0][1:]))
    wait_until(lambda: len(inside()) == size - 2, "the killed one is gone")
    crowd.start(size, rounds)
    wait_until(lambda: len(inside()) == size - 1, "three wait again")
    time.sleep(0.2)
    assert all(line[0] in "eK" for line in crowd.lines()), f"the barrier opened for three of four: {crowd.lines()}"
    crowd.start(size, rounds)
    crowd.join()
    lines = [line for line in crowd.lines() if line[0] != "K" and int(line[1]) in crowd.members]
    assert len(lines) == size * rounds * 4
    for round in range(rounds):
        verbs = "".join(line[0] for line in lines if line[2] == str(round))
        assert verbs.rfind("e") < verbs.find("E") and verbs.rfind("l") < verbs.find("L"), (round, verbs)


def listeners(crowd, path):
    """The sessions that watch a path, by wchp."""
    with socket.create_connection(("127.0.0.1", crowd.ensemble.port), 5) as s:
        s.sendall(b"wchp")
        text = b"".join(iter(lambda: s.recv(65536), b"")).decode()
    found = {}
    for line in text.splitlines():
        if line.startswith("\t"):
            found[path_now].append(line)
        elif line:
            found[path_now := line] = []
    return found.get(path, [])


main(test_lock, test_election, test_queue, test_barrier)
