"""The console tools at their edges: what a group commits when records are refused or not read, records that cannot be sent."""
import re
from harness import *


def producer(stack, topic, *more, stdin, check=True):
    return run([script("kafka-console-producer.sh"), "--bootstrap-server", stack.bootstrap, "--topic", topic, *more], stdin=stdin, check=check)


def consumer(stack, topic, *more):
    return [script("kafka-console-consumer.sh"), "--bootstrap-server", stack.bootstrap, "--topic", topic, "--from-beginning", *more]


def committed(stack, group):
    """The offset of the group's one partition; None: nothing is committed."""
    shown = run([script("kafka-consumer-groups.sh"), "--bootstrap-server", stack.bootstrap, "--describe", "--group", group]).stdout
    row = re.search(rf"^{group} +\S+ +0 +(\S+)", shown, re.M)
    return int(row[1]) if row and row[1] != "-" else None


def test_a_refused_record_ends_what_is_committed():
    stack = Stack()
    stack.create_topic("t")
    producer(stack, "t", stdin="8 bytes.\n" * 2 + "three\n" + "8 bytes.\n" * 497)
    longs = ["--value-deserializer", "org.apache.kafka.common.serialization.LongDeserializer"]
    done = run(consumer(stack, "t", "--group", "g", *longs), check=False)
    assert done.returncode == 1 and done.stdout.count("\n") == 2, done
    assert committed(stack, "g") == 3
    done = run(consumer(stack, "t", "--group", "passing", *longs, "--skip-message-on-error", "--max-messages", "10"))
    assert done.stdout.count("\n") == 9 and committed(stack, "passing") == 10, done.stdout


def test_what_was_not_read_is_not_committed():
    stack = Stack()
    stack.create_topic("t")
    producer(stack, "t", stdin=("x" * 999 + "\n") * 500)
    reading = subprocess.Popen(consumer(stack, "t", "--group", "g", "--consumer-property", "auto.commit.interval.ms=20"),
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        assert len(reading.stdout.read(1)) == 1
        time.sleep(1)  # its commits, if it makes any; the pipe does not hold all of the records
    finally:
        reading.kill()
        came = 1 + len(reading.stdout.read())
        reading.wait()
    assert came < 500 * 1000
    assert (committed(stack, "g") or 0) * 1000 <= came, (committed(stack, "g"), came)
    # Read to the end, all is committed at the end.
    run(consumer(stack, "t", "--group", "h", "--max-messages", "500"))
    assert committed(stack, "h") == 500


def test_records_of_all_sizes_and_what_cannot_be_sent():
    stack = Stack()
    stack.create_topic("t")
    producer(stack, "t", "--sync", stdin="x" * 1_048_400 + "\n")
    done = producer(stack, "t", stdin="x" * 1_100_000 + "\n")
    assert "Error when sending message to topic t" in done.stderr, done.stderr
    done = producer(stack, "t", "--request-required-acks", "7", stdin="x\n", check=False)
    assert done.returncode == 1 and "Invalid value 7 for configuration acks" in done.stderr, done
    # What no broker takes is given up after --max-block-ms, not after the two minutes of a delivery.
    stack.broker.server.stop()
    for sync, code in ((), 0), (("--sync",), 1):
        done = producer(stack, "t", "--max-block-ms", "100", *sync, stdin="x\n", check=False)
        assert done.returncode == code and "Error when sending message to topic t" in done.stderr, done


main(test_a_refused_record_ends_what_is_committed, test_what_was_not_read_is_not_committed,
     test_records_of_all_sizes_and_what_cannot_be_sent)
