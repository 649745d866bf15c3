#include "proto/kafka/wire_types.h"

#include <algorithm>
#include <climits>
#include <map>

#include "common/wire/arbitrary.h"

namespace ottla::kmsg {
namespace {

constexpr char kUuidDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
constexpr size_t kMaxStringBytes = INT16_MAX;

// Length of a string or byte field, -1 for null; 0 with a failed reader when it makes no sense.
int64_t get_length(wire::Reader& r, bool flexible, bool short_form) {
  int64_t length = flexible ? int64_t{r.uvarint()} - 1 : short_form ? r.i16() : r.i32();
  if (!r.ok()) return 0;
  if (length < 0) return -1;
  if (short_form && length > static_cast<int64_t>(kMaxStringBytes)) r.set_failed();
  return length;
}

void get_text(wire::Reader& r, std::string& out, bool flexible, bool short_form) {
  int64_t length = get_length(r, flexible, short_form);
  if (length < 0) return r.set_failed();
  out = r.text(static_cast<size_t>(length));
}
void get_text(wire::Reader& r, std::optional<std::string>& out, bool flexible, bool short_form) {
  int64_t length = get_length(r, flexible, short_form);
  out.reset();
  if (length >= 0) out.emplace(r.text(static_cast<size_t>(length)));
}

}  // namespace

std::string Uuid::to_string() const {
  std::string text;
  for (size_t i = 0; i < 16; i += 3) {
    uint32_t word = 0;
    for (size_t k = 0; k < 3; ++k) word = word << 8 | (i + k < 16 ? bytes[i + k] : 0u);
    for (size_t k = 0; k < 4 && text.size() < 22; ++k)
      text += kUuidDigits[word >> (18 - 6 * k) & 63];
  }
  return text;
}

std::optional<Uuid> Uuid::from_string(std::string_view text) {
  if (text.size() != 22) return std::nullopt;
  Uuid uuid;
  uint32_t bits = 0;
  int bit_count = 0;
  size_t at = 0;
  for (char c : text) {
    size_t digit = std::string_view(kUuidDigits, 64).find(c);
    if (digit == std::string_view::npos) return std::nullopt;
    bits = bits << 6 | static_cast<uint32_t>(digit);
    bit_count += 6;
    if (bit_count >= 8 && at < 16) {
      bit_count -= 8;
      uuid.bytes[at++] = static_cast<uint8_t>(bits >> bit_count);
    }
  }
  return uuid;
}

void Uuid::fill(Prng& prng, int16_t) {
  for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(prng.next());
}

void Records::json_to(wire::JsonOut& j, const std::string& name) const {
  if (is_null) {
    j.key(name);
    j.null();
  } else {
    j.key(name + "SizeInBytes");
    j.integer(static_cast<int64_t>(size()));
  }
}

void Records::fill(Prng& prng, int16_t) {
  static constexpr uint8_t kBytes[] = "not a record batch, but nobody looks inside";
  *this = of(Bytes(kBytes).first(prng.below(sizeof kBytes)));
}

void UnknownTags::append(uint32_t tag, std::string_view bytes) {
  if (!fields_) fields_ = std::make_unique<Fields>();
  fields_->push_back({tag, std::string(bytes)});
}
void UnknownTags::sort() {
  if (!fields_) return;
  auto not_below = [](const TaggedField& a, const TaggedField& b) { return a.tag >= b.tag; };
  if (std::adjacent_find(fields_->begin(), fields_->end(), not_below) == fields_->end()) return;
  std::map<uint32_t, std::string> last;
  for (TaggedField& field : *fields_) last[field.tag] = std::move(field.bytes);
  fields_->clear();
  for (auto& [tag, bytes] : last) fields_->push_back({tag, std::move(bytes)});
}
bool UnknownTags::operator==(const UnknownTags& other) const {
  if (size() != other.size()) return false;
  return empty() || *fields_ == *other.fields_;
}
void UnknownTags::fill(Prng& prng) {
  fields_.reset();
  uint32_t tag = 1000;
  while (prng.chance(0.05)) {
    std::string bytes;
    wire::fill(prng, bytes, 0);
    tag += static_cast<uint32_t>(prng.between(1, 1000));
    append(tag, bytes);
  }
}

bool put_string(wire::Writer& w, const std::string& value, bool flexible) {
  if (value.size() > kMaxStringBytes) return false;
  if (flexible)
    w.uvarint(static_cast<uint32_t>(value.size()) + 1);
  else
    w.i16(static_cast<int16_t>(value.size()));
  w.raw(std::string_view(value));
  return true;
}
bool put_string(wire::Writer& w, const std::optional<std::string>& value, bool flexible) {
  if (value) return put_string(w, *value, flexible);
  if (flexible)
    w.u8(0);
  else
    w.i16(-1);
  return true;
}
bool put_bytes(wire::Writer& w, const std::string& value, bool flexible) {
  if (value.size() >= INT32_MAX) return false;
  put_count(w, value.size(), flexible);
  w.raw(std::string_view(value));
  return true;
}
bool put_bytes(wire::Writer& w, const std::optional<std::string>& value, bool flexible) {
  if (value) return put_bytes(w, *value, flexible);
  put_null_count(w, flexible);
  return true;
}
bool put_records(wire::Writer& w, const Records& value, bool flexible) {
  if (value.is_null) {
    put_null_count(w, flexible);
    return true;
  }
  if (value.size() >= INT32_MAX) return false;
  put_count(w, value.size(), flexible);
  if (!value.external)
    w.raw(value.bytes);
  else if (value.external->size > 0)
    w.mark_external(value.external->id, value.external->size);
  return true;
}

void get_string(wire::Reader& r, std::string& out, bool flexible) {
  get_text(r, out, flexible, true);
}
void get_string(wire::Reader& r, std::optional<std::string>& out, bool flexible) {
  get_text(r, out, flexible, true);
}
void get_bytes(wire::Reader& r, std::string& out, bool flexible) {
  get_text(r, out, flexible, false);
}
void get_bytes(wire::Reader& r, std::optional<std::string>& out, bool flexible) {
  get_text(r, out, flexible, false);
}
void get_records(wire::Reader& r, Records& out, bool flexible) {
  int64_t length = get_length(r, flexible, false);
  out = length < 0 ? Records{} : Records::of(r.take(static_cast<size_t>(length)));
}
Uuid get_uuid(wire::Reader& r) {
  Uuid uuid;
  Bytes raw = r.take(16);
  if (r.ok()) std::memcpy(uuid.bytes.data(), raw.data(), 16);
  return uuid;
}
int64_t get_count(wire::Reader& r, bool flexible, size_t element_min_bytes, size_t element_memory) {
  int64_t count = flexible ? int64_t{r.uvarint()} - 1 : r.i32();
  if (!r.ok()) return 0;
  if (count < 0) return -1;
  if (!r.claim_count(count, element_min_bytes)) return 0;
  return r.claim_memory(static_cast<size_t>(count) * element_memory) ? count : 0;
}

void put_tags(wire::Writer& w, const UnknownTags& unknown) {
  w.uvarint(static_cast<uint32_t>(unknown.size()));
  for (size_t i = 0; i < unknown.size(); ++i) {
    w.uvarint(unknown[i].tag);
    w.uvarint(static_cast<uint32_t>(unknown[i].bytes.size()));
    w.raw(std::string_view(unknown[i].bytes));
  }
}
void get_tags(wire::Reader& r, UnknownTags& unknown) {
  TagReader tags(r);
  while (tags.next()) tags.keep(unknown);
}

void TagWriter::finish(wire::Writer& w) {
  if (known_.empty()) return put_tags(w, unknown_);
  w.uvarint(static_cast<uint32_t>(known_.size() + unknown_.size()));
  size_t next_unknown = 0;
  auto unknown_below = [&](uint64_t tag) {
    for (; next_unknown < unknown_.size() && unknown_[next_unknown].tag < tag; ++next_unknown) {
      w.uvarint(unknown_[next_unknown].tag);
      w.uvarint(static_cast<uint32_t>(unknown_[next_unknown].bytes.size()));
      w.raw(std::string_view(unknown_[next_unknown].bytes));
    }
  };
  for (size_t i = 0; i < known_.size(); ++i) {
    unknown_below(known_[i].tag);
    size_t end = i + 1 < known_.size() ? known_[i + 1].start : scratch_.size();
    w.uvarint(known_[i].tag);
    w.uvarint(static_cast<uint32_t>(end - known_[i].start));
    w.raw(scratch_.bytes().subspan(known_[i].start, end - known_[i].start));
  }
  unknown_below(UINT64_MAX);
}

TagReader::TagReader(wire::Reader& r) : r_(r), left_(r.uvarint()) {
  if (!r_.claim_count(left_, 2)) left_ = 0;
}
bool TagReader::next() {
  if (started_ && r_.position() != end_) r_.set_failed();
  if (!r_.ok()) return false;
  if (left_ == 0) {
    if (unknown_) unknown_->sort();
    return false;
  }
  --left_;
  tag_ = r_.uvarint();
  uint32_t size = r_.uvarint();
  if (size > r_.remaining()) r_.set_failed();
  end_ = r_.position() + size;
  started_ = true;
  return r_.ok();
}
void TagReader::keep(UnknownTags& unknown) {
  if (!r_.claim_memory(sizeof(TaggedField))) return;
  unknown.append(tag_, r_.text(end_ - r_.position()));
  unknown_ = &unknown;
}

}  // namespace ottla::kmsg
