// Describer: one-line text of a message for logs and failing tests, cut at a limit so that a huge
// message cannot flood a log. Strings are escaped; generated code masks secrets before they come
// here.
#pragma once

#include <concepts>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace ottla::wire {

class Describer {
 public:
  static constexpr size_t kDefaultLimit = 4096;

  explicit Describer(size_t limit = kDefaultLimit) : limit_(limit) {}
  std::string take() { return std::move(text_); }
  bool full() const { return text_.size() >= limit_; }

  void open(std::string_view name);
  void close();
  void key(std::string_view name);

  void integer(int64_t number);
  void real(double number);
  void text(std::string_view string);
  void bytes(size_t count);  // payloads show only their size
  void word(std::string_view word);

  template <class T>
  void value(const T& value) {
    if constexpr (std::same_as<T, bool>)
      word(value ? "true" : "false");
    else if constexpr (std::is_enum_v<T>)
      integer(static_cast<int64_t>(value));
    else if constexpr (std::integral<T>)
      integer(static_cast<int64_t>(value));
    else if constexpr (std::floating_point<T>)
      real(value);
    else if constexpr (std::same_as<T, std::string>)
      text(value);
    else
      value.describe_to(*this);
  }
  template <class T>
  void value(const std::optional<T>& value_or_null) {
    if (value_or_null)
      value(*value_or_null);
    else
      word("null");
  }
  template <class T>
  void value(const std::vector<T>& values) {
    open_list();
    for (const T& each : values) {
      if (full()) break;
      separate();
      value(each);
    }
    close_list();
  }

 private:
  void open_list();
  void close_list();
  void separate();

  std::string text_;
  size_t limit_;
  bool first_ = true;
};

}  // namespace ottla::wire
