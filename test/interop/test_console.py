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


main(test_a_refused_record_ends_what_is_committed, test_what_was_not_read_is_not_committed)
