// A message whose type is known at run time alone. What the tests of this room ask of every message
// is compiled once against it, not once for each of 180 types. Part of the test program:
// any_message_test.cc.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "common/base/prng.h"
#include "common/base/result.h"
#include "common/wire/reader.h"
#include "common/wire/writer.h"

namespace ottla::kmsg {

struct AnyMessage {
  virtual ~AnyMessage() = default;

  // Of the same type.
  virtual std::unique_ptr<AnyMessage> another() const = 0;
  virtual bool equals(const AnyMessage& other) const = 0;

  virtual void make_arbitrary(Prng& prng, int16_t version) = 0;
  virtual Result<void> encode(wire::Writer& writer, int16_t version) const = 0;
  virtual bool decode(wire::Reader& reader, int16_t version) = 0;
  virtual std::string describe() const = 0;
  virtual std::string to_json(int16_t version) const = 0;

  int16_t key = -1;  // of an API
  int16_t min = 0;
  int16_t max = 0;
};

// Null: there is none.
std::unique_ptr<AnyMessage> message_of_api(int16_t key, bool is_request);
std::unique_ptr<AnyMessage> message_of_name(std::string_view name);

}  // namespace ottla::kmsg
