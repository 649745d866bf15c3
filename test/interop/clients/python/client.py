"""kafka-python, aiokafka and confluent-kafka (librdkafka) under the client matrix (../README.md): client.py LIBRARY BOOTSTRAP ..."""
import asyncio, sys, threading, time

library, bootstrap, what, *args = sys.argv[1:]


def say(*words):
    print(*words, flush=True)


def pace(started, i, rate):
    if rate and (wait := started + i / rate - time.monotonic()) > 0:
        return wait
    return 0


def until_end_of_input(stop):
    threading.Thread(target=lambda: (sys.stdin.read(), stop()), daemon=True).start()


class KafkaPython:
    # Its producer is idempotent from 2.1 on.
    def codecs(self):
        import kafka.codec as c
        say(*[n for n in ("none", "gzip", "snappy", "lz4", "zstd") if n == "none" or getattr(c, f"has_{n}")()])

    def create(self, topic, partitions):
        from kafka.admin import KafkaAdminClient, NewTopic
        admin = KafkaAdminClient(bootstrap_servers=bootstrap)
        admin.create_topics([NewTopic(topic, int(partitions), 1)])
        admin.close()

    def produce(self, topic, codec, count, prefix, rate):
        import kafka
        newer = {} if kafka.__version__.startswith("2.0") else {"enable_idempotence": True}
        producer = kafka.KafkaProducer(bootstrap_servers=bootstrap, compression_type=None if codec == "none" else codec, acks="all", retries=1000,
                                       retry_backoff_ms=100, reconnect_backoff_max_ms=500, max_in_flight_requests_per_connection=1, linger_ms=5, **newer)
        started, sent = time.monotonic(), []
        for i in range(int(count)):
            time.sleep(pace(started, i, int(rate)))
            key = f"{prefix}-{i}"
            sent.append(producer.send(topic, key=key.encode(), value=f"value of {key}".encode()))
        producer.flush(120)
        for each in sent:
            each.get(60)
        producer.close()
        say("acked", len(sent))

    def consume(self, topic, group):
        import kafka
        consumer = kafka.KafkaConsumer(bootstrap_servers=bootstrap, group_id=group, auto_offset_reset="earliest", enable_auto_commit=False,
                                       session_timeout_ms=10000, heartbeat_interval_ms=500, reconnect_backoff_max_ms=500)

        class Says(kafka.ConsumerRebalanceListener):
            def on_partitions_revoked(self, revoked):
                pass

            def on_partitions_assigned(self, assigned):
                say("assigned", ",".join(sorted(str(p.partition) for p in assigned)))

        consumer.subscribe([topic], listener=Says())
        stop = threading.Event()
        until_end_of_input(stop.set)
        while not stop.is_set():
            polled = consumer.poll(timeout_ms=100)
            for records in polled.values():
                for r in records:
                    say("record", r.partition, r.offset, r.key.decode(), r.value.decode())
            if polled:
                try:
                    consumer.commit()
                except kafka.errors.KafkaError as e:
                    say("uncommitted", type(e).__name__)
        consumer.close()
        say("closed")


