// Walker: visits every field that a generated message has in one version, in the order of its
// schema, with the field's name and its place. A walker may read, compare, or change what it is
// shown: numbers, texts, whether a nullable value is there, how long a list is. So one description
// of the messages serves random requests, grammar-aware mutation, normalization and comparison.
//
// Generated code calls field(); users override the virtual functions they care for. The functions
// walk(message, walker, version) are declared in the generated walk.h of each protocol and live in
// libraries of their own (ottla_proto_kafka_walk, ottla_proto_zookeeper_walk): for tests and tools.
#pragma once

#include <array>
#include <concepts>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "common/base/bytes.h"

namespace ottla::wire {

enum class FieldKind : uint8_t { boolean, integer, real, text, bytes, uuid, records, structure };

struct FieldInfo {
  std::string_view name;
  FieldKind kind;       // of the value, or of a list's elements
  bool nullable;        // null is legal in this version
  bool tagged = false;  // KIP-482: left out on the wire when it has its default
};

// The array at which a walker is.
class List {
 public:
  virtual ~List() = default;
  virtual size_t size() const = 0;
  virtual void resize(size_t size) = 0;  // new elements have their defaults
  virtual void erase(size_t index) = 0;
  virtual void swap(size_t a, size_t b) = 0;
  virtual void append_copy(size_t index) = 0;  // of that element, at the end
};

class Walker {
 public:
  virtual ~Walker() = default;

  virtual void boolean(const FieldInfo&, bool&) {}
  // `value` comes back as `min`..`max`, the field's own range; enums are numbers too.
  virtual void integer(const FieldInfo&, int64_t& value, int64_t min, int64_t max) {
    (void)value, (void)min, (void)max;
  }
  virtual void real(const FieldInfo&, double&) {}
  virtual void text(const FieldInfo&, std::string&) {}
  virtual void bytes(const FieldInfo&, std::string&) {}
  virtual void uuid(const FieldInfo&, std::span<uint8_t, 16>) {}
  // Borrowed, as in the message: what is put there must outlive it.
  virtual void records(const FieldInfo&, Bytes&, bool& is_null) { (void)is_null; }
  // Before a nullable value: true when it shall be there. A new one begins with its defaults.
  virtual bool present(const FieldInfo&, bool is) { return is; }
  // Before the elements of a list, which are walked after it as it then is.
  virtual void list(const FieldInfo&, List&) {}
  virtual void end_list(const FieldInfo&) {}
  virtual void open(const FieldInfo&) {}  // a structure
  virtual void close(const FieldInfo&) {}

  // Where the walk is: "topics[2].partitions[0].error_code", and the same for any element:
  // "topics[].partitions[].error_code".
  const std::string& path() const { return path_; }
  const std::string& pattern() const { return pattern_; }

  // ---- called by generated code ----
  template <class T>
  void field(const FieldInfo& info, T& value, int16_t version) {
    size_t path_size = path_.size(), pattern_size = pattern_.size();
    if (path_size != 0) path_ += '.', pattern_ += '.';
    path_ += info.name;
    pattern_ += info.name;
    visit(info, value, version);
    path_.resize(path_size);
    pattern_.resize(pattern_size);
  }

 private:
  template <class T>
  class VectorList final : public List {
   public:
    explicit VectorList(std::vector<T>& values) : values_(values) {}
    size_t size() const override { return values_.size(); }
    void resize(size_t size) override { values_.resize(size); }
    void erase(size_t index) override {
      values_.erase(values_.begin() + static_cast<ptrdiff_t>(index));
    }
    void swap(size_t a, size_t b) override { std::swap(values_[a], values_[b]); }
    void append_copy(size_t index) override {
      T copy = values_[index];
      values_.push_back(std::move(copy));
    }

   private:
    std::vector<T>& values_;
  };

  template <class T>
  void visit(const FieldInfo& info, std::optional<T>& value, int16_t version) {
    bool wanted = present(info, value.has_value());
    if (!wanted) return value.reset();
    if (!value) value.emplace();
    visit(info, *value, version);
  }
  template <class T>
  void visit(const FieldInfo& info, std::vector<T>& values, int16_t version) {
    VectorList<T> view(values);
    list(info, view);
    pattern_ += "[]";
    size_t path_size = path_.size();
    for (size_t i = 0; i < values.size(); ++i) {
      path_ += '[';
      path_ += std::to_string(i);
      path_ += ']';
      if constexpr (std::same_as<T, bool>) {
        bool value = values[i];
        visit(info, value, version);
        values[i] = value;
      } else {
        visit(info, values[i], version);
      }
      path_.resize(path_size);
    }
    end_list(info);
  }
  template <class T>
  void visit(const FieldInfo& info, T& value, int16_t version) {
    if constexpr (std::same_as<T, bool>) {
      boolean(info, value);
    } else if constexpr (std::is_enum_v<T>) {
      auto number = static_cast<std::underlying_type_t<T>>(value);
      visit(info, number, version);
      value = static_cast<T>(number);
    } else if constexpr (std::integral<T>) {
      auto number = static_cast<int64_t>(value);
      integer(info, number, std::numeric_limits<T>::min(),
              static_cast<int64_t>(std::numeric_limits<T>::max()));
      value = static_cast<T>(number);
    } else if constexpr (std::floating_point<T>) {
      real(info, value);
    } else if constexpr (std::same_as<T, std::string>) {
      info.kind == FieldKind::bytes ? bytes(info, value) : text(info, value);
    } else if constexpr (requires { value.is_null; }) {
      records(info, value.bytes, value.is_null);
    } else if constexpr (requires { std::span<uint8_t, 16>(value.bytes); }) {
      uuid(info, value.bytes);
    } else {
      open(info);
      walk(value, *this, version);
      close(info);
    }
  }

  std::string path_, pattern_;
};

}  // namespace ottla::wire
