// Two replies, field by field: each becomes a tree, arrays whose order Apache takes from a hash map
// are put in order, and what the written list of allowed differences (allowed.cc) names is passed
// over.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "test/interop/differential_kafka/message.h"

namespace ottla::differential {

enum class Allow {
  ignore,      // the field may hold anything
  both_set,    // any two values of 0 and more
  unordered,   // a list compared as a set
  near,        // numbers less than half a minute apart
  times,       // texts that differ in long numbers only
  text,        // a text on one side, another or none on the other
  common_only  // of a list, only elements whose first field stands on both sides
};

struct Rule {
  int16_t key;               // of the API
  std::string_view pattern;  // "brokers[].port"
  Allow allow;
  std::string_view reason;
};
std::span<const Rule> allowed_differences();

struct Difference {
  std::string path;     // with indexes
  std::string pattern;  // without
  std::string apache, ours;
};

// Why these two answers of one request may differ altogether, after the answers were made alike in
// that; empty: they may not. `request` is null where it cannot be read. `first_at` finds the first
// record of a time by reading Apache's log.
using FirstAt = std::function<std::optional<std::pair<int64_t, int64_t>>(
    const std::string& topic, int32_t partition, int64_t timestamp)>;
std::string_view excuse(Message* request, Message& apache, Message& ours, const FirstAt& first_at);

// Whether Apache's leaves such a request without an answer for ever: docs/compat.md.
bool is_never_answered(int16_t version, Message& ours);
// Whether Apache's may close the connection in the middle of such an answer: docs/compat.md.
bool closes_midway(int16_t version, Message& ours);

// The first few differences; empty: equal as far as the rules demand.
std::vector<Difference> compare(int16_t key, int16_t version, Message& apache, Message& ours);

// A record set in words: each batch's header, each record; bytes after the last whole batch.
std::string describe_records(Bytes set);

}  // namespace ottla::differential
