// A request or response body of any API behind one interface: what the generic parts of the run
// (fill, rename, compare, print) work on. Typed steps make a Typed<M> and fill its fields by name.
#pragma once

#include <memory>

#include "proto/kafka/walk.h"

namespace ottla::differential {

class Message {
 public:
  virtual ~Message() = default;
  virtual void walk_fields(wire::Walker& walker, int16_t version) = 0;
  virtual Result<void> encode(wire::Writer& w, int16_t version) const = 0;
  virtual bool decode(wire::Reader& r, int16_t version) = 0;
  virtual std::string describe() const = 0;
  virtual std::unique_ptr<Message> clone() const = 0;
};

template <class M>
class Typed final : public Message {
 public:
  M body;

  void walk_fields(wire::Walker& walker, int16_t version) override { walk(body, walker, version); }
  Result<void> encode(wire::Writer& w, int16_t version) const override {
    return body.encode(w, version);
  }
  bool decode(wire::Reader& r, int16_t version) override { return body.decode(r, version); }
  std::string describe() const override { return body.describe(); }
  std::unique_ptr<Message> clone() const override { return std::make_unique<Typed>(*this); }
};

// nullptr for a key without a schema.
std::unique_ptr<Message> make_message(int16_t key, bool is_request);

// The body when it is an M.
template <class M>
M* body_of(Message* message) {
  auto* typed = dynamic_cast<Typed<M>*>(message);
  return typed ? &typed->body : nullptr;
}

}  // namespace ottla::differential