class AioKafka:
    def codecs(self):
        import aiokafka.codec as c
        say(*[n for n in ("none", "gzip", "snappy", "lz4", "zstd") if n == "none" or getattr(c, f"has_{n}")()])

    def create(self, topic, partitions):
        asyncio.run(self._create(topic, int(partitions)))

    def produce(self, *a):
        asyncio.run(self._produce(*a))

    def consume(self, *a):
        asyncio.run(self._consume(*a))

    async def _create(self, topic, partitions):
        from aiokafka.admin import AIOKafkaAdminClient, NewTopic
        admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
        await admin.start()
        await admin.create_topics([NewTopic(topic, partitions, 1)])
        await admin.close()

    async def _produce(self, topic, codec, count, prefix, rate):
        from aiokafka import AIOKafkaProducer
        producer = AIOKafkaProducer(bootstrap_servers=bootstrap, enable_idempotence=True, linger_ms=5, compression_type=None if codec == "none" else codec)
        await producer.start()
        started, sent = time.monotonic(), []
        for i in range(int(count)):
            if wait := pace(started, i, int(rate)):
                await asyncio.sleep(wait)
            key = f"{prefix}-{i}"
            sent.append(await producer.send(topic, key=key.encode(), value=f"value of {key}".encode()))
        await asyncio.gather(*sent)
        await producer.stop()
        say("acked", len(sent))

    async def _consume(self, topic, group):
        import aiokafka
        consumer = aiokafka.AIOKafkaConsumer(bootstrap_servers=bootstrap, group_id=group, auto_offset_reset="earliest", enable_auto_commit=False,
                                             session_timeout_ms=10000, heartbeat_interval_ms=500)

        class Says(aiokafka.ConsumerRebalanceListener):
            def on_partitions_revoked(self, revoked):
                pass

            def on_partitions_assigned(self, assigned):
                say("assigned", ",".join(sorted(str(p.partition) for p in assigned)))

        await consumer.start()
        consumer.subscribe([topic], listener=Says())
        stop = threading.Event()
        until_end_of_input(stop.set)
        while not stop.is_set():
            polled = await consumer.getmany(timeout_ms=100)
            for records in polled.values():
                for r in records:
                    say("record", r.partition, r.offset, r.key.decode(), r.value.decode())
            if polled:
                try:
                    await consumer.commit()
                except aiokafka.errors.KafkaError as e:
                    say("uncommitted", type(e).__name__)
        await consumer.stop()
        say("closed")


class Confluent:
    def codecs(self):
        say("none gzip snappy lz4 zstd")

    def create(self, topic, partitions):
        from confluent_kafka.admin import AdminClient, NewTopic
        admin = AdminClient({"bootstrap.servers": bootstrap})
        for done in admin.create_topics([NewTopic(topic, int(partitions), 1)]).values():
            done.result(30)

    def produce(self, topic, codec, count, prefix, rate):
        from confluent_kafka import Producer
        acked, failed = [0], []

        def delivered(error, _):
            if error:
                failed.append(error)
            else:
                acked[0] += 1

        producer = Producer({"bootstrap.servers": bootstrap, "enable.idempotence": True, "compression.type": codec, "linger.ms": 5, "reconnect.backoff.max.ms": 200})
        started = time.monotonic()
        for i in range(int(count)):
            producer.poll(pace(started, i, int(rate)))
            while (wait := pace(started, i, int(rate))) > 0:
                time.sleep(wait)
            key = f"{prefix}-{i}"
            producer.produce(topic, key=key, value=f"value of {key}", on_delivery=delivered)
        left = producer.flush(120)
        if failed or left:
            sys.exit(f"{left} not delivered, {failed[:1]}")
        say("acked", acked[0])

    def consume(self, topic, group):
        from confluent_kafka import Consumer, KafkaException
        consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": group, "auto.offset.reset": "earliest", "enable.auto.commit": False,
                             "session.timeout.ms": 10000, "heartbeat.interval.ms": 500, "reconnect.backoff.max.ms": 200})
        consumer.subscribe([topic], on_assign=lambda _, ps: say("assigned", ",".join(sorted(str(p.partition) for p in ps))))
        stop = threading.Event()
        until_end_of_input(stop.set)
        while not stop.is_set():
            records = [r for r in consumer.consume(500, 0.1) if not r.error()]
            for r in records:
                say("record", r.partition(), r.offset(), r.key().decode(), r.value().decode())
            if records:
                try:
                    consumer.commit(asynchronous=False)
                except KafkaException as e:
                    say("uncommitted", e.args[0].name())
        consumer.close()
        say("closed")


getattr({"kafka-python": KafkaPython, "aiokafka": AioKafka, "confluent-kafka": Confluent}[library](), what)(*args)
