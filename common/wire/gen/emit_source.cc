// encode, decode and describe: straight-line code, one `if (version ...)` a field.
#include <algorithm>

#include <fmt/core.h>

#include "common/wire/gen/emit.h"

namespace ottla::wiregen {
namespace {

class SourceEmitter {
 public:
  SourceEmitter(const File& file, std::string& out)
      : file_(file), jute_(file.dialect == Dialect::jute), out_(out) {}

  void run() {
    for (const Message& message : file_.messages) {
      message_ = &message;
      for (const Struct& nested : message.structs) emit_struct(nested, true);
      emit_struct(message.root, false);
      if (!jute_) emit_message_calls();
    }
  }

 private:
  struct Context {
    const Struct* structure;
    std::string path;  // for refusals: "FetchRequest.FetchTopic"
  };

  void line(int indent, const std::string& text) {
    out_ += std::string(static_cast<size_t>(indent) * 2, ' ') + text + "\n";
  }
  Versions known(const Struct& s) const { return s.versions.intersect(message_->versions); }
  Versions flexible_versions() const { return {message_->flexible_from, kForever}; }

  // The C++ word for "this version is flexible": a literal where that is fixed.
  std::string flexible_word(const Struct& s) const {
    std::string test = version_test(flexible_versions(), known(s));
    return test.empty() ? "true" : test == "false" ? "false" : "flexible";
  }
  std::string flexible_of(const Struct& s, const Field& field) const {
    return field.inflexible ? "false" : flexible_word(s);
  }

  void emit_struct(const Struct& s, bool nested) {
    std::string qualified =
        nested ? message_->class_name() + "::" + s.name : message_->class_name();
    out_ += "\n";
    if (jute_) {
      line(0, fmt::format("void {}::encode([[maybe_unused]] wire::Writer& w) const {{", qualified));
    } else {
      line(0,
           fmt::format("const char* {}::put(wire::Writer& w, [[maybe_unused]] int16_t v) const {{",
                       qualified));
      emit_flexible_constant(s);
    }
    Context context{&s, nested ? message_->class_name() + "." + s.name : message_->class_name()};
    for (const Field& field : s.fields)
      if (field.tag < 0) emit_put_field(context, field);
    if (!jute_) {
      emit_put_tags(context);
      line(1, "return nullptr;");
    }
    line(0, "}");

    if (jute_) {
      line(0, fmt::format("bool {}::decode(wire::Reader& r) {{", qualified));
    } else {
      line(0,
           fmt::format("bool {}::get(wire::Reader& r, [[maybe_unused]] int16_t v) {{", qualified));
      emit_flexible_constant(s);
    }
    for (const Field& field : s.fields)
      if (field.tag < 0) emit_get_field(context, field);
    if (!jute_) emit_get_tags(context);
    line(1, "return r.ok();");
    line(0, "}");

    line(0, fmt::format("void {}::describe_to(wire::Describer& d) const {{", qualified));
    line(1, fmt::format("d.open(\"{}\");", nested ? "" : s.name));
    for (const Field& field : s.fields) emit_describe(field);
    line(1, "d.close();");
    line(0, "}");
    if (jute_) emit_describe_call(qualified);
  }

  void emit_flexible_constant(const Struct& s) {
    if (flexible_word(s) == "flexible")
      line(1,
           fmt::format("[[maybe_unused]] const bool flexible = v >= {};", message_->flexible_from));
  }

  void emit_describe(const Field& field) {
    line(1, fmt::format("d.key(\"{}\");", field.name));
    if (field.secret) {
      line(1, "d.word(\"***\");");
    } else if (field.type == Type::bytes && !field.is_array) {
      if (field.nullable)
        line(1, fmt::format("{0} ? d.bytes({0}->size()) : d.word(\"null\");", field.name));
      else
        line(1, fmt::format("d.bytes({}.size());", field.name));
    } else {
      line(1, fmt::format("d.value({});", field.name));
    }
  }
  void emit_describe_call(const std::string& qualified) {
    line(0, fmt::format("std::string {}::describe() const {{", qualified));
    line(1, "wire::Describer d;");
    line(1, "describe_to(d);");
    line(1, "return d.take();");
    line(0, "}");
  }

  // ---- encoding ----

  std::string refusal(const Context& context, const Field& field) const {
    return fmt::format("return \"{}.{}\";", context.path, field.name);
  }

