// The model that wiregen reads schemas into and writes C++ and docs from. See README.md for the
// notation. Nothing here knows a particular message.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ottla::wiregen {

inline constexpr int kForever = 32767;

struct Versions {
  int from = 0;
  int to = kForever;
  bool empty() const { return from > to; }
  bool contains(int version) const { return from <= version && version <= to; }
  bool contains(const Versions& other) const {
    return other.empty() || (from <= other.from && other.to <= to);
  }
  Versions intersect(const Versions& other) const {
    return {from > other.from ? from : other.from, to < other.to ? to : other.to};
  }
};

enum class Type {
  boolean,
  i8,
  i16,
  u16,
  i32,
  u32,
  i64,
  f64,
  uuid,
  string,
  bytes,
  records,
  structure
};

struct Field {
  std::string name;       // snake_case, the C++ member
  std::string json_name;  // as the protocol's own JSON spells it
  Type type = Type::i32;
  std::string struct_name;  // of Type::structure
  bool is_array = false;
  bool nullable = false;  // C++ type is optional
  Versions null_versions{1, 0};
  Versions versions;
  int tag = -1;
  std::string as;             // our own C++ type for an integer
  std::string default_value;  // empty: the type's zero, null when nullable_default
  bool default_null = false;
  bool ignorable = false;
  bool secret = false;
  bool inflexible = false;  // keeps the old encoding in flexible versions
  bool trailing = false;    // jute: absent when the bytes end before it
  std::string doc;
};

struct Struct {
  std::string name;
  Versions versions;  // of the message versions in which it can occur
  std::vector<Field> fields;
};

enum class MessageKind { request, response, header, record };

struct Message {
  MessageKind kind = MessageKind::record;
  std::string api;  // "Heartbeat"; the class is class_name()
  int key = -1;
  Versions versions{0, 0};
  int flexible_from = kForever;
  std::vector<Struct> structs;  // nested ones, each before its first use
  Struct root;
  std::string doc;

  std::string class_name() const;
  const Struct* find(std::string_view name) const;
};

enum class Dialect { kafka, jute };

struct File {
  std::string stem;  // "heartbeat": proto/kafka/heartbeat.h
  Dialect dialect = Dialect::kafka;
  std::string doc;
  std::vector<Message> messages;
};

struct ParseError {
  std::string message;  // "path:line: what"
};

// Parses one schema. On failure `error` is set and the file is not to be used.
File parse(std::string_view path, std::string_view stem, std::string_view text,
           std::optional<ParseError>& error);

// The schemas at these paths; a folder stands for the *.wire files in it, by name.
std::vector<File> load_schemas(const std::vector<std::string>& paths,
                               std::optional<ParseError>& error);
std::string read_file(const std::string& path);  // empty when it cannot be read

// Fewest bytes the type takes on the wire in any of `versions`.
int min_wire_bytes(const File& file, const Message& message, const Field& field, int version);
int min_wire_bytes(const File& file, const Message& message, const Struct& structure, int version);
// The struct a field refers to: nested in its message, or (jute) an earlier record of the file.
const Struct& resolve(const File& file, const Message& message, std::string_view name);

std::string_view type_word(Type type);

}  // namespace ottla::wiregen
