"""Elections and reassignments: by Apache's tools, and through the znodes of tools of old; and that what needs transactions is
refused at once, by Java and by librdkafka."""
import json, time
from harness import *

peers()
BROKER = "transaction.state.log.replication.factor=1\ntransaction.state.log.num.partitions=2\n"


def epoch_of(stack, topic):
    sys.path.insert(0, "/usr/lib/python3/dist-packages")
    try:
        from kazoo.client import KazooClient
    except ImportError:
        skip("python3-kazoo is not installed")
    zk = KazooClient(hosts=stack.zookeeper)
    zk.start(timeout=10)
    return zk, lambda: json.loads(zk.get(f"/brokers/topics/{topic}/partitions/0/state")[0])["leader_epoch"]


def test_tools_and_znodes():
    stack = Stack(extra=BROKER)
    at = ("--bootstrap-server", stack.bootstrap)
    stack.create_topic("moved")
    elected = run(java_command("org.apache.kafka.tools.LeaderElectionCommand", *at, "--election-type", "preferred", "--topic", "moved", "--partition", "0"),
                  timeout=60).stdout
    assert "Valid replica already elected for partitions moved-0" in elected, elected
    run(java_command("org.apache.kafka.tools.LeaderElectionCommand", *at, "--election-type", "unclean", "--all-topic-partitions"), timeout=60)
    zk, epoch = epoch_of(stack, "moved")
    assert epoch() == 0
    plan = json.dumps({"version": 1, "partitions": [{"topic": "moved", "partition": 0, "replicas": [0]}]})
    plan_file = os.path.join(tmp_dir(), "plan.json")
    with open(plan_file, "w") as f:
        f.write(plan)
    reassign = "org.apache.kafka.tools.reassign.ReassignPartitionsCommand"
    started = run(java_command(reassign, *at, "--execute", "--reassignment-json-file", plan_file), timeout=60).stdout
    assert "Successfully started partition reassignment for moved-0" in started, started
    wait_until(lambda: epoch() == 1, "the epoch after a reassignment")
    listed = run(java_command(reassign, *at, "--list"), timeout=60).stdout
    assert "No partition reassignments found." in listed, listed
    # What tools before 2.4 write, once and again.
    for expected in (2, 3):
        zk.create("/admin/reassign_partitions", plan.encode())
        wait_until(lambda: epoch() == expected and not zk.exists("/admin/reassign_partitions"), "reassigned through the znode")
        zk.create("/admin/preferred_replica_election", b'{"version":1,"partitions":[{"topic":"moved","partition":0}]}')
        wait_until(lambda: not zk.exists("/admin/preferred_replica_election"), "elected through the znode")
    zk.stop()
    # Records go on being taken in the new epoch.
    run([need("kcat"), "-P", "-b", stack.bootstrap, "-t", "moved"], stdin="after\n")
    assert "after" in run([need("kcat"), "-C", "-b", stack.bootstrap, "-t", "moved", "-e", "-q"]).stdout
    stack.check_alive()


def test_transactions_are_refused_at_once():
    stack = Stack(extra=BROKER)
    stack.create_topic("txn")
    began = time.monotonic()
    refused = run(java_command("org.apache.kafka.tools.ProducerPerformance", "--topic", "txn", "--num-records", "10", "--record-size", "10", "--throughput",
                               "-1", "--transactional-id", "t1", "--transaction-duration-ms", "1000", "--producer-props", f"bootstrap.servers={stack.bootstrap}"), timeout=50, check=False)
    assert "Unexpected error in InitProducerIdResponse" in refused.stdout + refused.stderr, refused.stdout + refused.stderr
    assert time.monotonic() - began < 30
    began = time.monotonic()
    refused = run([need("kcat"), "-P", "-b", stack.bootstrap, "-t", "txn", "-X", "transactional.id=t2"], stdin="x\n", timeout=50, check=False)
    assert refused.returncode != 0 and "not supported" in refused.stderr, refused.stderr
    assert time.monotonic() - began < 20
    stack.check_alive()


main(test_tools_and_znodes, test_transactions_are_refused_at_once)
