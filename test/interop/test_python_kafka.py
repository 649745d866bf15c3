"""python3-kafka: an old pure-Python client with wire code of its own."""
from harness import *

try:
    import kafka
    from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
    from kafka.admin import NewPartitions, NewTopic
except ImportError:
    skip("python3-kafka is not installed")

CODECS = [None, "gzip"] + [c for c in ("lz4", "snappy", "zstd") if getattr(kafka.codec, f"has_{c}", lambda: False)()]


def test_produce_consume_and_groups():
    stack = Stack()
    admin = KafkaAdminClient(bootstrap_servers=stack.bootstrap)
    admin.create_topics([NewTopic("py", 2, 1)])
    admin.create_partitions({"py": NewPartitions(4)})
    for codec in CODECS:
        producer = KafkaProducer(bootstrap_servers=stack.bootstrap, acks="all", compression_type=codec)
        sent = [producer.send("py", key=str(i).encode(), value=f"{codec}-{i}".encode(), headers=[("a", b"b")]) for i in range(500)]
        offsets = [(f.get(10).partition, f.get(10).offset) for f in sent]
        assert len(set(offsets)) == 500
        producer.close()
    consumer = KafkaConsumer("py", bootstrap_servers=stack.bootstrap, group_id="py-group", auto_offset_reset="earliest",
                             enable_auto_commit=False, consumer_timeout_ms=15000)
    got = []
    for message in consumer:
        got.append(message.value.decode())
        if len(got) == 500 * len(CODECS):
            break
    assert sorted(got) == sorted(f"{codec}-{i}" for codec in CODECS for i in range(500))
    consumer.commit()
    consumer.close()
    again = KafkaConsumer(bootstrap_servers=stack.bootstrap, group_id="py-group")
    committed = [again.committed(TopicPartition("py", p)) for p in range(4)]
    assert sum(committed) == 500 * len(CODECS), committed
    assert again.end_offsets([TopicPartition("py", p) for p in range(4)]) == {TopicPartition("py", p): committed[p] for p in range(4)}
    again.close()
    assert ("py-group", "consumer") in admin.list_consumer_groups()
    admin.delete_topics(["py"])
    wait_until(lambda: "py" not in admin.list_topics(), "topic deleted")
    admin.close()
    stack.check_alive()


main(test_produce_consume_and_groups)
