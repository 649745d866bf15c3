// The rdkafka crate under the client matrix (../README.md). It brings a librdkafka of its own.
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::{ClientContext, DefaultClientContext};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, Rebalance};
use rdkafka::message::{DeliveryResult, Message};
use rdkafka::producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer};
use std::io::Read;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

fn config(bootstrap: &str) -> ClientConfig {
    let mut c = ClientConfig::new();
    c.set("bootstrap.servers", bootstrap).set("reconnect.backoff.max.ms", "200");
    c
}

fn create(bootstrap: &str, topic: &str, partitions: i32) {
    let admin: AdminClient<DefaultClientContext> = config(bootstrap).create().expect("admin");
    let topic = NewTopic::new(topic, partitions, TopicReplication::Fixed(1));
    let done = futures_of(admin.create_topics(&[topic], &AdminOptions::new()));
    done.expect("answer").into_iter().for_each(|r| { r.expect("created"); });
}

/// Runs one future of the admin client to its end: it is completed by the client's own thread.
fn futures_of<F: std::future::Future>(future: F) -> F::Output {
    struct Unpark(std::thread::Thread);
    impl std::task::Wake for Unpark {
        fn wake(self: Arc<Self>) { self.0.unpark(); }
    }
    let waker = Arc::new(Unpark(std::thread::current())).into();
    let mut context = std::task::Context::from_waker(&waker);
    let mut future = Box::pin(future);
    loop {
        if let std::task::Poll::Ready(output) = future.as_mut().poll(&mut context) { return output; }
        std::thread::park();
    }
}

#[derive(Clone)]
struct Acks(Arc<AtomicUsize>);
impl ClientContext for Acks {}
impl ProducerContext for Acks {
    type DeliveryOpaque = ();
    fn delivery(&self, result: &DeliveryResult, _: ()) {
        match result {
            Ok(_) => { self.0.fetch_add(1, Ordering::SeqCst); }
            Err((e, _)) => { eprintln!("not delivered: {e}"); std::process::exit(1); }
        }
    }
}

fn produce(bootstrap: &str, topic: &str, codec: &str, count: usize, prefix: &str, rate: u32) {
    let acked = Acks(Arc::new(AtomicUsize::new(0)));
    let producer: ThreadedProducer<Acks> = config(bootstrap).set("enable.idempotence", "true").set("compression.type", codec)
        .set("linger.ms", "5").create_with_context(acked.clone()).expect("producer");
    let started = Instant::now();
    for i in 0..count {
        if rate > 0 {
            let due = Duration::from_secs(1) * (i as u32) / rate;
            std::thread::sleep(due.saturating_sub(started.elapsed()));
        }
        let (key, value) = (format!("{prefix}-{i}"), format!("value of {prefix}-{i}"));
        producer.send(BaseRecord::to(topic).key(&key).payload(&value)).map_err(|(e, _)| e).expect("queued");
    }
    producer.flush(Duration::from_secs(120)).expect("flushed");
    println!("acked {}", acked.0.load(Ordering::SeqCst));
}

struct Says;
impl ClientContext for Says {}
impl ConsumerContext for Says {
    fn post_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if let Rebalance::Assign(list) = rebalance {
            let mut owned: Vec<String> = list.elements().iter().map(|e| e.partition().to_string()).collect();
            owned.sort();
            println!("assigned {}", owned.join(","));
        }
    }
}

fn consume(bootstrap: &str, topic: &str, group: &str) {
    let consumer: BaseConsumer<Says> = config(bootstrap).set("group.id", group).set("auto.offset.reset", "earliest")
        .set("enable.auto.commit", "false").set("session.timeout.ms", "10000").create_with_context(Says).expect("consumer");
    consumer.subscribe(&[topic]).expect("subscribed");
    let stop = Arc::new(AtomicBool::new(false));
    let seen = stop.clone();
    std::thread::spawn(move || {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        seen.store(true, Ordering::SeqCst);
    });
    let mut uncommitted = false;
    while !stop.load(Ordering::SeqCst) {
        match consumer.poll(Duration::from_millis(if uncommitted { 0 } else { 100 })) {
            Some(Ok(m)) => {
                let text = |b: Option<&[u8]>| String::from_utf8_lossy(b.unwrap_or_default()).into_owned();
                println!("record {} {} {} {}", m.partition(), m.offset(), text(m.key()), text(m.payload()));
                uncommitted = true;
            }
            Some(Err(e)) => eprintln!("{e}"),
            None if uncommitted => {
                if let Err(e) = consumer.commit_consumer_state(CommitMode::Sync) { println!("uncommitted {}", e.to_string().replace(' ', "_")); }
                uncommitted = false;
            }
            None => {}
        }
    }
    drop(consumer);
    println!("closed");
}

fn main() {
    let a: Vec<String> = std::env::args().collect();
    let number = |i: usize| a[i].parse::<usize>().expect("a number");
    match a[2].as_str() {
        "codecs" => println!("none gzip snappy lz4 zstd"),
        "create" => create(&a[1], &a[3], number(4) as i32),
        "produce" => produce(&a[1], &a[3], &a[4], number(5), &a[6], number(7) as u32),
        "consume" => consume(&a[1], &a[3], &a[4]),
        other => panic!("{other}"),
    }
}
