// One constexpr row a configuration key. From the rows come parsing, defaults, validation, the
// Describe answers and the generated documentation; nothing about a key is said anywhere else.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "common/base/result.h"

namespace ottla::config {

enum class Type { boolean, int16, int32, int64, float64, string, list, password, class_name };
enum class Importance { high, medium, low };
// When a change takes effect. read_only: at the next start.
enum class Scope { read_only, per_broker, cluster_wide };

// What a key is, apart from where its value goes.
struct KeyInfo {
  const char* name;
  Type type = Type::string;
  const char* default_text = nullptr;  // as written in a file; nullptr: null (no value)
  int64_t min = INT64_MIN;             // for the integer types and float64
  int64_t max = INT64_MAX;
  const char* one_of = nullptr;        // comma-separated allowed values; of each element for lists
  bool (*valid)(std::string_view text) = nullptr;  // further check of the text
  const char* valid_text = nullptr;    // what `valid` allows, for the error line: "a path", ...
  Importance importance = Importance::medium;
  Scope scope = Scope::read_only;
  const char* doc = "";
  const char* synonym = nullptr;       // for topic keys: the broker key that gives the default
};

// monostate: null.
using Value =
    std::variant<std::monostate, bool, int64_t, double, std::string, std::vector<std::string>>;

// Parses and validates; the error's context says what is allowed ("must be an integer of at least
// 1"), without naming file or key.
Result<Value> parse_value(const KeyInfo& key, std::string_view text);
// What a value of this key may be, as a phrase that follows "must be ".
std::string allowed_text(const KeyInfo& key);
std::string_view type_name(Type type);  // Kafka's names: BOOLEAN, STRING, INT, SHORT, LONG, ...

// A row of the table of a Config struct. A row without a member is known and accepted, but has no
// effect in this version: setting it to anything but its default is warned about by name.
template <class Config>
struct Key {
  using Member =
      std::variant<std::monostate, bool Config::*, int16_t Config::*, int32_t Config::*,
                   int64_t Config::*, double Config::*, std::string Config::*,
                   std::optional<std::string> Config::*, std::optional<int32_t> Config::*,
                   std::optional<int64_t> Config::*, std::vector<std::string> Config::*>;
  KeyInfo info;
  Member member = {};

  // Stores a parsed value; null leaves non-optional members alone.
  void store(const Value& value, Config& config) const {
    std::visit([&](auto pointer) { store_at(pointer, value, config); }, member);
  }

 private:
  static void store_at(std::monostate, const Value&, Config&) {}
  template <class T>
  static void store_at(T Config::* pointer, const Value& value, Config& config) {
    assign(config.*pointer, value);
  }
  static void assign(bool& to, const Value& value) {
    if (auto* v = std::get_if<bool>(&value)) to = *v;
  }
  template <class Number>
    requires std::is_arithmetic_v<Number>
  static void assign(Number& to, const Value& value) {
    if (auto* v = std::get_if<int64_t>(&value)) to = static_cast<Number>(*v);
    if (auto* d = std::get_if<double>(&value)) to = static_cast<Number>(*d);
  }
  static void assign(std::string& to, const Value& value) {
    if (auto* v = std::get_if<std::string>(&value)) to = *v;
  }
  static void assign(std::vector<std::string>& to, const Value& value) {
    if (auto* v = std::get_if<std::vector<std::string>>(&value)) to = *v;
  }
  template <class T>
  static void assign(std::optional<T>& to, const Value& value) {
    if (std::holds_alternative<std::monostate>(value)) {
      to.reset();
      return;
    }
    T inner{};
    assign(inner, value);
    to = std::move(inner);
  }
};

}  // namespace ottla::config
