// Ids of clusters and topics, as Java's Uuid.randomUuid() of Kafka makes them. Source: KIP-516.
#pragma once

#include "common/rt/world.h"
#include "proto/kafka/wire_types.h"

namespace ottla::broker {

// Version 4; never one that begins with '-', which looks like an option on a command line.
inline kmsg::Uuid random_uuid(rt::Entropy& entropy) {
  kmsg::Uuid id;
  do {
    entropy.fill({id.bytes.data(), id.bytes.size()});
    id.bytes[6] = static_cast<uint8_t>((id.bytes[6] & 0x0f) | 0x40);
    id.bytes[8] = static_cast<uint8_t>((id.bytes[8] & 0x3f) | 0x80);
  } while (id.to_string().front() == '-');
  return id;
}

}  // namespace ottla::broker
