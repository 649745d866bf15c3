"""Ours and Apache's together: our broker on Apache's ensembles, Apache's broker on ours. A session expires under a stopped
broker, the ensemble and the broker are killed, under load; three of Apache's brokers replicate over our ensemble; Apache's
own tools do what they do to znodes. The short form crosses once each way; `--full` does all of it."""
import json, threading
from harness import *

try:
    from kazoo.client import KazooClient
    from wire import Wire, batch, read_all
except ImportError:
    skip("python3-kafka or python3-kazoo is not installed")

peers()
kcat = need("kcat")
ZK_EXTRA = "tickTime=500\n"
EXTRA = "zookeeper.session.timeout.ms=6000\ncontroller.quorum.request.timeout.ms=2000\n"


class Pair:
    """A broker on an ensemble, each ours or Apache's, and a client that looks into the ensemble."""

    def __init__(self, ensemble, broker, extra=""):
        self.ensemble = ensemble
        self.address = f"127.0.0.1:{ensemble.port}"
        self.broker = broker(self.address, extra=EXTRA + extra)
        self.zk = KazooClient(hosts=self.address, timeout=10, connection_retry={"max_tries": -1, "delay": 0.02, "max_delay": 0.1})
        self.zk.start()
        self.name = f"{broker.__name__} on {type(ensemble).__name__}"

    def node(self, path):
        """(data, czxid) or None."""
        try:
            data, stat = self.zk.get(path)
            return data, stat.czxid
        except Exception:
            return None

    def registration(self):
        return self.node("/brokers/ids/0")

    def controller_epoch(self):
        return int(self.node("/controller_epoch")[0])

    def ask(self, *what):
        wire = Wire(self.broker.bootstrap)
        try:
            return getattr(wire, what[0])(*what[1:])
        finally:
            wire.close()

    def create(self, topic, partitions=1, **more):
        self.ask("create", topic, partitions, more.get("config"), more.get("replication", 1))
        for p in range(partitions):
            wait_until(lambda: has_leader(self.broker.port, topic, p), f"leader of {topic}-{p}", 30, self.broker.server)

    def end(self):
        self.zk.stop()
        self.zk.close()
        self.broker.server.kill()
        self.ensemble.server.kill()


class Load(threading.Thread):
    """An idempotent producer that never gives a batch up: each is told an offset once, in order, whatever happens."""
    RETRY = (3, 5, 6, 7, 8, 9, 13, 19, 20, 56, 72, 74, 75, 76, 77, 80)

    def __init__(self, bootstraps, topic, partition=0):
        super().__init__(daemon=True)
        self.bootstraps, self.topic, self.partition = bootstraps, topic, partition
        self.acked, self.stopping, self.failure, self.longest = [], False, None, 0
        self.start()

    def run(self):
        at, wire, sequence, producer, sent = 0, None, 0, None, time.monotonic()
        number = 0
        while not self.stopping:
            try:
                if not wire:
                    wire = Wire(self.bootstraps[at % len(self.bootstraps)], timeout=5)
                if not producer:
                    error, *producer = wire.init_producer()
                    if error:
                        producer = None
                        time.sleep(.02)
                        continue
                error, offset = wire.produce(self.topic, self.partition, batch([(int(time.time() * 1000), None, str(number).encode(), [])],
                                                                               "none", tuple(producer), sequence))
            except (OSError, struct.error):
                wire, at = None, at + 1
                time.sleep(.02)
                continue
            if error in self.RETRY:
                wire, at = None, at + (error in (3, 6))
                time.sleep(.02)
                continue
            if error:
                self.failure = f"error {error} for {number}"
                return
            self.longest = max(self.longest, time.monotonic() - sent)
            sent = time.monotonic()
            self.acked.append(offset)
            sequence, number = sequence + 1, number + 1

    def flows(self, count=50):
        was = len(self.acked)
        wait_until(lambda: self.failure or len(self.acked) > was + count, "records flow", 60)
        assert not self.failure, self.failure

    def check(self):
        """Stops; what is there is what was sent, once and in order."""
        self.stopping = True
        self.join(30)
        assert not self.failure, self.failure
        for bootstrap in self.bootstraps:
            wire = Wire(bootstrap)
            if wire.offset_at(self.topic, self.partition, -1)[0] == 0:  # the leader alone answers; a fetch may be a follower's
                break
        found = [b[0] for b in read_all(wire, self.topic, self.partition)[0]]
        for i, offset in enumerate(self.acked):
            assert found[i:i + 1] == [offset], f"record {i}, told {self.acked[max(0, i - 3):i + 4]}, found {found[max(0, i - 3):i + 4]}, of {len(self.acked)}, {len(found)}"
        assert found == list(range(len(found))) and len(found) <= len(self.acked) + 1, (len(self.acked), len(found))
        wire.close()
        print(f"   {len(self.acked)} records, longest wait {self.longest * 1000:.0f} ms", flush=True)


