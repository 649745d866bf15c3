#include "zk-ensemble/server/json.h"

#include <fmt/core.h>

namespace ottla::zk {

namespace {

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (char c : text) {
    switch (c) {
      case '"': out += "\\\""; break;
      case '\\': out += "\\\\"; break;
      case '\n': out += "\\n"; break;
      case '\r': out += "\\r"; break;
      case '\t': out += "\\t"; break;
      case '\b': out += "\\b"; break;
      case '\f': out += "\\f"; break;
      default:
        if (static_cast<unsigned char>(c) < 0x20) {
          out += fmt::format("\\u{:04X}", static_cast<unsigned>(c));
        } else {
          out += c;
        }
    }
  }
  return out + '"';
}

}  // namespace

Json::Json(std::string_view text) : scalar_(quoted(text)) {}

Json Json::number(std::string text) {
  Json value;
  value.scalar_ = std::move(text);
  return value;
}

Json& Json::put(std::string key, Json value) {
  for (auto& [name, old] : fields_) {
    if (name != key) continue;
    old = std::move(value);
    return *this;
  }
  return append(std::move(key), std::move(value));
}

Json& Json::append(std::string key, Json value) {
  fields_.emplace_back(std::move(key), std::move(value));
  return *this;
}

Json& Json::add(Json value) {
  fields_.emplace_back("", std::move(value));
  return *this;
}

bool Json::has(std::string_view key) const {
  for (const auto& [name, value] : fields_)
    if (name == key) return true;
  return false;
}

std::string Json::text() const {
  std::string out;
  print(out, 0);
  return out;
}

// Objects indent, arrays stay on their line.
void Json::print(std::string& out, size_t depth) const {
  if (kind_ == Kind::scalar) {
    out += scalar_;
    return;
  }
  bool object = kind_ == Kind::object;
  if (fields_.empty()) {
    out += object ? "{ }" : "[ ]";
    return;
  }
  out += object ? "{" : "[ ";
  bool first = true;
  for (const auto& [name, value] : fields_) {
    if (!std::exchange(first, false)) out += object ? "," : ", ";
    if (object) out += fmt::format("\n{:{}}{} : ", "", 2 * (depth + 1), quoted(name));
    value.print(out, depth + (object ? 1 : 0));
  }
  out += object ? fmt::format("\n{:{}}}}", "", 2 * depth) : " ]";
}

}  // namespace ottla::zk
