// Produce of every codec, format and kind of damage; idempotent producers; fetches with and without
// sessions.
#include <fmt/core.h>

#include <algorithm>
#include <deque>

#include "broker/record/batch_builder.h"
#include "broker/record/legacy.h"
#include "test/interop/differential_kafka/steps_records.h"

namespace ottla::differential {
namespace {

using broker::BatchBuilder;
using compress::Codec;

std::string letters(Prng& prng, size_t size) {
  std::string text;
  char c = static_cast<char>('a' + prng.below(26));
  for (size_t i = 0; i < size; ++i) {
    if (prng.below(8) == 0) c = static_cast<char>('a' + prng.below(26));
    text += c;
  }
  return text;
}

size_t value_size(Prng& prng) {
  switch (prng.below(20)) {
    case 0:
      return 1500 + prng.below(1500);
    case 1:
      return 0;
    default:
      return prng.below(120);
  }
}

void fix_crc(Buffer& batch) {
  broker::BatchView view(batch.bytes());
  store_be(batch.data() + broker::kCrcAt, view.computed_crc());
}

// Magic 0 or 1: plain messages, or one wrapper of a compressed set.
Buffer legacy_set(Prng& prng, World& world, const Topic& topic, int8_t magic) {
  bool keyed = topic.name == "compacted" && prng.chance(0.8);
  // It is compressed anew on the way into the log: only where sizes may differ.
  bool compresses = topic.recompressed || topic.name == "uncompressed";
  auto codec = static_cast<Codec>(prng.chance(0.5) || !compresses ? 0 : prng.below(4));
  Buffer inner;
  int64_t n = 1 + static_cast<int64_t>(prng.below(4));
  int64_t last_timestamp = 0;
  for (int64_t i = 0; i < n; ++i) {
    std::string key = letters(prng, 3), value = letters(prng, value_size(prng));
    broker::LegacyMessage message;
    // Inner offsets of magic 1 count from 0; outer ones are given by the log.
    message.offset = i;
    message.timestamp = last_timestamp = world.clock_ms++;
    if (keyed || prng.chance(0.5)) message.key = as_bytes(key);
    if (prng.chance(0.95)) message.value = as_bytes(value);
    broker::append_legacy(magic, message, inner);
  }
  if (codec == Codec::none) return inner;
  Buffer packed;
  compress::Format format;
  format.lz4_broken_checksum = magic == 0;
  if (!compress::compress(codec, inner.bytes(), packed, {}, format)) return inner;
  broker::LegacyMessage wrapper;
  wrapper.offset = magic == 1 ? n - 1 : 0;
  wrapper.timestamp = last_timestamp;
  wrapper.value = packed.bytes();
  wrapper.codec = codec;
  Buffer out;
  broker::append_legacy(magic, wrapper, out);
  return out;
}

// Sequences wrap to 0.
int32_t sequence_behind(int32_t sequence, int64_t count) {
  return static_cast<int32_t>((sequence + count) & INT32_MAX);
}

}  // namespace

Steps::Records::Producer& Steps::Records::any_producer(Prng& prng) {
  return producers[prng.below(producers.size())];
}

// One batch of magic 2. `sequence` says what an idempotent producer claims.
Buffer Steps::Records::batch(Prng& prng, World& known, const Topic& topic, int32_t partition,
                             bool zstd_allowed) {
  BatchBuilder::Options options;
  if (prng.chance(0.4))
    options.codec = static_cast<Codec>(1 + prng.below(zstd_allowed || prng.chance(0.1) ? 4 : 3));
  int32_t count = 1 + static_cast<int32_t>(prng.below(6));
  if (!producers.empty() && prng.chance(0.35)) {
    Producer& p = any_producer(prng);
    auto& [next, sent] = p.at[{topic.name, partition}];
    options.producer_id = p.id;
    options.producer_epoch = p.epoch;
    options.base_sequence = next;
    uint64_t die = prng.below(20);
    if (die == 0 && !sent.empty()) {
      // One of the last batches again, byte for byte or with another number of records.
      const Sent& again = sent[prng.below(sent.size())];
      options.base_sequence = again.sequence;
      if (prng.chance(0.9)) count = again.count;
    } else if (die == 1) {
      options.base_sequence = sequence_behind(next, prng.between(1, 5));
    } else if (die == 2) {
      if (p.epoch > 0) options.producer_epoch = static_cast<int16_t>(p.epoch - 1);
    } else if (die == 3) {
      ++p.epoch;
      p.at.clear();
      options.producer_epoch = p.epoch;
      options.base_sequence = prng.chance(0.8) ? 0 : 3;
    } else if (die == 4) {
      options.base_sequence = pick(prng, {-1, INT32_MAX, 0});
    } else if (die == 5) {
      options.producer_id = p.id + 1000;
    }
  }
  if (prng.chance(0.02)) options.transactional = true;
  if (prng.chance(0.02)) options.control = true;
  if (prng.chance(0.1)) options.base_offset = prng.between(0, 1000);
  if (prng.chance(0.1)) options.leader_epoch = static_cast<int32_t>(prng.below(3));
  if (prng.chance(0.05)) {
    options.timestamp_type = broker::TimestampType::log_append_time;
    options.log_append_time_ms = known.clock_ms;
  }
  BatchBuilder builder(options);
  bool keyed = topic.name == "compacted" ? prng.chance(0.9) : prng.chance(0.5);
  for (int32_t i = 0; i < count; ++i) {
    std::string key = letters(prng, 4), value = letters(prng, value_size(prng));
    int64_t timestamp = known.clock_ms++;
    if (topic.name == "dated" && prng.chance(0.5)) timestamp = 4'000'000'000'000;  // in the future
    if (prng.chance(0.03))
      timestamp = pick<int64_t>(prng, {-1, 0, timestamp - 5000, timestamp + 100});
    std::vector<BatchBuilder::HeaderIn> headers;
    std::string header_value = letters(prng, 5);
    if (prng.chance(0.2)) headers.push_back({"h", as_bytes(header_value)});
    if (prng.chance(0.1)) headers.push_back({"", std::nullopt});
    builder.append(timestamp, keyed ? std::optional<Bytes>(as_bytes(key)) : std::nullopt,
                   prng.chance(0.95) ? std::optional<Bytes>(as_bytes(value)) : std::nullopt,
                   headers);
  }
  Buffer out;
  OTTLA_CHECK(builder.finish(out).has_value());
  last_count = count;
  last_sequence = options.base_sequence;
  last_producer = options.producer_id;
  last_epoch = options.producer_epoch;
  return out;
}

// Damage that both servers must answer alike. Compressed payloads stay whole: docs/compat.md, Log.
void Steps::Records::damage(Prng& prng, Buffer& set) {
  using namespace broker;
  bool compressed = BatchView(set.bytes()).codec_id() != 0;
  switch (prng.below(16)) {
    case 0:
      set.data()[kCrcAt] ^= 1;
      return;
    case 1:
      set.resize_uninitialized(set.size() - 1 - prng.below(set.size() - 1));
      return;
    case 2:
      set.append(std::string(1 + prng.below(80), '\0'));
      return;
    case 3:
      store_be(set.data() + kLengthAt,
               static_cast<int32_t>(
                   pick<int64_t>(prng, {0, -1, 13, 14, 48, 49, INT32_MAX, INT32_MIN, 1 << 20})));
      return;
    case 4:
      set.data()[kMagicAt] = static_cast<uint8_t>(pick(prng, {0, 1, 3, 127, 255}));
      return;
    case 5:
      if (compressed) return;
      store_be(set.data() + kRecordCountAt, pick(prng, {0, -1, 1, 7, INT32_MAX}));
      break;
    case 6:
      if (compressed) return;
      store_be(set.data() + kLastOffsetDeltaAt, pick(prng, {0, -1, 1, 7, INT32_MAX}));
      break;
    case 7:
      store_be(set.data() + kAttributesAt,
               static_cast<int16_t>(pick(prng, {0x40, 0x80, 0x7f00, 5, 6, 7, 0x15, 0x26})));
      break;
    case 8: {
      if (compressed) return;
      // Any byte of the records; but no time below -1 and no offset that does not rise, which
      // Apache's takes and can convert for no old client: docs/compat.md.
      if (set.size() <= kBatchHeaderSize) break;
      uint8_t& byte = set.data()[kBatchHeaderSize + prng.below(set.size() - kBatchHeaderSize)];
      auto bit = static_cast<uint8_t>(1 << prng.below(8));
      byte ^= bit;
      bool fits = true;
      int64_t offset = -1;
      (void)each_record({set.bytes(), kMagicV2}, [&](const Record& r) {
        fits &= r.timestamp >= -1 && r.offset > offset;
        offset = r.offset;
        return fits;
      });
      if (!fits) byte ^= bit;
      break;
    }
    case 9: {
      Buffer twice(set.bytes());
      set.append(twice.bytes());
      return;
    }
    case 10:
      if (compressed) return;
      store_be(set.data() + kMaxTimestampAt, pick<int64_t>(prng, {-1, 0, INT64_MAX, 5}));
      break;
    case 11:
      store_be(set.data() + kBaseOffsetAt, pick<int64_t>(prng, {-1, INT64_MAX, INT64_MIN}));
      return;
    case 12:
      set.clear();
      return;
    case 13:
      store_be(set.data() + kProducerIdAt, pick<int64_t>(prng, {-1, -2, 77, INT64_MAX}));
      break;
    case 14:
      store_be(set.data() + kProducerEpochAt, pick<int16_t>(prng, {0, INT16_MAX, -1, -2}));
      break;
    default:
      store_be(set.data() + kBaseSequenceAt, pick(prng, {-1, -2, 0, INT32_MAX}));
      break;
  }
  fix_crc(set);
}

void Steps::produce() {
  Prng& prng = run.prng;
  constexpr int16_t kKey = kmsg::ProduceRequest::kApiKey;
  int16_t v = version(kKey);
  Records& records = *records_;
  kmsg::ProduceRequest request;
  request.acks = prng.chance(0.05) ? pick<int16_t>(prng, {2, -2, 100})
                                   : pick<int16_t>(prng, {1, 1, -1, -1, -1});
  if (prng.chance(0.04)) request.acks = 0;
  request.timeout_ms = 5000;
  std::deque<Buffer> sets;
  struct Claim {
    std::string topic;
    int32_t partition;
    int64_t producer;
    int16_t epoch;
    int32_t sequence, count;
  };
  std::vector<Claim> claims;
  for (uint64_t topics = prng.chance(0.85) ? 1 : 2 + prng.below(2); topics > 0; --topics) {
    auto& data = request.topic_data.emplace_back();
    data.name = prng.chance(0.95) ? world.any_topic(prng).name : world.topic_name(prng);
    // For a name that is no topic's, as for any.
    const Topic* found = world.find(data.name);
    const Topic& topic = found ? *found : world.any_topic(prng);
    for (uint64_t parts = prng.chance(0.85) ? 1 : 2; parts > 0; --parts) {
      auto& part = data.partition_data.emplace_back();
      part.index = prng.chance(0.95)
                       ? static_cast<int32_t>(prng.below(static_cast<uint64_t>(topic.partitions)))
                       : world.partition(prng);
      bool modern = v >= 3 ? prng.chance(0.95) : prng.chance(0.1);
      if (modern) {
        sets.push_back(records.batch(prng, world, topic, part.index, v >= 7));
        if (prng.chance(0.12))
          records.damage(prng, sets.back());
        else if (records.last_producer >= 0)
          claims.push_back({data.name, part.index, records.last_producer, records.last_epoch,
                            records.last_sequence, records.last_count});
      } else {
        int8_t magic =
            v >= 2 ? static_cast<int8_t>(prng.chance(0.8)) : static_cast<int8_t>(prng.chance(0.1));
        sets.push_back(legacy_set(prng, world, topic, magic));
        if (prng.chance(0.08)) sets.back().data()[broker::kLegacyCrcAt] ^= 1;
      }
      part.records = kmsg::Records::of(sets.back().bytes());
    }
  }
  // The same partition twice, or the same topic: a map at Apache's takes the last.
  for (size_t i = 0; i < request.topic_data.size(); ++i)
    for (size_t j = i + 1; j < request.topic_data.size(); ++j)
      if (request.topic_data[i].name == request.topic_data[j].name) {
        request.topic_data.resize(1);
        break;
      }
  for (auto& data : request.topic_data)
    if (data.partition_data.size() == 2 &&
        data.partition_data[0].index == data.partition_data[1].index)
      data.partition_data.resize(1);
  int conn = static_cast<int>(prng.below(3));
  Expect expect;
  expect.no_answer = request.acks == 0;
  if (expect.no_answer) {
    run.call(conn, request, v, expect);
    // What became of it shows in the next answer on the same connection, or in its end.
    kmsg::MetadataRequest after;
    after.topics->clear();
    run.call(conn, after, 1);
    return;
  }
  auto* reply = run.ask<kmsg::ProduceResponse>(conn, request, v, expect);
  if (!reply) return;
  for (const auto& topic : reply->responses)
    for (const auto& part : topic.partition_responses) {
      if (part.error_code != kmsg::ErrorCode::none) continue;
      if (Topic* known = world.find(topic.name);
          known && part.index >= 0 && static_cast<size_t>(part.index) < known->leo.size()) {
        auto& leo = known->leo[static_cast<size_t>(part.index)];
        leo = std::max(leo, part.base_offset + 1);
      }
      for (const Claim& claim : claims) {
        if (claim.topic != topic.name || claim.partition != part.index) continue;
        for (auto& p : records.producers) {
          if (p.id != claim.producer) continue;
          auto& [next, sent] = p.at[{claim.topic, claim.partition}];
          next = sequence_behind(claim.sequence, claim.count);
          sent.push_back({claim.sequence, claim.count});
          if (sent.size() > 6) sent.erase(sent.begin());
        }
      }
    }
}

void Steps::init_producer() {
  Prng& prng = run.prng;
  kmsg::InitProducerIdRequest request;
  int16_t v = version(kmsg::InitProducerIdRequest::kApiKey);
  request.transactional_id.reset();
  request.transaction_timeout_ms = pick(prng, {60000, 0, -1});
  if (v >= 3 && prng.chance(0.3)) {
    request.producer_id = pick<int64_t>(prng, {0, 1, 5000});
    request.producer_epoch = pick<int16_t>(prng, {0, 1, INT16_MAX});
  }
  Expect block;
  block.settling = [](Message& reply) {
    return body_of<kmsg::InitProducerIdResponse>(&reply)->error_code ==
           kmsg::ErrorCode::coordinator_load_in_progress;
  };
  auto* reply = run.ask<kmsg::InitProducerIdResponse>(0, request, v, block);
  if (!reply || reply->error_code != kmsg::ErrorCode::none) return;
  records_->producers.push_back({reply->producer_id, reply->producer_epoch, {}});
  if (records_->producers.size() > 6) records_->producers.erase(records_->producers.begin());
}

// ------------------------------------------------------------------------------------------
// fetches

void Steps::fetch() {
  Prng& prng = run.prng;
  int16_t v = version(kmsg::FetchRequest::kApiKey);
  auto& sessions = records_->sessions;
  kmsg::FetchRequest request;
  request.max_wait_ms = prng.chance(0.01) ? 20 : 0;
  if (v <= 14 && prng.chance(0.05)) request.replica_id = -2;
  request.min_bytes = pick(prng, {0, 1, 1, 1, 1000});
  request.max_bytes = v >= 3 ? pick(prng, {0, 1, 500, 5000, 50000, 1 << 20}) : INT32_MAX;
  if (v >= 4)
    request.isolation_level =
        static_cast<int8_t>(prng.chance(0.05) ? prng.between(-1, 3) : prng.below(2));
  if (v >= 11) request.rack_id = pick<std::string>(prng, {"", "", "rack"});
  Records::Session* session = nullptr;
  if (v >= 7) {
    uint64_t die = prng.below(10);
    if (die < 3) {
      request.session_id = 0;
      request.session_epoch = -1;
    } else if (die < 5 || sessions.empty()) {
      request.session_id = 0;
      request.session_epoch = 0;
    } else {
      session = &sessions[prng.below(sessions.size())];
      request.session_id = session->id;
      request.session_epoch = session->epoch;
      uint64_t wrong = prng.below(20);
      if (wrong == 0) request.session_epoch += static_cast<int32_t>(prng.between(1, 3));
      if (wrong == 1) request.session_id = 12345;
      if (wrong == 2) request.session_epoch = -1;
      if (wrong == 3) request.session_epoch = 0;
      // The names of topics belong to a session's life; another kind of request is an error.
      if (session->by_id != (v >= 13) && prng.chance(0.9)) v = session->by_id ? 16 : 12;
      if (v > 14) request.replica_id = -1;
      if (v < 11) request.rack_id.clear();
    }
  }
  // Sizes of what the broker compresses are its library's: no limit may decide by them.
  auto is_recompressed = [&](const auto& asked) {
    for (const Topic& known : world.topics) {
      kmsg::Uuid id;
      bool is = v < 13 ? asked.topic == known.name
                       : run.symbols.topic_id(known.name, id) && id == asked.topic_id;
      if (is && known.recompressed) return true;
    }
    return false;
  };
  constexpr int16_t kLastConverted = 3;
  auto address = [&](const std::string& name, std::string& topic, kmsg::Uuid& id) {
    if (v < 13)
      topic = name;
    else if (!run.symbols.topic_id(name, id))
      // An id of zeros is a null name at Apache's, which fails there with anything behind it.
      id.bytes[3] = static_cast<uint8_t>(1 + prng.below(9));
  };
  for (uint64_t n = session ? prng.below(3) : 1 + prng.below(3); n > 0; --n) {
    const Topic& known = world.any_topic(prng);
    auto& topic = request.topics.emplace_back();
    uint64_t die = prng.below(100);
    address(die < 90   ? known.name
            : die < 95 ? "__consumer_offsets"
                       : world.topic_name(prng),
            topic.topic, topic.topic_id);
    for (uint64_t parts = prng.chance(0.7) ? 1 : 2; parts > 0; --parts) {
      auto& p = topic.partitions.emplace_back();
      p.partition = prng.chance(0.94)
                        ? static_cast<int32_t>(prng.below(static_cast<uint64_t>(known.partitions)))
                        : world.partition(prng);
      int64_t leo = static_cast<size_t>(p.partition) < known.leo.size() && p.partition >= 0
                        ? known.leo[static_cast<size_t>(p.partition)]
                        : 5;
      p.fetch_offset = prng.chance(0.06) ? world.offset(prng)
                       : prng.chance(0.5)
                           ? std::max<int64_t>(0, leo - static_cast<int64_t>(prng.below(30)))
                           : static_cast<int64_t>(prng.below(static_cast<uint64_t>(leo) + 1));
      if (v >= 9)
        p.current_leader_epoch = prng.chance(0.1) ? pick(prng, {0, 1, 5, -2}) : pick(prng, {-1, 0});
      if (v >= 12 && prng.chance(0.1)) p.last_fetched_epoch = pick(prng, {-1, 0, 0, 1});
      if (v >= 5 && prng.chance(0.05)) p.log_start_offset = pick<int64_t>(prng, {0, -1, 5});
      if (topic.topic == "__consumer_offsets") {
        p.partition = world.partition_of_group(world.group(prng));
        p.fetch_offset = static_cast<int64_t>(prng.below(prng.chance(0.5) ? 10 : 300));
      }
      p.partition_max_bytes =
          prng.chance(0.04) ? 1 << 20 : pick(prng, {0, 1, 300, 3000, 3000, 30000});
      if (is_recompressed(topic) && p.partition_max_bytes > 1)
        p.partition_max_bytes = v <= kLastConverted ? 1 : 50'000'000;
    }
  }
  if (session)
    for (uint64_t n = prng.chance(0.2) ? 1 + prng.below(2) : 0; n > 0; --n) {
      auto& forgotten = request.forgotten_topics_data.emplace_back();
      address(world.any_topic(prng).name, forgotten.topic, forgotten.topic_id);
      forgotten.partitions = {0};
    }
  bool recompressed = session && session->recompressed;
  for (const auto& topic : request.topics) recompressed |= is_recompressed(topic);
  if (recompressed) request.max_bytes = 50'000'000;
  if (session) session->recompressed = recompressed;
  int32_t asked_id = request.session_id, asked_epoch = request.session_epoch;
  auto* reply = run.ask<kmsg::FetchResponse>(static_cast<int>(prng.below(3)), request, v);
  if (!reply || v < 7 || reply->error_code != kmsg::ErrorCode::none) return;
  if (asked_epoch == -1) {
    std::erase_if(sessions, [&](const auto& s) { return s.id == asked_id; });
  } else if (asked_epoch == 0) {
    std::erase_if(sessions, [&](const auto& s) { return s.id == asked_id; });
    if (reply->session_id != 0) sessions.push_back({reply->session_id, 1, v >= 13, recompressed});
  } else {
    for (auto& s : sessions)
      if (s.id == asked_id && s.epoch == asked_epoch) ++s.epoch;
  }
  if (sessions.size() > 12) {
    kmsg::FetchRequest end;
    end.session_id = sessions[0].id;
    end.session_epoch = -1;
    run.call(0, end, 12);
    sessions.erase(sessions.begin());
  }
}

}  // namespace ottla::differential