  void emit_put_field(const Context& context, const Field& field) {
    int indent = 1;
    std::string test = version_test(field.versions, known(*context.structure));
    if (!test.empty()) line(indent++, fmt::format("if ({}) {{", test));
    std::string x = field.name;
    if (field.trailing && !field.nullable) {
      line(indent, fmt::format("if ({}.has_value()) {{", x));
      emit_put_element(context, field, "*" + x, "w", indent + 1);
      line(indent, "}");
    } else {
      emit_put_value(context, field, "w", indent);
    }
    if (test.empty()) return;
    if (field.ignorable) {
      line(1, "}");
      return;
    }
    line(1, fmt::format("}} else if ({}) {{", differs_from_default(field, field.name)));
    line(2, refusal(context, field));
    line(1, "}");
  }

  void emit_put_value(const Context& context, const Field& field, const std::string& w,
                      int indent) {
    const std::string& x = field.name;
    if (field.nullable &&
        !field.null_versions.contains(field.versions.intersect(message_->versions))) {
      bool is_records = field.type == Type::records && !field.is_array;
      std::string test =
          version_test(field.null_versions, field.versions.intersect(message_->versions));
      line(indent, fmt::format("if ({}{} && !({})) {}", is_records ? "" : "!",
                               is_records ? x + ".is_null" : x, test, refusal(context, field)));
    }
    if (field.is_array) {
      emit_put_array(context, field, w, indent);
    } else if (field.type == Type::structure && field.nullable) {
      line(indent, fmt::format("{}.i8({} ? 1 : -1);", w, x));
      line(indent, fmt::format("if ({}) {{", x));
      emit_put_element(context, field, "*" + x, w, indent + 1);
      line(indent, "}");
    } else {
      emit_put_element(context, field, x, w, indent);
    }
  }

  void emit_put_array(const Context& context, const Field& field, const std::string& w,
                      int indent) {
    const std::string& x = field.name;
    std::string flexible = flexible_of(*context.structure, field);
    std::string list = field.nullable ? "*" + x : x;
    if (field.nullable) {
      line(indent, fmt::format("if (!{}) {{", x));
      line(indent + 1, jute_ ? "w.i32(-1);" : fmt::format("put_null_count({}, {});", w, flexible));
      line(indent, "} else {");
      ++indent;
    }
    std::string size = field.nullable ? x + "->size()" : x + ".size()";
    line(indent, jute_ ? fmt::format("w.i32(static_cast<int32_t>({}));", size)
                       : fmt::format("put_count({}, {}, {});", w, size, flexible));
    line(indent, fmt::format("for (const {}& each : {}) {{", cpp_element_type(field), list));
    emit_put_element(context, field, "each", w, indent + 1);
    line(indent, "}");
    if (field.nullable) line(indent - 1, "}");
  }

  void emit_put_element(const Context& context, const Field& field, const std::string& x,
                        const std::string& w, int indent) {
    std::string flexible = flexible_of(*context.structure, field);
    auto checked = [&](std::string_view call) {
      line(indent,
           fmt::format("if (!{}({}, {}, {})) {}", call, w, x, flexible, refusal(context, field)));
    };
    switch (field.type) {
      case Type::string:
        return jute_ ? line(indent, fmt::format("put_text(w, {});", x)) : checked("put_string");
      case Type::bytes:
        return jute_ ? line(indent, fmt::format("put_text(w, {});", x)) : checked("put_bytes");
      case Type::records:
        return checked("put_records");
      case Type::uuid:
        return line(indent, fmt::format("put_uuid({}, {});", w, x));
      case Type::structure:
        if (jute_)
          line(indent, fmt::format("{}.encode(w);", x));
        else
          line(indent, fmt::format("if (const char* refused = {}.put({}, v)) return refused;",
                                   x.starts_with('*') ? "(" + x + ")" : x, w));
        return;
      default:
        break;
    }
    std::string value =
        field.as.empty() ? x : fmt::format("static_cast<{}>({})", wire_type(field.type), x);
    line(indent, fmt::format("{}.{}({});", w, scalar_call(field.type), value));
  }

  static std::string_view wire_type(Type type) {
    return type == Type::i8 ? "int8_t" : type == Type::i16 ? "int16_t" : "int32_t";
  }
  static std::string_view scalar_call(Type type) {
    return type == Type::boolean ? "boolean" : type_word(type);
  }

