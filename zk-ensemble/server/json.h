// Json: a value in the making, printed as Apache's admin server prints it (Jackson's pretty printer), so
// that scripts which grep its lines go on working.
// Source: RFC 8259.
#pragma once

#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ottla::zk {

class Json {
 public:
  Json() : scalar_("null") {}
  Json(bool value) : scalar_(value ? "true" : "false") {}
  template <std::integral T>
    requires(!std::same_as<T, bool>)
  Json(T value) : scalar_(std::to_string(value)) {}
  Json(std::string_view text);
  Json(const std::string& text) : Json(std::string_view(text)) {}
  Json(const char* text) : Json(std::string_view(text)) {}
  static Json number(std::string text);  // as it is to be printed
  static Json object() { return Json(Kind::object); }
  static Json array() { return Json(Kind::array); }

  // A second value of a key replaces the first, in its place.
  Json& put(std::string key, Json value);
  // Of a key that is not there yet: put() looks at every other, which takes seconds for many.
  Json& append(std::string key, Json value);
  Json& add(Json value);
  bool has(std::string_view key) const;
  std::string text() const;

 private:
  enum class Kind { scalar, object, array };
  explicit Json(Kind kind) : kind_(kind) {}
  void print(std::string& out, size_t depth) const;

  Kind kind_ = Kind::scalar;
  std::string scalar_;
  std::vector<std::pair<std::string, Json>> fields_;  // of an array: without names
};

}  // namespace ottla::zk
