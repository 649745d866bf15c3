// What wiregen writes. Each function returns the whole text of one output file.
#pragma once

#include <string>
#include <vector>

#include "common/wire/gen/schema.h"

namespace ottla::wiregen {

// The structs of one schema: <stem>.h.
std::string emit_header(const File& file);
// encode, decode and describe of the messages of some schemas: one translation unit.
std::string emit_source(const std::vector<const File*>& files);
// json_to and fill of the messages of some schemas (test and tool code): one translation unit.
std::string emit_debug_source(const std::vector<const File*>& files);
// walk() of every message (walk.h), and its definitions for some schemas: test and tool code.
std::string emit_walk_header(const std::vector<File>& files);
std::string emit_walk_source(const std::vector<const File*>& files);

// The table of APIs (api_key.h), and calls by key or name with every message included
// (all_messages.h). Kafka dialect only; for Jute all_records.h visits records by name.
std::string emit_api_key_header(const std::vector<File>& files);
std::string emit_all_messages_header(const std::vector<File>& files);
std::string emit_all_records_header(const std::vector<File>& files);

// docs/generated/protocol.md.
std::string emit_docs(const std::vector<File>& files);
// One line "Message version hash" each: a change to a released version shows here.
std::string emit_frozen(const std::vector<File>& files);

// ---- shared by the emitters ----

std::string snake(std::string_view camel);
std::string cpp_type(const Field& field);          // of the member
std::string cpp_element_type(const Field& field);  // without vector and optional
// C++ condition that `version` is in `wanted`, given that it is in `known`; "" when always so.
std::string version_test(Versions wanted, Versions known);
// True for a C++ expression that tells a value from its default.
std::string differs_from_default(const Field& field, std::string_view expression);
std::string cpp_default(const Field& field);  // initializer, "" for value-initialization
std::string namespace_of(const File& file);
std::string include_dir(const File& file);
std::vector<const File*> pointers(const std::vector<File>& files);

}  // namespace ottla::wiregen