  void emit_put_tags(const Context& context) {
    const Struct& s = *context.structure;
    std::string test = version_test(flexible_versions(), known(s));
    std::vector<const Field*> tagged = tagged_fields(s);
    // A tagged field that has a value must not vanish in a version without it.
    for (const Field* field : tagged) {
      std::string present = version_test(field->versions, known(s));
      if (present.empty() || field->ignorable) continue;
      line(1, fmt::format("if (!({}) && {}) {}", present, differs_from_default(*field, field->name),
                          refusal(context, *field)));
    }
    if (test == "false") return;
    int indent = 1;
    if (!test.empty()) line(indent++, "if (flexible) {");
    if (tagged.empty()) {
      line(indent, "put_tags(w, unknown_tags);");
    } else {
      line(indent, "TagWriter tags(unknown_tags);");
      for (const Field* field : tagged) {
        std::string present =
            version_test(field->versions, known(s).intersect(flexible_versions()));
        line(indent, fmt::format("if ({}{}{}) {{", present, present.empty() ? "" : " && ",
                                 differs_from_default(*field, field->name)));
        line(indent + 1, fmt::format("wire::Writer& t = tags.begin({});", field->tag));
        emit_put_value(context, *field, "t", indent + 1);
        line(indent, "}");
      }
      line(indent, "tags.finish(w);");
    }
    if (!test.empty()) line(1, "}");
  }

  static std::vector<const Field*> tagged_fields(const Struct& s) {
    std::vector<const Field*> tagged;
    for (const Field& field : s.fields)
      if (field.tag >= 0) tagged.push_back(&field);
    std::sort(tagged.begin(), tagged.end(), [](auto* a, auto* b) { return a->tag < b->tag; });
    return tagged;
  }

  // ---- decoding ----

  void emit_get_field(const Context& context, const Field& field) {
    std::string test = version_test(field.versions, known(*context.structure));
    int indent = 1;
    if (!test.empty()) line(indent++, fmt::format("if ({}) {{", test));
    if (field.trailing) {
      line(indent, "if (r.remaining() == 0) {");
      line(indent + 1, fmt::format("{}.reset();", field.name));
      line(indent, "} else {");
      if (field.nullable)
        emit_get_value(context, field, indent + 1);
      else
        emit_get_element(context, field, field.name, indent + 1);
      line(indent, "}");
    } else {
      emit_get_value(context, field, indent);
    }
    if (!test.empty()) line(1, "}");
  }

  void emit_get_value(const Context& context, const Field& field, int indent) {
    const std::string& x = field.name;
    if (field.is_array) {
      emit_get_array(context, field, indent);
    } else if (field.type == Type::structure && field.nullable) {
      line(indent, fmt::format("if (r.i8() < 0) {{"));
      line(indent + 1, fmt::format("{}.reset();", x));
      line(indent, "} else {");
      line(indent + 1, fmt::format("if (!{}.emplace().get(r, v)) return false;", x));
      line(indent, "}");
    } else {
      emit_get_element(context, field, x, indent);
    }
    Versions present = field.versions.intersect(message_->versions);
    if (field.type == Type::records && !field.is_array) {
      if (!field.nullable) {
        line(indent, fmt::format("if ({}.is_null) r.set_failed();", x));
        return;
      }
    }
    if (!field.nullable || field.null_versions.contains(present)) return;
    line(indent,
         fmt::format("if ({} && !({})) r.set_failed();",
                     field.type == Type::records && !field.is_array ? x + ".is_null" : "!" + x,
                     version_test(field.null_versions, present)));
  }

  void emit_get_array(const Context& context, const Field& field, int indent) {
    const std::string& x = field.name;
    Field element = field;
    element.is_array = false;
    element.nullable = false;
    int min_bytes = 1 << 20;
    Versions present = field.versions.intersect(message_->versions);
    for (int version = present.from; version <= present.to; ++version)
      min_bytes = std::min(min_bytes, min_wire_bytes(file_, *message_, element, version));
    std::string type = cpp_element_type(field);
    std::string count = jute_
                            ? fmt::format("get_count(r, {}, sizeof({}))", min_bytes, type)
                            : fmt::format("get_count(r, {}, {}, sizeof({}))",
                                          flexible_of(*context.structure, field), min_bytes, type);
    line(indent, fmt::format("if (const auto n = {}; n < 0) {{", count));
    line(indent + 1, field.nullable ? x + ".reset();" : "r.set_failed();");
    line(indent, "} else {");
    ++indent;
    line(indent, fmt::format("{}{}resize(static_cast<size_t>(n));", x,
                             field.nullable ? ".emplace()." : "."));
    line(indent, fmt::format("for ({}& each : {}{}) {{", type, field.nullable ? "*" : "", x));
    emit_get_element(context, element, "each", indent + 1);
    if (field.type == Type::string || field.type == Type::bytes)
      line(indent + 1, "if (!r.ok()) return false;");
    line(indent, "}");
    line(indent - 1, "}");
  }

