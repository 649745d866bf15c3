#include "test/sim/stack/history.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstdlib>

#include "broker/record/record_reader.h"

namespace ottla::test {
namespace {

std::string name_of(const TopicPartition& tp) { return tp.to_string(); }

}  // namespace

void History::violated(std::string invariant, std::string what) {
  if (!violation_) violation_ = Violation{std::move(invariant), std::move(what)};
}

std::vector<TopicPartition> History::partitions() const {
  std::vector<TopicPartition> all;
  for (const auto& [topic, count] : traffic)
    for (int32_t i = 0; i < count; ++i) all.push_back({topic, i});
  return all;
}

std::string make_value(int producer, int64_t sequence, size_t padding) {
  return fmt::format("{}/{}/", producer, sequence) +
         std::string(padding, static_cast<char>('a' + sequence % 26));
}

int64_t NoCorruptOrReordered::judge_fetch(const TopicPartition& tp, int64_t offset, Bytes records,
                                          History& history) {
  constexpr const char* kName = "NoCorruptOrReordered";
  broker::BatchCursor cursor(records);
  int64_t next = offset;
  bool first = true;
  auto& seen = history.seen[tp];
  while (auto raw = cursor.next()) {
    broker::BatchView batch(raw->bytes);
    if (batch.magic() != 2 || !batch.crc_ok()) {
      history.violated(kName,
                       fmt::format("{}: batch at {} is corrupt", name_of(tp), batch.base_offset()));
      return next;
    }
    // The first batch may begin below what was asked for.
    if (first ? batch.base_offset() > next || batch.next_offset() <= next
              : batch.base_offset() != next) {
      history.violated(kName, fmt::format("{}: batch [{}, {}] where {} is due", name_of(tp),
                                          batch.base_offset(), batch.last_offset(), next));
      return next;
    }
    first = false;
    auto read = broker::read_records(*raw);
    if (!read) {
      history.violated(kName, name_of(tp) + ": " + read.error().context);
      return next;
    }
    int64_t due = batch.base_offset();
    for (const broker::OwnedRecord& record : *read) {
      if (record.offset != due++) {
        history.violated(kName, fmt::format("{}: record {} where {} is due", name_of(tp),
                                            record.offset, due - 1));
        return next;
      }
      auto [at, is_new] = seen.try_emplace(record.offset, record.value.value_or(""));
      if (!is_new && at->second != record.value)
        history.violated(
            kName, fmt::format("{}: record {} was {} and is {}", name_of(tp), record.offset,
                               at->second.substr(0, 30), record.value.value_or("").substr(0, 30)));
    }
    if (due != batch.next_offset())
      history.violated(kName, fmt::format("{}: batch ends at {}, its header says {}", name_of(tp),
                                          due, batch.next_offset()));
    next = batch.next_offset();
  }
  if (cursor.corrupt()) history.violated(kName, name_of(tp) + ": " + cursor.corruption());
  history.fetched += static_cast<uint64_t>(next - offset);
  return next;
}

void NoCorruptOrReordered::judge_order(History& history) {
  constexpr const char* kName = "NoCorruptOrReordered";
  for (const auto& [tp, records] : history.seen) {
    std::map<int, int64_t> due;  // of each producer
    int64_t offset = 0;
    for (const auto& [at, value] : records) {
      if (at != offset++)
        return history.violated(kName, fmt::format("{}: no record {}", name_of(tp), offset - 1));
      char* rest = nullptr;
      int producer = static_cast<int>(std::strtol(value.c_str(), &rest, 10));
      int64_t sequence = std::strtoll(rest + 1, nullptr, 10);
      int64_t& next = due[producer];
      bool exactly = history.idempotent.contains(producer);
      if (sequence > next || (exactly && sequence < next))
        return history.violated(
            kName,
            fmt::format("{}: record {} is number {} of {}producer {}, {} is due", name_of(tp), at,
                        sequence, exactly ? "idempotent " : "", producer, next));
      next = std::max(next, sequence + 1);
    }
  }
}

void AckedRecordsSurvive::judge(History& history) {
  for (const auto& [tp, promises] : history.acked) {
    const auto& records = history.seen[tp];
    for (const Acked& promise : promises) {
      auto found = records.find(promise.offset);
      if (found == records.end() || found->second != promise.value)
        return history.violated(
            "AckedRecordsSurvive",
            fmt::format("{}: {} was acknowledged at {}, there is {}", name_of(tp),
                        promise.value.substr(0, 30), promise.offset,
                        found == records.end() ? "nothing" : found->second.substr(0, 30)));
    }
  }
}

void CommittedOffsetNeverRegresses::judge(const TopicPartition& tp, int64_t floor, int64_t got,
                                          const char* how, History& history) {
  if (got < floor)
    history.violated(
        "CommittedOffsetNeverRegresses",
        fmt::format("{}: {} {} after {} was acknowledged", name_of(tp), how, got, floor));
}

void OneOwnerPerGeneration::judge(int32_t generation, const std::string& member,
                                  const TopicPartition& tp, History& history) {
  auto [at, is_new] = history.owners[generation].try_emplace(tp, member);
  if (!is_new && at->second != member)
    history.violated("OneOwnerPerGeneration",
                     fmt::format("{}: {} and {} own it in generation {}", name_of(tp), at->second,
                                 member, generation));
}

void HwMonotonic::judge(const TopicPartition& tp, int64_t floor, int64_t got, History& history) {
  if (got < floor)
    history.violated("HwMonotonicPerEpoch",
                     fmt::format("{}: hw {} after {}", name_of(tp), got, floor));
  int64_t& highest = history.hw[tp];
  highest = std::max(highest, got);
}

}  // namespace ottla::test
