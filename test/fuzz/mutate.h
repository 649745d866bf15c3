// Grammar-aware mutation, from the generated walkers: a frame is decoded, some of its fields change,
// and it is encoded again; what does not decode is changed as bytes. For libFuzzer's custom mutators
// and for the unit tests, which draw from a seed. Also from nothing: a request of any API or
// operation, a record batch of any codec.
#pragma once

#include "common/base/bytes.h"
#include "common/base/prng.h"

namespace ottla::fuzz {

Buffer mutate_bytes(Prng& prng, Bytes bytes);

// Frames are without their length. In Kafka's some values stand for what the server gave last
// (server_targets.h puts them in): a member id "@", and kLearned as generation, producer or session.
constexpr int32_t kLearned = 77;
Buffer arbitrary_kafka_frame(Prng& prng);
Buffer mutate_kafka_frame(Prng& prng, Bytes frame);
Buffer arbitrary_jute_frame(Prng& prng);
Buffer mutate_jute_frame(Prng& prng, Bytes frame);
Buffer arbitrary_connect(Prng& prng);

// One to three batches or old messages of any codec; some with far more inside than outside.
Buffer arbitrary_records(Prng& prng);
// Opens the payload of the first batch, changes it, closes it with any codec and a right checksum.
Buffer mutate_records(Prng& prng, Bytes records);
Buffer mutate_record_input(Prng& prng, Bytes input);  // of record_set: rules, then records

// Inputs of server_targets.h: steps of a control byte, a length of two bytes, and bytes.
struct StepShape {
  Buffer (*make)(Prng&);
  Buffer (*change)(Prng&, Bytes);
};
Buffer arbitrary_steps(Prng& prng, const StepShape& shape, size_t count);
Buffer mutate_steps(Prng& prng, Bytes input, const StepShape& shape);
extern const StepShape kKafkaSteps, kJuteSteps;

// Inputs of zk_session: steps whose frames have a length of one byte.
Buffer arbitrary_session_steps(Prng& prng, size_t count);
Buffer mutate_session_steps(Prng& prng, Bytes input);

}  // namespace ottla::fuzz