def session_expires(pair):
    """SIGSTOP past the session, SIGCONT: registered anew, controller again, partitions led, producers go on."""
    was, epoch = pair.registration(), pair.controller_epoch()
    topic = f"expiry-{epoch}"
    pair.create(topic, 2)
    load = Load([pair.broker.bootstrap], topic)
    load.flows()
    os.kill(pair.broker.server.pid, signal.SIGSTOP)
    try:
        wait_until(lambda: pair.registration() is None and pair.node("/controller") is None, "the session is over", 40)
    finally:
        os.kill(pair.broker.server.pid, signal.SIGCONT)
    now = wait_until(pair.registration, "registered anew", 20, pair.broker.server)
    assert now[1] > was[1] and json.loads(now[0])["endpoints"] == json.loads(was[0])["endpoints"], (was, now)
    wait_until(lambda: pair.node("/controller"), "controller again", 20)
    wait_until(lambda: pair.controller_epoch() > epoch, "a new controller epoch", 20)
    for p in (0, 1):
        wait_until(lambda: has_leader(pair.broker.port, topic, p), "partitions led", 20)
    load.flows()
    pair.create(f"after-{topic}")
    load.check()
    print(f"ok: {pair.name}: session expiry", flush=True)


def ensemble_is_killed(pair, rounds):
    """kill -9 of the ensemble under load, and its start: the session lives on, and so does everything else."""
    was, epoch = pair.registration(), pair.controller_epoch()
    topic = f"ensemble-{epoch}-{was[1]}"
    pair.create(topic)
    load = Load([pair.broker.bootstrap], topic)
    for i in range(rounds):
        load.flows()
        pair.ensemble.server.kill()
        load.flows(5)  # which needs no ensemble
        pair.ensemble.start()
        pair.create(f"{topic}-{i}")
        load.flows()
    load.check()
    assert pair.registration() == was and pair.controller_epoch() == epoch, "the session did not outlive the ensemble's kill"
    print(f"ok: {pair.name}: ensemble killed {rounds} times", flush=True)


def broker_is_killed(pair, rounds):
    """kill -9 of the broker under load. Apache's must wait until its own ghost's session is over; ours takes its place back."""
    topic = f"broker-{pair.controller_epoch()}"
    pair.create(topic)
    load = Load([pair.broker.bootstrap], topic)
    for i in range(rounds):
        load.flows()
        pair.broker.server.kill()
        if isinstance(pair.broker, ApacheBroker):
            wait_until(lambda: pair.registration() is None, "the ghost is gone", 20)
        pair.broker.start()
        wait_until(lambda: has_leader(pair.broker.port, topic), "led again", 30, pair.broker.server)
        load.flows()
    load.check()
    print(f"ok: {pair.name}: broker killed {rounds} times", flush=True)


def topics_come_and_go(pair, rounds):
    for i in range(rounds):
        pair.create(f"gone-{i}", 3)
        run([kcat, "-q", "-P", "-b", pair.broker.bootstrap, "-t", f"gone-{i}", "-p", "1"], stdin=f"line {i}\n")
        got = run([kcat, "-q", "-C", "-b", pair.broker.bootstrap, "-t", f"gone-{i}", "-e", "-o", "beginning"]).stdout
        assert got == f"line {i}\n", got
        run([script("kafka-topics.sh"), "--bootstrap-server", pair.broker.bootstrap, "--delete", "--topic", f"gone-{i}"])
        wait_until(lambda: not pair.zk.exists(f"/brokers/topics/gone-{i}") and not pair.zk.exists(f"/admin/delete_topics/gone-{i}"), "deleted", 20)
    print(f"ok: {pair.name}: topics made and deleted", flush=True)


def whole_life(pair, rounds):
    session_expires(pair)
    if FULL or isinstance(pair.broker, ApacheBroker):
        topics_come_and_go(pair, rounds)
        ensemble_is_killed(pair, rounds)
    if FULL:
        broker_is_killed(pair, 3)
        session_expires(pair)


def test_our_broker():
    for version in ("3.9", "3.8")[:2 if FULL else 1]:
        pair = Pair(ApacheEnsemble(version, extra=ZK_EXTRA), Broker)
        whole_life(pair, 5 if FULL else 1)
        pair.end()


def test_apache_broker():
    pair = Pair(Ensemble(extra=ZK_EXTRA), ApacheBroker)
    whole_life(pair, 5 if FULL else 1)
    pair.end()


