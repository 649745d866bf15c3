// FieldMutator: a walker that changes about one in so many of the fields that it is shown, to what
// is likely to matter: names that exist, edges of ranges, lists longer and shorter.
#pragma once

#include <deque>

#include "common/base/prng.h"
#include "common/wire/walk.h"

namespace ottla::fuzz {

class FieldMutator final : public wire::Walker {
 public:
  FieldMutator(Prng& prng, double rate, std::span<const std::string_view> texts)
      : prng_(prng), rate_(rate), texts_(texts) {}

  void boolean(const wire::FieldInfo&, bool& value) override;
  void integer(const wire::FieldInfo& info, int64_t& value, int64_t min, int64_t max) override;
  void real(const wire::FieldInfo&, double& value) override;
  void text(const wire::FieldInfo& info, std::string& value) override;
  void bytes(const wire::FieldInfo& info, std::string& value) override;
  void uuid(const wire::FieldInfo&, std::span<uint8_t, 16> value) override;
  void records(const wire::FieldInfo&, Bytes& bytes, bool& is_null) override;
  bool present(const wire::FieldInfo& info, bool is) override;
  void list(const wire::FieldInfo&, wire::List& list) override;

 private:
  bool hit() { return prng_.chance(rate_); }
  Prng& prng_;
  double rate_;
  std::span<const std::string_view> texts_;
  std::deque<Buffer> kept_;  // what messages borrow
};

}  // namespace ottla::fuzz
