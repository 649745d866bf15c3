#include "test/interop/differential_kafka/message.h"

#include "proto/kafka/all_messages.h"

namespace ottla::differential {

std::unique_ptr<Message> make_message(int16_t key, bool is_request) {
  std::unique_ptr<Message> made;
  kmsg::visit_api(key, is_request, [&]<class M>() { made = std::make_unique<Typed<M>>(); });
  return made;
}

}  // namespace ottla::differential
