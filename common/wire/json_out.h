// JsonOut: appends JSON text. For tests, debugging and tools: generated json_to() writes a message
// as the protocol's own tools would print it. Not for hot paths.
#pragma once

#include <concepts>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace ottla::wire {

class JsonOut {
 public:
  enum class BinaryAs { base64, hex };

  explicit JsonOut(BinaryAs binary) : binary_(binary) {}
  std::string take() { return std::move(text_); }

  void open();
  void close();
  void key(std::string_view name);
  void null();
  void integer(int64_t number);
  void real(double number);
  void boolean(bool value);
  void text(std::string_view utf8);  // bytes that are no UTF-8 become U+FFFD
  void bytes(const std::string& raw);
  void bytes(const std::optional<std::string>& raw) { raw ? bytes(*raw) : null(); }

  template <class T>
  void value(const T& value, int16_t version) {
    if constexpr (std::same_as<T, bool>)
      boolean(value);
    else if constexpr (std::is_enum_v<T> || std::integral<T>)
      integer(static_cast<int64_t>(value));
    else if constexpr (std::floating_point<T>)
      real(value);
    else if constexpr (std::same_as<T, std::string>)
      text(value);
    else
      value.json_to(*this, version);
  }
  template <class T>
  void value(const std::optional<T>& value_or_null, int16_t version) {
    if (value_or_null)
      value(*value_or_null, version);
    else
      null();
  }
  template <class T>
  void value(const std::vector<T>& values, int16_t version) {
    open_list();
    for (const T& each : values) {
      separate();
      value(each, version);
    }
    close_list();
  }

 private:
  void open_list();
  void close_list();
  void separate();

  std::string text_;
  BinaryAs binary_;
  bool first_ = true;
};

// Standard base64 with padding.
std::string to_base64(std::string_view raw);

}  // namespace ottla::wire
