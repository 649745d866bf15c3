// kafkajs under the client matrix (../README.md).
const { Kafka, CompressionTypes, CompressionCodecs, logLevel } = require('kafkajs');
CompressionCodecs[CompressionTypes.Snappy] = require('kafkajs-snappy');
const [, , bootstrap, what, ...a] = process.argv;
const kafka = new Kafka({ clientId: 'kafkajs', brokers: [bootstrap], logLevel: logLevel.NOTHING,
                          retry: { initialRetryTime: 50, maxRetryTime: 500, retries: 200 } });
const codecs = { none: CompressionTypes.None, gzip: CompressionTypes.GZIP, snappy: CompressionTypes.Snappy };
const say = (...words) => console.log(words.join(' '));

async function create(topic, partitions) {
  const admin = kafka.admin();
  await admin.connect();
  await admin.createTopics({ topics: [{ topic, numPartitions: +partitions, replicationFactor: 1 }], waitForLeaders: true });
  await admin.disconnect();
}

async function produce(topic, codec, count, prefix, rate) {
  const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1 });
  await producer.connect();
  const started = Date.now();
  let acked = 0;
  for (let i = 0; i < +count;) {
    const due = +rate ? Math.min(+count, Math.floor((Date.now() - started) * +rate / 1000) + 1) : Math.min(+count, i + 50);
    if (due <= i) { await new Promise((next) => setTimeout(next, 5)); continue; }
    const messages = [];
    for (; i < due; i++) messages.push({ key: `${prefix}-${i}`, value: `value of ${prefix}-${i}` });
    await producer.send({ topic, compression: codecs[codec], acks: -1, messages });
    acked += messages.length;
  }
  await producer.disconnect();
  say('acked', acked);
}

async function consume(topic, groupId) {
  const consumer = kafka.consumer({ groupId, sessionTimeout: 10000, heartbeatInterval: 500 });
  consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => say('assigned', (payload.memberAssignment[topic] || []).sort().join(',')));
  await consumer.connect();
  await consumer.subscribe({ topic, fromBeginning: true });
  await consumer.run({
    autoCommit: false,
    eachBatchAutoResolve: false,
    eachBatch: async ({ batch, resolveOffset, commitOffsetsIfNecessary, uncommittedOffsets, isStale }) => {
      if (isStale()) return;
      for (const m of batch.messages) {
        say('record', batch.partition, m.offset, m.key, m.value);
        resolveOffset(m.offset);
      }
      try { await commitOffsetsIfNecessary(uncommittedOffsets()); } catch (e) { say('uncommitted', e.type || e.name); throw e; }
    },
  });
  process.stdin.resume();
  process.stdin.on('end', async () => { await consumer.disconnect(); say('closed'); process.exit(0); });
}

const actions = { codecs: async () => say(...Object.keys(codecs)), create, produce, consume };
actions[what](...a).catch((e) => { console.error(e); process.exit(1); });
