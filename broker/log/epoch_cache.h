// Which leader epoch wrote from which offset on: the cache behind leader-epoch-checkpoint. Plain
// data; the log writes the file. Entries grow strictly in both epoch and offset.
// Source: KIP-101, KIP-279.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/base/result.h"

namespace ottla::broker {

struct EpochEntry {
  int32_t epoch = -1;
  int64_t start_offset = -1;
  bool operator==(const EpochEntry&) const = default;
};

struct EpochEnd {
  int32_t epoch = -1;  // the largest epoch <= the requested one, -1 when unknown
  int64_t end_offset = -1;
  bool operator==(const EpochEnd&) const = default;
};

class EpochCache {
 public:
  // True when the cache changed. Entries that conflict (not smaller in epoch or offset) go.
  bool assign(int32_t epoch, int64_t start_offset);
  std::optional<EpochEntry> latest() const;
  std::optional<EpochEntry> earliest() const;
  std::optional<int32_t> epoch_for_offset(int64_t offset) const;
  EpochEnd end_offset_for(int32_t epoch, int64_t leo) const;
  bool truncate_from_end(int64_t end_offset);      // drops entries that start at or after it
  bool truncate_from_start(int64_t start_offset);  // raises the first kept entry to it
  void clear() { entries_.clear(); }
  const std::vector<EpochEntry>& entries() const { return entries_; }

  std::string encode() const;  // the checkpoint file's text
  static Result<EpochCache> decode(std::string_view text);

 private:
  std::vector<EpochEntry> entries_;
};

}  // namespace ottla::broker
