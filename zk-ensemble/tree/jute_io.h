// The few Jute primitives that the tree's own records are written with; everything else of the
// protocol is generated (proto/zookeeper).
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "common/wire/reader.h"
#include "common/wire/writer.h"

namespace ottla::zk {

inline void put_string(wire::Writer& out, std::string_view text) {
  out.i32(static_cast<int32_t>(text.size()));
  out.raw(text);
}
inline void put_nullable(wire::Writer& out, const std::optional<std::string>& text) {
  if (text)
    put_string(out, *text);
  else
    out.i32(-1);
}

// Borrowed; nullopt for null. Other negative lengths fail the reader.
inline std::optional<std::string_view> get_view(wire::Reader& in) {
  int32_t length = in.i32();
  if (length == -1 || !in.ok()) return std::nullopt;
  if (length < 0) {
    in.set_failed();
    return std::nullopt;
  }
  return in.text(static_cast<size_t>(length));
}
inline std::optional<std::string> get_nullable(wire::Reader& in) {
  std::optional<std::string_view> view = get_view(in);
  if (!view) return std::nullopt;
  return std::string(*view);
}
// Null fails the reader.
inline std::string get_string(wire::Reader& in) {
  std::optional<std::string_view> view = get_view(in);
  if (!view) in.set_failed();
  return std::string(view.value_or(std::string_view()));
}

}  // namespace ottla::zk
