"""Apache Kafka 3.9's own command line tools, in Java, against our stack."""
from harness import *

peers()


def test_topics_producer_consumer():
    stack = Stack()
    at = ("--bootstrap-server", stack.bootstrap)
    topics = "org.apache.kafka.tools.TopicCommand"
    created = run(java_command(topics, *at, "--create", "--topic", "java", "--partitions", "3", "--replication-factor", "1",
                               "--config", "segment.bytes=1048576"), timeout=90).stdout
    assert "Created topic java." in created, created
    lines = [f"line {i}" for i in range(2000)]
    run(java_command("kafka.tools.ConsoleProducer", *at, "--topic", "java", "--compression-codec", "zstd"), stdin="\n".join(lines) + "\n", timeout=90)
    done = run(java_command("org.apache.kafka.tools.consumer.ConsoleConsumer", *at, "--topic", "java", "--from-beginning", "--group", "java-group",
                            "--max-messages", "2000", "--timeout-ms", "30000"), timeout=90)
    assert sorted(done.stdout.splitlines()) == sorted(lines)
    # Ours and theirs print the same description, but for what names the tool.
    theirs = run(java_command(topics, *at, "--describe", "--topic", "java"), timeout=90).stdout
    ours = run([script("kafka-topics.sh"), *at, "--describe", "--topic", "java"]).stdout
    assert theirs == ours, f"theirs:\n{theirs}\nours:\n{ours}"
    assert "java" in run(java_command(topics, *at, "--list"), timeout=90).stdout.split()
    groups = run(java_command("org.apache.kafka.tools.consumer.group.ConsumerGroupCommand", *at, "--describe", "--group", "java-group",
                              "--timeout", str(int(scaled(20_000)))), timeout=90).stdout
    assert "java-group" in groups, groups
    run(java_command(topics, *at, "--alter", "--topic", "java", "--partitions", "5"), timeout=90)
    run(java_command(topics, *at, "--delete", "--topic", "java"), timeout=90)
    wait_until(lambda: "java" not in run([script("kafka-topics.sh"), *at, "--list"]).stdout.split(), "topic deleted")
    stack.check_alive()


main(test_topics_producer_consumer)
