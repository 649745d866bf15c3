"""The scripts and the program's own words: which servers a script stops, flags meant for a JVM, --help, --version, full devices."""
from harness import *


def said(command, code=0, **how):
    done = run(command, check=False, timeout=20, **how)
    assert done.returncode == code, (command, done)
    return done.stdout + done.stderr


def test_versions_and_help():
    config = os.path.join(tmp_dir(), "none.properties")
    for args in ["--version"], [config, "--version"], [config, "--override", "a=b", "--version"]:
        assert said([script("kafka-server-start.sh"), *args]).startswith("ottla "), args
    assert said([script("kafka-server-start.sh"), config, "--help"], code=1).startswith("usage: ottla broker")
    assert said([OTTLA, "zookeeper", "--help"]).startswith("usage: ottla zookeeper")


def test_one_broker_of_two_is_stopped():
    zookeeper = f"127.0.0.1:{Ensemble().port}"
    ids = [10_000_000 + 2 * os.getpid() + i for i in (0, 1)]  # nobody else's on this machine
    first, second = (Broker(f"{zookeeper}/{i}", broker_id=i, extra="reserved.broker.max.id=99999999\n") for i in ids)
    stop = script("kafka-server-stop.sh")
    assert "No kafka server to stop" in said([stop, f"--node-id={str(ids[1])[:-1]}"], code=1)
    assert "--process-role=broker" in said([stop, "--process-role=broker"], code=1)
    said([stop, f"--node-id={ids[1]}"])
    assert second.server.process.wait(scaled(20)) == 0
    assert first.server.alive(), first.server.tail()


def test_flags_of_a_jvm():
    directory, (port, *_) = tmp_dir(), free_ports(1)
    config = os.path.join(directory, "zoo.cfg")
    with open(config, "w") as f:
        f.write(f"dataDir={directory}/zk\nclientPort={port}\n")
    flags = "-Xmx1G -Dzookeeper.admin.enableServer=false -Dzookeeper.4lw.commands.whitelist=*"
    for command, variable in ([script("zookeeper-server-start.sh"), config], "KAFKA_OPTS"), \
                             ([script("zkServer.sh"), "start-foreground", config], "SERVER_JVMFLAGS"):
        server = Process(command, os.path.join(directory, "log"), env={variable: flags})
        wait_until(lambda: ruok(port), "ensemble ready", server=server)  # the whitelist is taken
        assert server.stop() == 0, server.tail()
    missing = os.path.join(directory, "missing.properties")
    assert "KAFKA_OPTS is ignored" in said([script("kafka-server-start.sh"), missing], code=1, env={"KAFKA_OPTS": "-Da=b"})
    assert "no such file" in said([script("zkServer.sh"), "start", os.path.join(directory, "missing.cfg")], code=1)


def test_output_that_cannot_be_written():
    with open("/dev/full", "w") as full:
        for command in [OTTLA, "--help"], [script("kafka-topics.sh"), "--version"]:
            done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=scaled(20))
            assert done.returncode == 1 and "No space left on device" in done.stderr and done.stderr.count("\n") == 1, (command, done)


main(test_versions_and_help, test_one_broker_of_two_is_stopped, test_flags_of_a_jvm, test_output_that_cannot_be_written)
