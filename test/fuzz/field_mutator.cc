#include "test/fuzz/field_mutator.h"

#include <algorithm>

#include "test/fuzz/mutate.h"

namespace ottla::fuzz {

namespace {
constexpr size_t kMaxList = 40, kMaxText = 3000;
}

void FieldMutator::boolean(const wire::FieldInfo&, bool& value) {
  if (hit()) value = !value;
}

void FieldMutator::integer(const wire::FieldInfo& info, int64_t& value, int64_t min, int64_t max) {
  if (!hit()) return;
  const bool learned = info.name == "generation_id" || info.name == "producer_id" || info.name == "session_id";
  if (learned && max >= kLearned && prng_.chance(0.5)) {
    value = kLearned;
    return;
  }
  switch (prng_.below(8)) {
    case 0: value = min; break;
    case 1: value = max; break;
    case 2: value = -1; break;
    case 3: value = value == min ? max : value - 1; break;
    case 4: value = value == max ? min : value + 1; break;
    case 5: value = static_cast<int64_t>(prng_.next()); break;
    default: value = static_cast<int64_t>(prng_.below(prng_.chance(0.8) ? 3 : 2000)); break;
  }
  value = std::clamp(value, min, max);
}

void FieldMutator::real(const wire::FieldInfo&, double& value) {
  if (!hit()) return;
  constexpr double kValues[] = {0, -1, 1, 1e308, -1e-308, __builtin_nan(""), __builtin_inf(), 1000};
  value = kValues[prng_.below(std::size(kValues))];
}

void FieldMutator::text(const wire::FieldInfo& info, std::string& value) {
  if (!hit()) return;
  if (info.name == "member_id" && prng_.chance(0.6)) {
    value = "@";
  } else if (prng_.chance(0.7)) {
    value = texts_[prng_.below(texts_.size())];
  } else if (prng_.chance(0.1)) {
    value.assign(prng_.below(kMaxText), 'x');
  } else {
    value = as_text(mutate_bytes(prng_, as_bytes(value)).bytes());
  }
}

void FieldMutator::bytes(const wire::FieldInfo& info, std::string& value) { text(info, value); }

void FieldMutator::uuid(const wire::FieldInfo&, std::span<uint8_t, 16> value) {
  if (!hit()) return;
  std::fill(value.begin(), value.end(), uint8_t{0});
  if (prng_.chance(0.5)) value[prng_.below(16)] = static_cast<uint8_t>(prng_.next());
}

void FieldMutator::records(const wire::FieldInfo&, Bytes& bytes, bool& is_null) {
  if (!hit()) return;
  is_null = prng_.chance(0.05);
  kept_.push_back(is_null ? Buffer() : bytes.empty() || prng_.chance(0.4) ? arbitrary_records(prng_)
                                                                          : mutate_records(prng_, bytes));
  bytes = kept_.back().bytes();
}

bool FieldMutator::present(const wire::FieldInfo& info, bool is) {
  return info.nullable && hit() ? !is : is;
}

void FieldMutator::list(const wire::FieldInfo&, wire::List& list) {
  if (!hit()) return;
  const size_t size = list.size();
  switch (prng_.below(6)) {
    case 0: return list.resize(prng_.below(3));
    case 1:
      if (size != 0) list.erase(prng_.below(size));
      return;
    case 2:
      if (size > 1) list.swap(prng_.below(size), prng_.below(size));
      return;
    case 3:
      if (size != 0 && size < kMaxList) list.append_copy(prng_.below(size));
      return;
    default:
      if (size < kMaxList) list.resize(size + 1);
  }
}

}  // namespace ottla::fuzz
