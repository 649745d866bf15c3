"""Configs, quotas and credentials through kafka-configs.sh: taken at once, kept over restarts and kills, read back from ZooKeeper."""
from harness import *


def configs(stack, *args, check=True):
    return run([script("kafka-configs.sh"), "--bootstrap-server", stack.bootstrap, *args], check=check)


def test_topic_configs_reach_the_log():
    kcat = need("kcat")
    stack = Broker(f"127.0.0.1:{ensemble_of_choice().port}")
    run([script("kafka-topics.sh"), "--bootstrap-server", stack.bootstrap, "--create", "--topic", "t"])
    wait_until(lambda: has_leader(stack.port, "t"), "leader", server=stack.server)

    def produce(size):
        return run([kcat, "-P", "-b", stack.bootstrap, "-t", "t", "-X", "message.timeout.ms=5000"], stdin="x" * size, check=False).returncode == 0

    assert produce(3000)
    done = configs(stack, "--alter", "--topic", "t", "--add-config", "max.message.bytes=1000,cleanup.policy=[delete]")
    assert done.stdout == "Completed updating config for topic t.\n", done.stdout
    assert not produce(3000) and produce(100)
    shown = ("Dynamic configs for topic t are:\n"
             "  cleanup.policy=delete sensitive=false synonyms={DYNAMIC_TOPIC_CONFIG:cleanup.policy=delete, DEFAULT_CONFIG:log.cleanup.policy=delete}\n"
             "  max.message.bytes=1000 sensitive=false synonyms={DYNAMIC_TOPIC_CONFIG:max.message.bytes=1000, DEFAULT_CONFIG:message.max.bytes=1048588}\n")
    assert configs(stack, "--describe", "--topic", "t").stdout == shown
    stack.server.kill()
    stack.start()
    wait_until(lambda: has_leader(stack.port, "t"), "leader again", server=stack.server)
    assert not produce(3000) and produce(100)
    assert configs(stack, "--describe", "--topic", "t").stdout == shown
    configs(stack, "--alter", "--topic", "t", "--delete-config", "max.message.bytes")
    assert produce(3000)
    # The brokers' default reaches topics that have none of their own.
    configs(stack, "--alter", "--broker-defaults", "--add-config", "message.max.bytes=1000")
    assert not produce(3000) and produce(100)
    refusal = configs(stack, "--alter", "--broker", "0", "--add-config", "num.partitions=3", check=False)
    assert refusal.returncode == 1 and "Cannot update these configs dynamically: Set(num.partitions)" in refusal.stderr, refusal.stderr


def test_quotas_and_credentials():
    stack = Broker(f"127.0.0.1:{ensemble_of_choice().port}")
    configs(stack, "--alter", "--user", "al ice", "--add-config", "producer_byte_rate=1024,request_percentage=50.5")
    configs(stack, "--alter", "--user", "al ice", "--client-defaults", "--add-config", "consumer_byte_rate=7")
    configs(stack, "--alter", "--ip", "1.2.3.4", "--add-config", "connection_creation_rate=5")
    configs(stack, "--alter", "--user", "al ice", "--add-config", "SCRAM-SHA-256=[iterations=8192,password=x]")
    stack.server.stop()
    stack.start()
    assert configs(stack, "--describe", "--user", "al ice").stdout == (
        "Quota configs for user-principal 'al ice' are request_percentage=50.5, producer_byte_rate=1024.0\n"
        "SCRAM credential configs for user-principal 'al ice' are SCRAM-SHA-256=iterations=8192\n")
    assert configs(stack, "--describe", "--entity-type", "users", "--entity-type", "clients").stdout == (
        "Quota configs for user-principal 'al ice', the default client-id are consumer_byte_rate=7.0\n")
    assert configs(stack, "--describe", "--entity-type", "ips").stdout == "Quota configs for ip '1.2.3.4' are connection_creation_rate=5.0\n"
    configs(stack, "--alter", "--user", "al ice", "--delete-config", "producer_byte_rate,request_percentage")
    configs(stack, "--alter", "--user", "al ice", "--delete-config", "SCRAM-SHA-256")
    assert configs(stack, "--describe", "--user", "al ice").stdout == ""
    again = configs(stack, "--alter", "--user", "al ice", "--delete-config", "producer_byte_rate", check=False)
    assert (again.returncode, again.stderr) == (1, "Invalid config(s): producer_byte_rate\n"), again.stderr


main(test_topic_configs_reach_the_log, test_quotas_and_credentials)
