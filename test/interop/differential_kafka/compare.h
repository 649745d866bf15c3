// Two replies, field by field: each becomes a tree, arrays whose order Apache takes from a hash map
// are put in order, and what the written list of allowed differences (allowed.cc) names is passed
// over.
#pragma once

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

// Why these two answers of one request may differ altogether; empty: they may not. `request` is
// null for a frame of bytes.
std::string_view excuse(int16_t key, int16_t version, Message* request, Message& apache,
                        Message& ours);

// Whether Apache's leaves such a request without an answer for ever: docs/compat.md.
bool is_never_answered(int16_t version, Message& ours);

// The first few differences; empty: equal as far as the rules demand.
std::vector<Difference> compare(int16_t key, int16_t version, Message& apache, Message& ours);

// A record set in words: each batch's header, each record; bytes after the last whole batch.
std::string describe_records(Bytes set);

}  // namespace ottla::differential
