// The types behind AnyMessage.
#include "proto/kafka/any_message.h"

#include "proto/kafka/all_messages.h"

namespace ottla::kmsg {
namespace {

template <class Message>
struct MessageOf final : AnyMessage {
  MessageOf() {
    if constexpr (requires { Message::kApiKey; }) key = Message::kApiKey;
    min = Message::kMinVersion;
    max = Message::kMaxVersion;
  }

  std::unique_ptr<AnyMessage> another() const override { return std::make_unique<MessageOf>(); }
  bool equals(const AnyMessage& other) const override {
    return it == static_cast<const MessageOf&>(other).it;
  }
  void make_arbitrary(Prng& prng, int16_t version) override {
    it = Message::arbitrary(prng, version);
  }
  Result<void> encode(wire::Writer& writer, int16_t version) const override {
    return it.encode(writer, version);
  }
  bool decode(wire::Reader& reader, int16_t version) override { return it.decode(reader, version); }
  std::string describe() const override { return it.describe(); }
  std::string to_json(int16_t version) const override { return it.to_json(version); }

  Message it;
};

}  // namespace

std::unique_ptr<AnyMessage> message_of_api(int16_t key, bool is_request) {
  std::unique_ptr<AnyMessage> made;
  visit_api(key, is_request,
            [&]<class Message>() { made = std::make_unique<MessageOf<Message>>(); });
  return made;
}

std::unique_ptr<AnyMessage> message_of_name(std::string_view name) {
  std::unique_ptr<AnyMessage> made;
  visit_named(name, [&]<class Message>() { made = std::make_unique<MessageOf<Message>>(); });
  return made;
}

}  // namespace ottla::kmsg
