#include "test/fuzz/mutate.h"

#include <algorithm>
#include <iterator>
#include <string>

#include "common/wire/reader.h"
#include "common/wire/writer.h"
#include "proto/kafka/all_messages.h"
#include "proto/kafka/headers.h"
#include "proto/kafka/walk.h"
#include "proto/zookeeper/all_records.h"
#include "proto/zookeeper/opcodes.h"
#include "proto/zookeeper/walk.h"
#include "test/fuzz/field_mutator.h"

namespace ottla::fuzz {
namespace {

constexpr std::string_view kKafkaTexts[] = {
    "t", "t", "t", "u", "g", "g", "x", "", "__consumer_offsets", "__transaction_state", "0", "1", "-1", "consumer",
    "range", "PLAINTEXT", "broker", "retention.ms", "cleanup.policy", "compact", "compression.type", "gzip", "zstd",
    "max.message.bytes", "log.retention.ms", "/logs", "a/b", ".", "..", "@", "user", "client-id", "SCRAM-SHA-256",
    "producer_byte_rate", "metadata.version", "kafka", "INFO", "\xff\xfe", "zookeeper.connect", "9223372036854775807"};
constexpr std::string_view kJuteTexts[] = {
    "/a", "/a", "/a/b", "/b", "/a/s-", "/", "", "/a/", "a", "//", "/a//b", "/zookeeper/quota", "/zookeeper/config",
    "/zookeeper/quota/a", "/zookeeper/quota/a/zookeeper_limits", "count=1,bytes=2=;byteHardLimit=3;countHardLimit=2",
    "world", "anyone", "digest", "user:pass", "ip", "127.0.0.1", "127.0.0.1/8", "auth", "super", "sasl", "x509",
    "/a/./b", "/a/../b", "/\x01", "\xff"};

template <class Message>
Buffer with_header(kmsg::RequestHeader header, const Message& message, int16_t version) {
  wire::Writer out;
  header.request_api_key = Message::kApiKey;
  header.request_api_version = version;
  if (!header.encode(out, version >= Message::kFlexibleFrom ? 2 : 1) || !message.encode(out, version)) return {};
  return out.take();
}

// What the message borrows is in `frame`.
template <class Message>
Buffer mutate_message(Prng& prng, Bytes frame, int16_t version) {
  if (version < Message::kMinVersion || version > Message::kMaxVersion) return {};
  wire::Reader reader(frame);
  kmsg::RequestHeader header;
  Message message;
  if (!header.decode(reader, version >= Message::kFlexibleFrom ? 2 : 1) || !message.decode(reader, version)) return {};
  FieldMutator mutator(prng, prng.chance(0.5) ? 0.1 : 0.4, kKafkaTexts);
  // Another version of the same request.
  if (prng.chance(0.1)) version = static_cast<int16_t>(prng.between(Message::kMinVersion, Message::kMaxVersion));
  walk(message, mutator, version);
  return with_header(header, message, version);
}

template <class Message>
Buffer arbitrary_message(Prng& prng) {
  auto version = static_cast<int16_t>(prng.between(Message::kMinVersion, Message::kMaxVersion));
  Message message = Message::arbitrary(prng, version);
  FieldMutator mutator(prng, 0.7, kKafkaTexts);
  walk(message, mutator, version);
  kmsg::RequestHeader header;
  header.correlation_id = static_cast<int32_t>(prng.below(1 << 20));
  header.client_id = "c";
  return with_header(header, message, version);
}

}  // namespace

Buffer arbitrary_kafka_frame(Prng& prng) {
  Buffer out;
  const kmsg::ApiInfo& api = kmsg::kApis[prng.below(std::size(kmsg::kApis))];
  kmsg::visit_api(static_cast<int16_t>(api.key), true, [&]<class Message>() {
    if constexpr (requires { Message::kApiKey; }) out = arbitrary_message<Message>(prng);
  });
  return out;
}

Buffer mutate_kafka_frame(Prng& prng, Bytes frame) {
  Buffer out;
  if (frame.size() >= 4 && !prng.chance(0.1)) {
    auto version = load_be<int16_t>(frame.data() + 2);
    kmsg::visit_api(load_be<int16_t>(frame.data()), true, [&]<class Message>() {
      if constexpr (requires { Message::kApiKey; }) out = mutate_message<Message>(prng, frame, version);
    });
  }
  return out.empty() ? mutate_bytes(prng, frame) : std::move(out);
}

// ------------------------------------------------------------------------------------------ Jute

namespace {

using jute::OpCode;
struct Shape {
  OpCode op;
  std::string_view record;
};
constexpr Shape kShapes[] = {
    {OpCode::create, "CreateRequest"}, {OpCode::create2, "CreateRequest"}, {OpCode::create_container, "CreateRequest"},
    {OpCode::create_ttl, "CreateTTLRequest"}, {OpCode::remove, "DeleteRequest"}, {OpCode::exists, "ExistsRequest"},
    {OpCode::get_data, "GetDataRequest"}, {OpCode::set_data, "SetDataRequest"}, {OpCode::get_acl, "GetACLRequest"},
    {OpCode::set_acl, "SetACLRequest"}, {OpCode::get_children, "GetChildrenRequest"},
    {OpCode::get_children2, "GetChildren2Request"}, {OpCode::check, "CheckVersionRequest"}, {OpCode::sync, "SyncRequest"},
    {OpCode::reconfig, "ReconfigRequest"}, {OpCode::check_watches, "CheckWatchesRequest"},
    {OpCode::remove_watches, "RemoveWatchesRequest"}, {OpCode::delete_container, "DeleteRequest"},
    {OpCode::auth, "AuthPacket"}, {OpCode::set_watches, "SetWatches"}, {OpCode::set_watches2, "SetWatches2"},
    {OpCode::sasl, "GetSASLRequest"}, {OpCode::get_ephemerals, "GetEphemeralsRequest"},
    {OpCode::get_all_children_number, "GetAllChildrenNumberRequest"}, {OpCode::add_watch, "AddWatchRequest"}};
constexpr OpCode kBare[] = {OpCode::ping, OpCode::who_am_i, OpCode::close_session, OpCode::create_session};

std::string_view record_of(int32_t op) {
  for (const Shape& shape : kShapes)
    if (static_cast<int32_t>(shape.op) == op) return shape.record;
  return {};
}
bool is_multi(int32_t op) {
  return op == static_cast<int32_t>(OpCode::multi) || op == static_cast<int32_t>(OpCode::multi_read);
}

// The record at the reader, changed, to the writer.
bool mutate_record(wire::Walker& mutator, wire::Reader& in, wire::Writer& out, std::string_view name) {
  bool ok = false;
  jute::visit_record(name, [&]<class Record>() {
    Record record;
    if (!(ok = record.decode(in))) return;
    jute::walk(record, mutator);
    record.encode(out);
  });
  return ok;
}

void fresh_record(Prng& prng, wire::Writer& out, std::string_view name) {
  jute::visit_record(name, [&]<class Record>() {
    Record record;
    FieldMutator mutator(prng, 0.8, kJuteTexts);
    jute::walk(record, mutator);
    record.encode(out);
  });
}

void put_multi_header(wire::Writer& out, int32_t op, bool done) {
  out.i32(op);
  out.boolean(done);
  out.i32(-1);
}

Buffer mutate_multi(Prng& prng, wire::Reader& in, wire::Writer& out) {
  FieldMutator mutator(prng, 0.15, kJuteTexts);
  while (!in.at_end()) {
    auto op = in.i32();
    bool done = in.boolean();
    (void)in.i32();
    if (!in.ok()) return {};
    if (done) break;
    if (prng.chance(0.1)) {  // one more
      const Shape& shape = kShapes[prng.below(std::size(kShapes))];
      put_multi_header(out, static_cast<int32_t>(shape.op), false);
      fresh_record(prng, out, shape.record);
    }
    std::string_view name = record_of(op);
    wire::Writer one;
    if (name.empty() || !mutate_record(mutator, in, one, name)) return {};
    if (prng.chance(0.1)) continue;  // one less
    put_multi_header(out, op, false);
    out.raw(one.bytes());
  }
  put_multi_header(out, -1, true);
  return out.take();
}

}  // namespace

Buffer arbitrary_jute_frame(Prng& prng) {
  wire::Writer out;
  out.i32(static_cast<int32_t>(prng.below(1000)));
  if (prng.chance(0.1)) {
    out.i32(static_cast<int32_t>(kBare[prng.below(std::size(kBare))]));
  } else if (prng.chance(0.2)) {
    bool reads = prng.chance(0.3);
    out.i32(static_cast<int32_t>(reads ? OpCode::multi_read : OpCode::multi));
    for (uint64_t left = prng.below(5); left > 0; --left) {
      const Shape& shape = kShapes[prng.below(reads ? 12 : 13)];
      put_multi_header(out, static_cast<int32_t>(shape.op), false);
      fresh_record(prng, out, shape.record);
    }
    put_multi_header(out, -1, true);
  } else {
    const Shape& shape = kShapes[prng.below(std::size(kShapes))];
    out.i32(static_cast<int32_t>(shape.op));
    fresh_record(prng, out, shape.record);
  }
  return out.take();
}

Buffer mutate_jute_frame(Prng& prng, Bytes frame) {
  wire::Reader in(frame);
  wire::Writer out;
  out.i32(in.i32());
  auto op = in.i32();
  out.i32(op);
  Buffer changed;
  if (in.ok() && is_multi(op)) {
    changed = mutate_multi(prng, in, out);
  } else if (in.ok() && !record_of(op).empty()) {
    FieldMutator mutator(prng, 0.3, kJuteTexts);
    if (mutate_record(mutator, in, out, record_of(op))) changed = out.take();
  } else if (frame.size() >= 44 && load_be<int32_t>(frame.data()) == 0) {
    return arbitrary_connect(prng);
  }
  return changed.empty() || prng.chance(0.1) ? mutate_bytes(prng, frame) : std::move(changed);
}

Buffer arbitrary_connect(Prng& prng) {
  jute::ConnectRequest request;
  request.time_out = 10000;
  request.passwd = std::string(16, '\0');
  FieldMutator mutator(prng, prng.chance(0.5) ? 0.0 : 0.3, kJuteTexts);
  jute::walk(request, mutator);
  wire::Writer out;
  request.encode(out);
  return out.take();
}

// ----------------------------------------------------------------------------------------- steps

namespace {

struct Step {
  uint8_t control = 0;
  Buffer bytes;
};
constexpr size_t kMaxSteps = 60, kMaxStepBytes = 60'000;

std::vector<Step> parse_steps(Bytes input) {
  std::vector<Step> steps;
  wire::Reader in(input);
  while (in.remaining() >= 3 && steps.size() < kMaxSteps) {
    Step step{in.u8(), {}};
    size_t size = in.u16();
    step.bytes = Buffer(in.take(std::min(size, in.remaining())));
    steps.push_back(std::move(step));
  }
  return steps;
}

Buffer join_steps(const std::vector<Step>& steps) {
  wire::Writer out;
  for (const Step& step : steps) {
    if (step.bytes.size() > kMaxStepBytes) continue;
    out.u8(step.control);
    out.u16(static_cast<uint16_t>(step.bytes.size()));
    out.raw(step.bytes.bytes());
  }
  return out.take();
}

// Mostly whole frames on one connection.
uint8_t some_control(Prng& prng) {
  return prng.chance(0.8) ? static_cast<uint8_t>(prng.below(2) << 6) : static_cast<uint8_t>(prng.next());
}

void change_steps(Prng& prng, std::vector<Step>& steps, const StepShape& shape) {
  size_t at = steps.empty() ? 0 : prng.below(steps.size());
  uint64_t how = steps.empty() ? 0 : prng.below(10);
  switch (how) {
    case 0:
    case 1:
      if (steps.size() < kMaxSteps)
        steps.insert(steps.begin() + static_cast<ptrdiff_t>(at), Step{some_control(prng), shape.make(prng)});
      return;
    case 2: steps.erase(steps.begin() + static_cast<ptrdiff_t>(at)); return;
    case 3: std::swap(steps[at], steps[prng.below(steps.size())]); return;
    case 4: steps[at].control = some_control(prng); return;
    case 5: {
      Step copy{steps[at].control, steps[at].bytes.clone()};
      if (steps.size() < kMaxSteps) steps.push_back(std::move(copy));
      return;
    }
    default: steps[at].bytes = shape.change(prng, steps[at].bytes);
  }
}

// A frame, a connect request, a word for operators, or noise.
Buffer make_jute_step(Prng& prng) {
  constexpr std::string_view kWords[] = {"ruok", "srvr", "stat", "mntr", "conf", "cons", "crst", "dump", "envi",
                                         "wchs", "wchc", "wchp", "dirs", "isro", "srst", "gtmk", "stmk", "hash"};
  if (prng.chance(0.1)) return Buffer(as_bytes(kWords[prng.below(std::size(kWords))]));
  return prng.chance(0.15) ? arbitrary_connect(prng) : arbitrary_jute_frame(prng);
}

}  // namespace

const StepShape kKafkaSteps{arbitrary_kafka_frame, mutate_kafka_frame};
const StepShape kJuteSteps{make_jute_step, mutate_jute_frame};

Buffer arbitrary_steps(Prng& prng, const StepShape& shape, size_t count) {
  std::vector<Step> steps;
  for (size_t i = 0; i < count; ++i) steps.push_back(Step{some_control(prng), shape.make(prng)});
  return join_steps(steps);
}

Buffer mutate_steps(Prng& prng, Bytes input, const StepShape& shape) {
  std::vector<Step> steps = parse_steps(input);
  for (uint64_t left = prng.below(3) + 1; left > 0; --left) change_steps(prng, steps, shape);
  return join_steps(steps);
}

// ------------------------------------------------------------------------------- session's steps

namespace {

constexpr uint8_t kFrameStep = 5, kConnectStep = 6;

std::vector<Step> parse_session(Bytes input) {
  std::vector<Step> steps;
  wire::Reader in(input);
  while (in.remaining() != 0 && steps.size() < 200) {
    Step step{in.u8(), {}};
    auto kind = static_cast<uint8_t>(step.control >> 4);
    size_t size = kind == 1 ? 1 : kind >= kFrameStep ? in.u8() : 0;
    step.bytes = Buffer(in.take(std::min(size, in.remaining())));
    steps.push_back(std::move(step));
  }
  return steps;
}

Buffer join_session(const std::vector<Step>& steps) {
  wire::Writer out;
  for (const Step& step : steps) {
    auto kind = static_cast<uint8_t>(step.control >> 4);
    if (step.bytes.size() > 255) continue;
    out.u8(step.control);
    if (kind >= kFrameStep) out.u8(static_cast<uint8_t>(step.bytes.size()));
    if (kind == 1 && step.bytes.empty()) out.u8(1);
    if (kind >= kFrameStep || kind == 1) out.raw(step.bytes.bytes());
  }
  return out.take();
}

Step session_step(Prng& prng) {
  auto client = static_cast<uint8_t>(prng.below(3));
  if (prng.chance(0.25)) {
    Step step{static_cast<uint8_t>(prng.below(5) << 4 | client), {}};
    if (step.control >> 4 == 1) step.bytes.push_back(static_cast<uint8_t>(prng.below(60)));
    return step;
  }
  bool connects = prng.chance(0.1);
  return {static_cast<uint8_t>((connects ? kConnectStep : kFrameStep) << 4 | client),
          connects ? arbitrary_connect(prng) : arbitrary_jute_frame(prng)};
}

}  // namespace

Buffer arbitrary_session_steps(Prng& prng, size_t count) {
  std::vector<Step> steps;
  for (size_t i = 0; i < count; ++i) steps.push_back(session_step(prng));
  return join_session(steps);
}

Buffer mutate_session_steps(Prng& prng, Bytes input) {
  std::vector<Step> steps = parse_session(input);
  for (uint64_t left = prng.below(3) + 1; left > 0; --left) {
    size_t at = steps.empty() ? 0 : prng.below(steps.size());
    uint64_t how = steps.empty() ? 0 : prng.below(6);
    if (how < 2) {
      steps.insert(steps.begin() + static_cast<ptrdiff_t>(at), session_step(prng));
    } else if (how == 2) {
      steps.erase(steps.begin() + static_cast<ptrdiff_t>(at));
    } else if (how == 3) {
      std::swap(steps[at], steps[prng.below(steps.size())]);
    } else if (steps[at].control >> 4 >= kFrameStep) {
      steps[at].bytes = mutate_jute_frame(prng, steps[at].bytes);
    } else {
      steps[at] = session_step(prng);
    }
  }
  return join_session(steps);
}

}  // namespace ottla::fuzz
