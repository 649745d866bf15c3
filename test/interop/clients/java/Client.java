// The Java client under the client matrix (../README.md), the same source for kafka-clients 2.8, 3.9 and 4.2.
import java.io.IOException;
import java.time.Duration;
import java.util.*;
import java.util.concurrent.atomic.*;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.*;

public class Client {
    static String bootstrap;

    public static void main(String[] a) throws Exception {
        bootstrap = a[0];
        switch (a[1]) {
            case "codecs": System.out.println("none gzip snappy lz4 zstd"); break;
            case "create": create(a[2], Integer.parseInt(a[3])); break;
            case "produce": produce(a[2], a[3], Integer.parseInt(a[4]), a[5], Integer.parseInt(a[6])); break;
            case "consume": consume(a[2], a[3]); break;
            default: throw new IllegalArgumentException(a[1]);
        }
    }

    static void create(String topic, int partitions) throws Exception {
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", bootstrap))) {
            admin.createTopics(List.of(new NewTopic(topic, partitions, (short) 1))).all().get();
        }
    }

    static void produce(String topic, String codec, int count, String prefix, int rate) throws Exception {
        Properties p = new Properties();
        p.put("bootstrap.servers", bootstrap);
        p.put("compression.type", codec);
        p.put("enable.idempotence", "true");
        p.put("acks", "all");
        p.put("linger.ms", "5");
        AtomicInteger acked = new AtomicInteger();
        AtomicReference<Exception> failed = new AtomicReference<>();
        try (Producer<String, String> producer = new KafkaProducer<>(p, new StringSerializer(), new StringSerializer())) {
            long started = System.nanoTime();
            for (int i = 0; i < count; i++) {
                if (rate > 0) {
                    long due = started + i * 1_000_000_000L / rate - System.nanoTime();
                    if (due > 0) Thread.sleep(due / 1_000_000, (int) (due % 1_000_000));
                }
                String key = prefix + "-" + i;
                producer.send(new ProducerRecord<>(topic, key, "value of " + key), (meta, e) -> {
                    if (e != null) failed.compareAndSet(null, e); else acked.incrementAndGet();
                });
            }
            producer.flush();
        }
        if (failed.get() != null) throw failed.get();
        System.out.println("acked " + acked.get());
    }

    static void consume(String topic, String group) throws Exception {
        Properties p = new Properties();
        p.put("bootstrap.servers", bootstrap);
        p.put("group.id", group);
        p.put("auto.offset.reset", "earliest");
        p.put("enable.auto.commit", "false");
        AtomicBoolean stop = new AtomicBoolean();
        Thread reader = new Thread(() -> {
            try { while (System.in.read() >= 0) { } } catch (IOException e) { }
            stop.set(true);
        });
        reader.setDaemon(true);
        reader.start();
        try (KafkaConsumer<String, String> consumer = new KafkaConsumer<>(p, new StringDeserializer(), new StringDeserializer())) {
            consumer.subscribe(List.of(topic), new ConsumerRebalanceListener() {
                public void onPartitionsRevoked(Collection<TopicPartition> ps) { }
                public void onPartitionsAssigned(Collection<TopicPartition> ps) {
                    System.out.println("assigned " + consumer.assignment().stream().map(tp -> "" + tp.partition()).sorted().collect(Collectors.joining(",")));
                }
            });
            while (!stop.get()) {
                ConsumerRecords<String, String> records = consumer.poll(Duration.ofMillis(100));
                for (ConsumerRecord<String, String> r : records)
                    System.out.println("record " + r.partition() + " " + r.offset() + " " + r.key() + " " + r.value());
                if (!records.isEmpty()) {
                    try { consumer.commitSync(Duration.ofSeconds(30)); }
                    catch (CommitFailedException | org.apache.kafka.common.errors.RebalanceInProgressException e) { System.out.println("uncommitted " + e.getClass().getSimpleName()); }
                }
            }
        }
        System.out.println("closed");
    }
}