def test_ours_on_ours():
    pair = Pair(Ensemble(extra=ZK_EXTRA), Broker)
    whole_life(pair, 5)
    pair.end()


# ------------------------------------------------------------------------------------------ Apache's own tools

def tool(main, *args, stdin=None, check=True):
    return run(java_command(main, *args), stdin=stdin, timeout=90, check=check).stdout


def test_apache_tools():
    """What Apache's tools and broker keep in znodes, on our ensemble."""
    pair = Pair(Ensemble(extra=ZK_EXTRA), ApacheBroker,
                extra="authorizer.class.name=kafka.security.authorizer.AclAuthorizer\nsuper.users=User:ANONYMOUS\ndelegation.token.secret.key=secret\n")
    at = ("--bootstrap-server", pair.broker.bootstrap)
    topics, configs, acls = "org.apache.kafka.tools.TopicCommand", "kafka.admin.ConfigCommand", "kafka.admin.AclCommand"
    tool(topics, *at, "--create", "--topic", "tools", "--partitions", "3", "--replication-factor", "1", "--config", "segment.bytes=1048576")
    lines = [f"line {i}" for i in range(3000)]
    tool("kafka.tools.ConsoleProducer", *at, "--topic", "tools", stdin="\n".join(lines) + "\n")
    read = tool("org.apache.kafka.tools.consumer.ConsoleConsumer", *at, "--topic", "tools", "--from-beginning", "--group", "tools", "--max-messages", "3000", "--timeout-ms", "30000")
    assert sorted(read.splitlines()) == sorted(lines)
    assert "PartitionCount: 3" in tool(topics, *at, "--describe", "--topic", "tools")
    groups = tool("org.apache.kafka.tools.consumer.group.ConsumerGroupCommand", *at, "--describe", "--group", "tools")
    assert groups.count("tools") >= 6, groups
    # Topic, broker, user and client configs; each change is told by a sequential znode.
    tool(configs, *at, "--alter", "--entity-type", "topics", "--entity-name", "tools", "--add-config", "retention.ms=123456789,cleanup.policy=compact")
    assert "retention.ms=123456789" in tool(configs, *at, "--describe", "--entity-type", "topics", "--entity-name", "tools")
    assert json.loads(pair.node("/config/topics/tools")[0])["config"]["retention.ms"] == "123456789"
    assert any(c.startswith("config_change_") for c in pair.zk.get_children("/config/changes"))
    tool(configs, *at, "--alter", "--entity-type", "brokers", "--entity-name", "0", "--add-config", "log.cleaner.threads=2")
    assert "log.cleaner.threads=2" in tool(configs, *at, "--describe", "--entity-type", "brokers", "--entity-name", "0")
    tool(configs, *at, "--alter", "--entity-type", "users", "--entity-name", "alice", "--add-config", "SCRAM-SHA-256=[password=x]")
    tool(configs, *at, "--alter", "--entity-type", "users", "--entity-name", "alice", "--add-config", "producer_byte_rate=1048576")
    assert "SCRAM-SHA-256" in tool(configs, *at, "--describe", "--entity-type", "users", "--entity-name", "alice")
    tool(configs, "--zookeeper", pair.address, "--alter", "--entity-type", "users", "--entity-name", "bob", "--add-config", "SCRAM-SHA-512=[password=y]")
    assert "SCRAM-SHA-512" in tool(configs, *at, "--describe", "--entity-type", "users", "--entity-name", "bob")
    # ACLs, through the broker and straight into ZooKeeper.
    tool(acls, *at, "--add", "--allow-principal", "User:alice", "--operation", "Read", "--topic", "tools", "--resource-pattern-type", "prefixed")
    tool(acls, "--authorizer-properties", f"zookeeper.connect={pair.address}", "--add", "--deny-principal", "User:bob", "--operation", "Write", "--topic", "tools")
    wait_until(lambda: "User:bob" in (text := tool(acls, *at, "--list")) and "User:alice" in text, "both ACLs", 30)
    assert "User:alice" in pair.node("/kafka-acl-extended/prefixed/Topic/tools")[0].decode()
    tool(acls, *at, "--remove", "--force", "--allow-principal", "User:alice", "--operation", "Read", "--topic", "tools", "--resource-pattern-type", "prefixed")
    assert "User:alice" not in tool(acls, *at, "--list")
    tool(topics, *at, "--alter", "--topic", "tools", "--partitions", "7")
    assert "log-end-offset" not in tool("org.apache.kafka.tools.GetOffsetShell", *at, "--topic", "tools")
    tool(topics, *at, "--delete", "--topic", "tools")
    wait_until(lambda: not pair.zk.exists("/brokers/topics/tools") and not pair.zk.exists("/config/topics/tools"), "deleted", 20)
    tokens = tool("org.apache.kafka.tools.DelegationTokenCommand", *at, "--describe", check=False)
    print("ok: Apache's tools", flush=True)
    pair.broker.server.stop()
    assert pair.registration() is None
    pair.end()