  void emit_get_element(const Context& context, const Field& field, const std::string& x,
                        int indent) {
    std::string flexible = flexible_of(*context.structure, field);
    switch (field.type) {
      case Type::string:
      case Type::bytes:
        if (jute_)
          line(indent, fmt::format("get_text(r, {});", x));
        else
          line(indent, fmt::format("get_{}(r, {}, {});",
                                   field.type == Type::string ? "string" : "bytes", x, flexible));
        return;
      case Type::records:
        return line(indent, fmt::format("get_records(r, {}, {});", x, flexible));
      case Type::uuid:
        return line(indent, fmt::format("{} = get_uuid(r);", x));
      case Type::structure:
        return line(indent, jute_ ? fmt::format("if (!{}.decode(r)) return false;", x)
                                  : fmt::format("if (!{}.get(r, v)) return false;", x));
      default:
        break;
    }
    std::string value = fmt::format("r.{}()", scalar_call(field.type));
    if (!field.as.empty()) value = fmt::format("static_cast<{}>({})", field.as, value);
    line(indent, fmt::format("{} = {};", x, value));
  }

  void emit_get_tags(const Context& context) {
    const Struct& s = *context.structure;
    std::string test = version_test(flexible_versions(), known(s));
    if (test == "false") return;
    int indent = 1;
    if (!test.empty()) line(indent++, "if (flexible) {");
    std::vector<const Field*> tagged = tagged_fields(s);
    if (tagged.empty()) {
      line(indent, "get_tags(r, unknown_tags);");
    } else {
      line(indent, "TagReader tags(r);");
      line(indent, "while (tags.next()) {");
      for (const Field* field : tagged) {
        std::string present =
            version_test(field->versions, known(s).intersect(flexible_versions()));
        line(indent + 1,
             fmt::format("{}if (tags.tag() == {}{}{}) {{", field == tagged[0] ? "" : "} else ",
                         field->tag, present.empty() ? "" : " && ", present));
        // The tag may have come before: nothing of that one stays.
        if (field->is_array || field->type == Type::structure)
          line(indent + 2, fmt::format("{} = {{}};", field->name));
        emit_get_value(context, *field, indent + 2);
      }
      line(indent + 1, "} else {");
      line(indent + 2, "tags.keep(unknown_tags);");
      line(indent + 1, "}");
      line(indent, "}");
    }
    if (!test.empty()) line(1, "}");
  }

  void emit_message_calls() {
    std::string name = message_->class_name();
    out_ += "\n";
    line(0, fmt::format("Result<void> {}::encode(wire::Writer& w, int16_t v) const {{", name));
    line(1, "if (v < kMinVersion || v > kMaxVersion)");
    line(2,
         fmt::format("return fail(Errc::unsupported, \"{} has no version \" + std::to_string(v));",
                     name));
    line(1, "if (const char* refused = put(w, v))");
    line(2,
         "return fail(Errc::invalid, std::string(refused) + \" cannot be sent in version \" + "
         "std::to_string(v));");
    line(1, "return {};");
    line(0, "}");
    line(0, fmt::format("bool {}::decode(wire::Reader& r, int16_t v) {{", name));
    line(1, fmt::format("*this = {}{{}};", name));
    line(1, "if (v < kMinVersion || v > kMaxVersion) r.set_failed();");
    line(1, "return r.ok() && get(r, v);");
    line(0, "}");
    emit_describe_call(name);
  }

  const File& file_;
  bool jute_;
  std::string& out_;
  const Message* message_ = nullptr;
};

}  // namespace

std::string emit_source(const std::vector<const File*>& files) {
  std::string out = "// Generated by wiregen; do not edit.\n";
  for (const File* file : files)
    out += fmt::format("#include \"{}/{}.h\"\n", include_dir(*file), file->stem);
  if (files.empty()) return out;
  if (files[0]->dialect == Dialect::jute) out += "#include \"proto/zookeeper/jute_types.h\"\n";
  out += fmt::format("\nnamespace {} {{\n", namespace_of(*files[0]));
  for (const File* file : files) SourceEmitter(*file, out).run();
  out += fmt::format("\n}}  // namespace {}\n", namespace_of(*files[0]));
  return out;
}

}  // namespace ottla::wiregen
