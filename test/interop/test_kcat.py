"""kcat (librdkafka): produce and consume, every codec, a group of two of which one is killed."""
import os, random, subprocess, time
from harness import *

kcat = need("kcat")


def lines_of(count, seed=1):
    rng = random.Random(seed)
    return [f"{i:06d} " + "".join(rng.choices("abcdefghij ", k=rng.randrange(5, 200))).strip() for i in range(count)]


def produce(stack, topic, lines, *options):
    run([kcat, "-q", "-P", "-b", stack.bootstrap, "-t", topic, *options], stdin="\n".join(lines) + "\n")


def consume(stack, topic, *options):
    return run([kcat, "-q", "-C", "-b", stack.bootstrap, "-t", topic, "-e", "-o", "beginning", *options]).stdout.splitlines()


def test_every_codec():
    stack = Stack()
    for codec in ("none", "gzip", "snappy", "lz4", "zstd"):
        topic = f"codec-{codec}"
        stack.create_topic(topic)
        lines = lines_of(5000, seed=codec)
        produce(stack, topic, lines, "-z", codec, "-p", "0", "-X", "acks=all")
        assert consume(stack, topic) == lines, codec
    stack.check_alive()


def test_idempotent_keys_and_headers():
    stack = Stack()
    stack.create_topic("idem", 3)
    produce(stack, "idem", [f"key{i}:value{i}" for i in range(1000)], "-K:", "-H", "h=1", "-X", "enable.idempotence=true")
    got = consume(stack, "idem", "-f", "%k:%s %h\n")
    assert sorted(got) == sorted(f"key{i}:value{i} h=1" for i in range(1000))


def test_auto_create_and_metadata():
    stack = Stack()
    produce(stack, "made-by-use", ["one"])
    assert consume(stack, "made-by-use") == ["one"]
    listing = run([kcat, "-L", "-b", stack.bootstrap]).stdout
    assert 'topic "made-by-use" with 1 partitions' in listing, listing
    assert "(controller)" in listing, listing


def test_offsets_by_time():
    stack = Stack()
    stack.create_topic("timed")
    produce(stack, "timed", ["before"], "-p", "0")
    between = int(time.time() * 1000) + 1
    while time.time() * 1000 <= between:
        pass
    produce(stack, "timed", ["after"], "-p", "0")
    assert consume(stack, "timed", "-o", f"s@{between}")[-1:] == ["after"]
    answer = run([kcat, "-Q", "-b", stack.bootstrap, "-t", f"timed:0:{between}"]).stdout
    assert "offset 1" in answer, answer


def test_group_takeover():
    """Two members share four partitions; one is killed; the other ends up with all of them and nothing is lost."""
    stack = Stack(extra="group.min.session.timeout.ms=1000\n")
    stack.create_topic("shared", 4)
    directory = tmp_dir()

    def member(name):
        out = open(os.path.join(directory, name), "w")
        process = subprocess.Popen([kcat, "-u", "-b", stack.bootstrap, "-X", "session.timeout.ms=3000", "-X", "heartbeat.interval.ms=300",
                                    "-X", "auto.offset.reset=earliest", "-X", "auto.commit.interval.ms=100", "-G", "group-1", "shared"],
                                   stdout=out, stderr=open(os.path.join(directory, name + ".err"), "w"))
        atexit.register(lambda: (process.kill(), process.wait()) if process.poll() is None else None)
        return process

    def read(name):
        with open(os.path.join(directory, name)) as f:
            return f.read().splitlines()

    def log_of(name):
        with open(os.path.join(directory, name + ".err")) as f:
            return f.read()

    a, b = member("a"), member("b")
    wait_until(lambda: "assigned" in log_of("a") and "assigned" in log_of("b"), "both members assigned", 30)
    first = [f"first-{i}" for i in range(400)]
    for partition in range(4):
        produce(stack, "shared", first[partition::4], "-p", str(partition))
    wait_until(lambda: set(read("a")) | set(read("b")) >= set(first), "first lot read", 30)
    assert read("a") and read("b"), "each member has a share"
    a.kill()
    a.wait()
    second = [f"second-{i}" for i in range(400)]
    for partition in range(4):
        produce(stack, "shared", second[partition::4], "-p", str(partition))
    wait_until(lambda: set(read("b")) >= set(second), "the survivor reads everything", 40)
    b.terminate()
    b.wait(20)
    described = run([script("kafka-consumer-groups.sh"), "--bootstrap-server", stack.bootstrap, "--describe", "--group", "group-1"]).stdout
    assert "shared" in described, described
    assert "group-1" in run([script("kafka-consumer-groups.sh"), "--bootstrap-server", stack.bootstrap, "--list"]).stdout


main(test_every_codec, test_idempotent_keys_and_headers, test_auto_create_and_metadata, test_offsets_by_time, test_group_takeover)
