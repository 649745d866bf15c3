// Jute's primitive encodings, used by the generated records.h: lengths are 32-bit, -1 is null.
// Source: ZooKeeper, zookeeper-jute, BinaryInputArchive and BinaryOutputArchive (behaviour).
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "common/wire/reader.h"
#include "common/wire/writer.h"

namespace ottla::jute {

inline void put_text(wire::Writer& w, const std::string& text) {
  w.i32(static_cast<int32_t>(text.size()));
  w.raw(std::string_view(text));
}
inline void put_text(wire::Writer& w, const std::optional<std::string>& text) {
  if (text)
    put_text(w, *text);
  else
    w.i32(-1);
}

inline void get_text(wire::Reader& r, std::string& out) {
  int32_t length = r.i32();
  if (length < 0) return r.set_failed();
  out = r.text(static_cast<size_t>(length));
}
inline void get_text(wire::Reader& r, std::optional<std::string>& out) {
  int32_t length = r.i32();
  out.reset();
  if (length == -1) return;
  if (length < 0) return r.set_failed();
  out.emplace(r.text(static_cast<size_t>(length)));
}

// Number of elements that follow, -1 for null. 0 on a count that the bytes left cannot hold.
inline int32_t get_count(wire::Reader& r, size_t element_min_bytes, size_t element_memory) {
  int32_t count = r.i32();
  if (count == -1 && r.ok()) return -1;
  if (!r.claim_count(count, element_min_bytes)) return 0;
  return r.claim_memory(static_cast<size_t>(count) * element_memory) ? count : 0;
}

}  // namespace ottla::jute
