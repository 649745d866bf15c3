// Fuzz targets of both wires, as plain functions: libFuzzer calls them (*_fuzz.cc), and the unit
// test runs them over golden lines, changed ones and noise. They abort on a broken promise.
#pragma once

#include "common/base/bytes.h"

namespace ottla::fuzz {

// Byte 0: index of the API; byte 1: bit 0 the side, the rest the version; then a body. Past the
// APIs come headers and persisted records.
void kafka_message(Bytes input);
// Byte 0: index of the record; then its bytes.
void jute_record(Bytes input);

// The two bytes before a body, for seeds.
std::string kafka_prefix(int16_t api_key, bool is_request, int16_t version);

}  // namespace ottla::fuzz