# ------------------------------------------------------------------------------------------ three brokers

def test_three_apache_brokers():
    """Replication 3 over our ensemble: the controller is killed, stopped past its session, ended in order; the ensemble is killed;
    replicas are moved. Two producers go on through all of it, and nothing is lost or doubled."""
    ensemble = ensemble_of_choice(extra=ZK_EXTRA)
    address = f"127.0.0.1:{ensemble.port}"
    extra = EXTRA + ("default.replication.factor=3\nmin.insync.replicas=2\noffsets.topic.replication.factor=3\nreplica.lag.time.max.ms=3000\n"
                     "auto.leader.rebalance.enable=false\nzookeeper.session.timeout.ms=8000\nreplica.fetch.wait.max.ms=100\n")
    brokers = [ApacheBroker(address, broker_id=i, extra=extra, heap="256m") for i in range(3)]
    wait_until(lambda: all(has_brokers(b.port, 3) for b in brokers), "each knows three", 60)
    zk = KazooClient(hosts=address, timeout=10, connection_retry={"max_tries": -1, "delay": 0.02, "max_delay": 0.1})
    zk.start()

    def json_at(path):
        return json.loads(zk.get(path)[0]) if zk.exists(path) else None

    def controller():
        found = json_at("/controller")
        return found and found["brokerid"]

    def isr_is(count):
        return all(len(json_at(f"/brokers/topics/three/partitions/{p}/state")["isr"]) == count for p in range(6))

    def whole():
        wait_until(lambda: isr_is(3), "all in sync", 90)

    wire = Wire(brokers[0].bootstrap)
    wire.create("three", 6, None, 3)
    wait_until(lambda: all(zk.exists(f"/brokers/topics/three/partitions/{p}/state") for p in range(6)), "topic", 30)
    whole()
    bootstraps = [b.bootstrap for b in brokers]
    loads = [Load(bootstraps, "three", p) for p in range(2)]

    def flow(count=40):
        for load in loads:
            load.flows(count)

    def epoch():
        return int(zk.get("/controller_epoch")[0])

    flow()
    for how in ("kill", "pause", "stop", "ensemble") * 2:
        was, at = epoch(), controller()
        victim = brokers[at]
        if how == "ensemble":
            ensemble.server.kill()
            flow(10)
            ensemble.start()
            flow()
            assert epoch() == was and controller() == at, "nothing changes with the ensemble's kill"
        else:
            gone = lambda: not zk.exists(f"/brokers/ids/{at}")
            if how == "pause":
                os.kill(victim.server.pid, signal.SIGSTOP)
            else:
                getattr(victim.server, how)(*([60] if how == "stop" else []))
            wait_until(gone, f"{how}: registration gone", 30)
            wait_until(lambda: (c := controller()) is not None and c != at and epoch() > was, f"{how}: another controller", 30)
            flow()
            if how == "pause":
                os.kill(victim.server.pid, signal.SIGCONT)
                wait_until(lambda: not gone(), "registered anew", 60, victim.server)
            else:
                victim.start()
            whole()
        flow()
        print(f"ok: three brokers: {how}", flush=True)
    reassign = "org.apache.kafka.tools.reassign.ReassignPartitionsCommand"
    d = tmp_dir()
    plan = os.path.join(d, "plan.json")
    with open(plan, "w") as f:
        json.dump({"version": 1, "partitions": [{"topic": "three", "partition": p, "replicas": [(p + 1) % 3, (p + 2) % 3]} for p in range(6)]}, f)
    at = ("--bootstrap-server", ",".join(bootstraps))
    tool(reassign, *at, "--reassignment-json-file", plan, "--execute")
    wait_until(lambda: isr_is(2) and not zk.exists("/admin/reassign_partitions"), "moved", 60)
    tool("org.apache.kafka.tools.LeaderElectionCommand", *at, "--election-type", "preferred", "--all-topic-partitions")
    wait_until(lambda: all(json_at(f"/brokers/topics/three/partitions/{p}/state")["leader"] == (p + 1) % 3 for p in range(6)), "preferred leaders", 60)
    flow()
    for load in loads:
        load.check()
    zk.stop()
    for server in [b.server for b in brokers] + [ensemble.server]:
        server.kill()


main(test_our_broker, test_apache_broker, *([test_ours_on_ours, test_apache_tools, test_three_apache_brokers] if FULL else []))
