#include <algorithm>
#include <map>
#include <string>

#include "broker/log/log_manager.h"
#include "broker/record/batch_builder.h"
#include "broker/record/batch_view.h"
#include "common/base/check.h"
#include "common/base/log.h"
#include "common/rt_sim/simulator.h"
#include "common/wire/reader.h"
#include "test/fuzz/files/file_targets.h"

namespace ottla::fuzz {

using namespace broker;

namespace {

using Files = std::map<std::string, std::string>;  // path -> content
constexpr int64_t kMs = 1'000'000;
const TopicPartition kPartition{"t", 0};

LogConfig log_config() {
  LogConfig config;
  config.segment_bytes = 900;
  config.segment_index_bytes = 240;
  config.index_interval_bytes = 100;
  config.retention_ms = -1;
  return config;
}

Result<std::unique_ptr<LogManager>> open_logs(sim::Simulator& sim) {
  LogManagerOptions options;
  options.log_dirs = {"/logs"};
  options.cluster_id = "AAAAAAAAAAAAAAAAAAAAAA";
  options.config_for = [](const std::string&) { return log_config(); };
  return LogManager::open(sim.world("b"), options);
}

Buffer batch(int64_t now_ms, compress::Codec codec, int64_t producer, int32_t sequence, bool transactional) {
  BatchBuilder::Options options;
  options.codec = codec;
  options.producer_id = producer;
  options.producer_epoch = producer < 0 ? kNoProducerEpoch : int16_t{0};
  options.base_sequence = producer < 0 ? kNoSequence : sequence;
  options.transactional = transactional;
  BatchBuilder builder(options);
  for (int i = 0; i < 3; ++i) builder.append(now_ms + i, as_bytes("key"), as_bytes("some value, some value"));
  Buffer out;
  OTTLA_CHECK(builder.finish(out).has_value());
  return out;
}

void collect(rt::Disk& disk, const std::string& dir, Files& into) {
  auto names = disk.list(dir);
  OTTLA_CHECK(names.has_value());
  for (const std::string& name : *names) {
    std::string path = dir + "/" + name;
    auto info = disk.stat(path);
    if (info && info->is_directory) {
      collect(disk, path, into);
    } else if (auto content = rt::read_file(disk, path)) {
      into[path] = std::move(*content);
    }
  }
}

void write_some(sim::Simulator& sim, PartitionLog& log) {
  for (int i = 0; i < 12; ++i) {
    log.begin_epoch(i / 4);
    int64_t now = sim.world("b").loop.wall_ms();
    int64_t producer = i % 3 == 0 ? -1 : 40 + i % 3;
    Buffer bytes = batch(now, static_cast<compress::Codec>(i % compress::kCodecCount), producer, i / 3 * 3, i % 3 == 2);
    auto done = log.append_as_leader(bytes.mutable_bytes(), i / 4);
    OTTLA_CHECK(done.refusal == Refusal::none);
    if (i % 3 == 2 && i > 4) {
      Buffer marker = build_end_txn_marker(now, 42, 0, i % 2 == 0 ? ControlType::abort : ControlType::commit, 0);
      OTTLA_CHECK(log.append_as_leader(marker.mutable_bytes(), i / 4, Origin::coordinator).refusal == Refusal::none);
    }
    log.set_hw(log.leo());
    sim.run_for(50 * kMs);
  }
}

const Files& sound_files() {
  static const Files files = [] {
    sim::Simulator sim(1);
    rt::World world = sim.add_node("b");
    auto opened = open_logs(sim);
    OTTLA_CHECK(opened.has_value());
    auto log = (*opened)->get_or_create(kPartition, "AAAAAAAAAAAAAAAAAAAAAQ");
    OTTLA_CHECK(log.has_value());
    write_some(sim, **log);
    bool over = false;
    (*opened)->shutdown([&](bool) { over = true; });
    OTTLA_CHECK(sim.run_until([&] { return over; }, 60'000 * kMs));
    Files all;
    collect(world.disk, "/logs", all);
    return all;
  }();
  return files;
}

void edit(Files& files, wire::Reader& in) {
  size_t which = in.u8() % files.size();
  uint8_t kind = in.u8() % 7;
  size_t at = in.u16();
  size_t count = in.u8();
  Bytes bytes = kind == 2 ? Bytes() : in.take(std::min(count, in.remaining()));
  auto file = std::next(files.begin(), static_cast<ptrdiff_t>(which));
  std::string& text = file->second;
  at %= text.size() + 1;
  if (kind == 6) at = text.size() - std::min<size_t>(at % 70, text.size());
  switch (kind) {
    case 1: text.insert(at, as_text(bytes)); return;
    case 2: text.erase(at, count); return;
    case 3: text.resize(at); return;
    case 4: text += as_text(bytes); return;
    case 5:
      if (files.size() > 1) files.erase(file);
      return;
    default:
      text.resize(std::max(text.size(), std::min(at + bytes.size(), text.size() + 64)));
      text.replace(at, bytes.size(), as_text(bytes));
  }
}

// Behind a checksum that holds is where the readers of records are.
void make_checksums_right(Files& files) {
  for (auto& [path, text] : files) {
    if (!path.ends_with(".log")) continue;
    auto* data = reinterpret_cast<uint8_t*>(text.data());
    for (size_t at = 0; text.size() - at >= kBatchHeaderSize;) {
      auto length = static_cast<size_t>(load_be<uint32_t>(data + at + kLengthAt)) + kLogOverhead;
      if (data[at + kMagicAt] != kMagicV2 || length < kBatchHeaderSize || length > text.size() - at) break;
      store_be(data + at + kCrcAt, BatchView(Bytes(data + at, length)).computed_crc());
      at += length;
    }
  }
}

void place(rt::Disk& disk, const Files& files) {
  for (const auto& [path, text] : files) {
    OTTLA_CHECK(disk.make_dirs(rt::parent_of(path)).has_value());
    auto file = disk.open(path, rt::OpenMode::create);
    OTTLA_CHECK(file.has_value() && (*file)->write_at(0, as_bytes(text)).has_value());
  }
}

// Whatever was found can be asked, and grows.
void use(sim::Simulator& sim, PartitionLog& log) {
  OTTLA_CHECK(log.log_start_offset() <= log.hw() && log.hw() <= log.leo() && log.lso() <= log.hw());
  int64_t from = log.log_start_offset();
  for (int i = 0; i < 100 && from < log.leo(); ++i) {
    ReadResult read = log.read(from, 4096, log.leo(), true);
    if (read.refusal != Refusal::none) break;
    auto bytes = log.read_bytes(read.slice);
    if (!bytes) break;
    int64_t before = from;
    BatchCursor cursor(*bytes);
    while (auto raw = cursor.next()) 
      from = std::max(from, (raw->magic == kMagicV2 ? BatchView(raw->bytes).last_offset() : raw->base_offset()) + 1);
    if (from == before) break;
  }
  for (int64_t at : {int64_t{0}, int64_t{1}, sim.world("b").loop.wall_ms(), INT64_MAX}) (void)log.offset_for_timestamp(at);
  (void)log.offset_of_max_timestamp();
  (void)log.legacy_offsets_before(-1, 100);
  (void)log.aborted_transactions(log.log_start_offset(), log.leo());
  for (int32_t epoch : {-1, 0, 1, 2, INT32_MAX}) (void)log.end_offset_for_epoch(epoch);
  (void)log.check_invariants();
  (void)log.describe();
  if (log.failed()) return;
  int32_t epoch = log.latest_epoch().value_or(0);
  Buffer bytes = batch(sim.world("b").loop.wall_ms(), compress::Codec::none, -1, 0, false);
  int64_t leo = log.leo();
  auto done = log.append_as_leader(bytes.mutable_bytes(), std::max(epoch, 0));
  OTTLA_CHECK(done.refusal != Refusal::none || log.leo() == leo + 3);
  if (!log.failed() && log.leo() > 5) (void)log.truncate_to(log.leo() - 5);
  (void)log.apply_retention(sim.world("b").loop.wall_ms() + 1'000'000);
}

void open_use_close(sim::Simulator& sim) {
  rt::World world = sim.world("b");
  (void)LogManager::read_meta(world.disk, {"/logs"});
  auto opened = open_logs(sim);
  if (!opened) {
    OTTLA_CHECK(!opened.error().context.empty());
    return;
  }
  (*opened)->for_each([&](PartitionLog& log) { use(sim, log); });
  (*opened)->start_tasks();
  sim.run_for(100 * kMs);
  bool over = false;
  (*opened)->shutdown([&](bool) { over = true; });
  OTTLA_CHECK(sim.run_until([&] { return over; }, 60'000 * kMs));
}

}  // namespace

void broker_log(Bytes input) {
  log::set_level(log::Level::off);
  if (input.empty()) return;
  Files files = sound_files();
  wire::Reader in(input.subspan(1));
  for (int i = 0; i < 50 && in.remaining() >= 5; ++i) edit(files, in);
  if ((input[0] & 1) != 0) std::erase_if(files, [](const auto& file) { return file.first.ends_with(".kafka_cleanshutdown"); });
  if ((input[0] & 2) != 0) make_checksums_right(files);
  sim::Simulator sim(1);
  place(sim.add_node("b").disk, files);
  open_use_close(sim);
  open_use_close(sim);
}

}  // namespace ottla::fuzz
