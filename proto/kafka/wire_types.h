// Types and primitive encodings that generated Kafka messages are made of: Uuid, Records, kept
// unknown tagged fields; strings, bytes and arrays in the old (fixed-length prefix) and the
// flexible (KIP-482, varint of length + 1) form. `flexible` says which one a version uses.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/bytes.h"
#include "common/base/prng.h"
#include "common/wire/describer.h"
#include "common/wire/json_out.h"
#include "common/wire/reader.h"
#include "common/wire/writer.h"

namespace ottla::kmsg {

struct Uuid {
  std::array<uint8_t, 16> bytes{};

  bool is_zero() const { return *this == Uuid{}; }
  // Kafka's text form: base64url without padding, 22 characters.
  std::string to_string() const;
  static std::optional<Uuid> from_string(std::string_view text);

  auto operator<=>(const Uuid&) const = default;

  void describe_to(wire::Describer& d) const { d.word(to_string()); }
  void json_to(wire::JsonOut& j, int16_t) const { j.text(to_string()); }
  void fill(Prng& prng, int16_t version);
};

// A record set inside a message: borrowed bytes, never copied, or a piece that stays outside the
// encoded buffer (a file slice): encode() then leaves a mark of that id and size in the Writer.
// After decode() the bytes borrow from the decoded buffer.
struct Records {
  struct External {
    uint32_t id = 0;
    uint64_t size = 0;
    bool operator==(const External&) const = default;
  };

  Bytes bytes;
  std::optional<External> external;
  bool is_null = true;

  static Records of(Bytes bytes) { return {bytes, std::nullopt, false}; }
  static Records outside(uint32_t id, uint64_t size) { return {{}, External{id, size}, false}; }
  uint64_t size() const { return external ? external->size : bytes.size(); }

  bool operator==(const Records& other) const {
    return is_null == other.is_null && external == other.external &&
           as_text(bytes) == as_text(other.bytes);
  }
  void describe_to(wire::Describer& d) const { is_null ? d.word("null") : d.bytes(size()); }
  // The payload is not shown: "recordsSizeInBytes", or "records":null.
  void json_to(wire::JsonOut& j, const std::string& name) const;
  void fill(Prng& prng, int16_t version);
};

struct TaggedField {
  uint32_t tag;
  std::string bytes;
  bool operator==(const TaggedField&) const = default;
};

// Tagged fields nobody here knows, kept in ascending order of tag to be sent on as they came. One
// pointer wide, because every struct of a flexible message carries one and almost all are empty.
class UnknownTags {
 public:
  UnknownTags() = default;
  UnknownTags(const UnknownTags& other)
      : fields_(other.fields_ ? std::make_unique<Fields>(*other.fields_) : nullptr) {}
  UnknownTags(UnknownTags&&) noexcept = default;
  UnknownTags& operator=(const UnknownTags& other) {
    if (this != &other) *this = UnknownTags(other);
    return *this;
  }
  UnknownTags& operator=(UnknownTags&&) noexcept = default;
  ~UnknownTags() = default;

  size_t size() const { return fields_ ? fields_->size() : 0; }
  bool empty() const { return size() == 0; }
  const TaggedField& operator[](size_t i) const { return (*fields_)[i]; }
  void append(uint32_t tag, std::string_view bytes);
  // Into ascending order; of a tag that came several times the last counts, as for Apache's
  // brokers.
  void sort();
  bool operator==(const UnknownTags& other) const;
  void fill(Prng& prng);

 private:
  using Fields = std::vector<TaggedField>;
  std::unique_ptr<Fields> fields_;
};

// ---- used by generated code only ----

// False when the value cannot be written in that form (strings over 32767 bytes, anything over 2
// GiB).
[[nodiscard]] bool put_string(wire::Writer& w, const std::string& value, bool flexible);
[[nodiscard]] bool put_string(wire::Writer& w, const std::optional<std::string>& value,
                              bool flexible);
[[nodiscard]] bool put_bytes(wire::Writer& w, const std::string& value, bool flexible);
[[nodiscard]] bool put_bytes(wire::Writer& w, const std::optional<std::string>& value,
                             bool flexible);
[[nodiscard]] bool put_records(wire::Writer& w, const Records& value, bool flexible);
inline void put_uuid(wire::Writer& w, const Uuid& value) { w.raw(Bytes(value.bytes)); }
inline void put_count(wire::Writer& w, size_t count, bool flexible) {
  if (flexible)
    w.uvarint(static_cast<uint32_t>(count) + 1);
  else
    w.i32(static_cast<int32_t>(count));
}
inline void put_null_count(wire::Writer& w, bool flexible) {
  if (flexible)
    w.u8(0);
  else
    w.i32(-1);
}

// A null where the plain form is asked for fails the reader.
void get_string(wire::Reader& r, std::string& out, bool flexible);
void get_string(wire::Reader& r, std::optional<std::string>& out, bool flexible);
void get_bytes(wire::Reader& r, std::string& out, bool flexible);
void get_bytes(wire::Reader& r, std::optional<std::string>& out, bool flexible);
void get_records(wire::Reader& r, Records& out, bool flexible);
Uuid get_uuid(wire::Reader& r);
// Number of elements that follow, -1 for null; 0 with a failed reader when they cannot.
int64_t get_count(wire::Reader& r, bool flexible, size_t element_min_bytes, size_t element_memory);

void put_tags(wire::Writer& w, const UnknownTags& unknown);
void get_tags(wire::Reader& r, UnknownTags& unknown);

// Collects known tagged fields, in ascending order of tag, and merges the unknown ones into them.
class TagWriter {
 public:
  explicit TagWriter(const UnknownTags& unknown) : unknown_(unknown) {}
  wire::Writer& begin(uint32_t tag) {
    known_.push_back({tag, scratch_.size()});
    return scratch_;
  }
  void finish(wire::Writer& w);

 private:
  struct Known {
    uint32_t tag;
    size_t start;
  };
  const UnknownTags& unknown_;
  wire::Writer scratch_;
  std::vector<Known> known_;
};

// Walks a tagged section: while (tags.next()) { switch (tags.tag()) {...} }. A field must be read
// to its exact end; of a tag that comes several times the last counts.
class TagReader {
 public:
  explicit TagReader(wire::Reader& r);
  bool next();
  uint32_t tag() const { return tag_; }
  void keep(UnknownTags& unknown);

 private:
  wire::Reader& r_;
  uint32_t left_;
  uint32_t tag_ = 0;
  size_t end_ = 0;
  UnknownTags* unknown_ = nullptr;  // to be put in order at the end
  bool started_ = false;
};

}  // namespace ottla::kmsg
