// Words shared by the emitters: types, defaults, version tests.
#include <fmt/core.h>

#include "common/wire/gen/emit.h"

namespace ottla::wiregen {

std::string snake(std::string_view camel) {
  std::string out;
  for (size_t i = 0; i < camel.size(); ++i) {
    char c = camel[i];
    bool upper = c >= 'A' && c <= 'Z';
    bool after_lower = i > 0 && !(camel[i - 1] >= 'A' && camel[i - 1] <= 'Z');
    bool before_lower = i + 1 < camel.size() && camel[i + 1] >= 'a' && camel[i + 1] <= 'z';
    if (upper && i > 0 && (after_lower || before_lower)) out += '_';
    out += upper ? static_cast<char>(c + 32) : c;
  }
  return out;
}

std::string namespace_of(const File& file) {
  return file.dialect == Dialect::jute ? "ottla::jute" : "ottla::kmsg";
}
std::string include_dir(const File& file) {
  return file.dialect == Dialect::jute ? "proto/zookeeper" : "proto/kafka";
}

std::vector<const File*> pointers(const std::vector<File>& files) {
  std::vector<const File*> out;
  for (const File& file : files) out.push_back(&file);
  return out;
}

std::string cpp_element_type(const Field& field) {
  if (!field.as.empty()) return field.as;
  switch (field.type) {
    case Type::boolean:
      return "bool";
    case Type::i8:
      return "int8_t";
    case Type::i16:
      return "int16_t";
    case Type::u16:
      return "uint16_t";
    case Type::i32:
      return "int32_t";
    case Type::u32:
      return "uint32_t";
    case Type::i64:
      return "int64_t";
    case Type::f64:
      return "double";
    case Type::uuid:
      return "Uuid";
    case Type::string:
    case Type::bytes:
      return "std::string";
    case Type::records:
      return "Records";
    case Type::structure:
      return field.struct_name;
  }
  return {};
}

std::string cpp_type(const Field& field) {
  std::string type = cpp_element_type(field);
  if (field.is_array) type = fmt::format("std::vector<{}>", type);
  if (field.trailing && !field.nullable) return fmt::format("std::optional<{}>", type);
  // Records carry their own null.
  if (field.nullable && (field.is_array || field.type != Type::records))
    type = fmt::format("std::optional<{}>", type);
  return type;
}

std::string version_test(Versions wanted, Versions known) {
  Versions range = wanted.intersect(known);
  if (range.empty()) return "false";
  bool low = range.from > known.from;
  bool high = range.to < known.to;
  if (low && high) {
    if (range.from == range.to) return fmt::format("v == {}", range.from);
    return fmt::format("v >= {} && v <= {}", range.from, range.to);
  }
  if (low) return fmt::format("v >= {}", range.from);
  if (high) return fmt::format("v <= {}", range.to);
  return "";
}

namespace {

std::string number_literal(const Field& field) {
  std::string text = field.default_value.empty() ? "0" : field.default_value;
  if (text == "-9223372036854775808") text = "INT64_MIN";
  if (!field.as.empty()) return fmt::format("static_cast<{}>({})", field.as, text);
  return text;
}
bool is_number(Type type) {
  return type != Type::boolean && type != Type::string && type != Type::bytes &&
         type != Type::uuid && type != Type::records && type != Type::structure;
}

}  // namespace

std::string cpp_default(const Field& field) {
  if (field.trailing && !field.nullable) return " = " + cpp_element_type(field) + "{}";
  if (field.nullable && (field.is_array || field.type != Type::records)) {
    if (field.default_null) return "";
    if (field.default_value.empty()) return "{std::in_place}";
    return " = " + field.default_value;
  }
  if (field.is_array || field.type == Type::uuid || field.type == Type::records ||
      field.type == Type::structure)
    return "";
  if (field.type == Type::string || field.type == Type::bytes)
    return field.default_value.empty() ? "" : " = " + field.default_value;
  if (field.type == Type::boolean) return field.default_value == "true" ? " = true" : " = false";
  if (!field.as.empty() && field.default_value.empty()) return "{}";
  return " = " + number_literal(field);
}

std::string differs_from_default(const Field& field, std::string_view x) {
  if (field.nullable && (field.is_array || field.type != Type::records)) {
    if (field.default_null) return fmt::format("{}.has_value()", x);
    if (field.default_value.empty()) return fmt::format("(!{0} || !{0}->empty())", x);
    return fmt::format("{} != {}", x, field.default_value);
  }
  if (field.is_array) return fmt::format("!{}.empty()", x);
  if (is_number(field.type)) return fmt::format("{} != {}", x, number_literal(field));
  switch (field.type) {
    case Type::boolean:
      return fmt::format("{}{}", field.default_value == "true" ? "!" : "", x);
    case Type::uuid:
      return fmt::format("!{}.is_zero()", x);
    case Type::records:
      return fmt::format("!{}.is_null", x);
    case Type::structure:
      return fmt::format("{} != {}{{}}", x, field.struct_name);
    default:
      break;
  }
  if (field.default_value.empty()) return fmt::format("!{}.empty()", x);
  return fmt::format("{} != {}", x, field.default_value);
}

}  // namespace ottla::wiregen
