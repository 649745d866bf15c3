// Parser of the schema notation: line by line, word by word. Source: README.md of this folder.
#include <algorithm>
#include <charconv>
#include <map>

#include <fmt/core.h>

#include "common/wire/gen/schema.h"

namespace ottla::wiregen {
namespace {

constexpr std::pair<std::string_view, Type> kTypeWords[] = {
    {"bool", Type::boolean},  {"i8", Type::i8},       {"i16", Type::i16},
    {"u16", Type::u16},       {"i32", Type::i32},     {"u32", Type::u32},
    {"i64", Type::i64},       {"f64", Type::f64},     {"uuid", Type::uuid},
    {"string", Type::string}, {"bytes", Type::bytes}, {"records", Type::records},
};

// Parameters and locals of generated functions.
constexpr std::string_view kReserved[] = {"w",    "r",    "d",    "j", "t",        "v",
                                          "prng", "tags", "each", "n", "flexible", "refused"};

std::vector<std::string> split_words(std::string_view line) {
  std::vector<std::string> words;
  size_t at = 0;
  while (at < line.size()) {
    if (line[at] == ' ' || line[at] == '\t') {
      ++at;
      continue;
    }
    size_t end = at;
    if (line[at] == '"') {
      end = line.find('"', at + 1);
      end = end == line.npos ? line.size() : end + 1;
    } else {
      while (end < line.size() && line[end] != ' ' && line[end] != '\t') ++end;
    }
    words.emplace_back(line.substr(at, end - at));
    at = end;
  }
  return words;
}

std::string camel(std::string_view snake) {
  std::string out;
  bool upper = false;
  for (char c : snake) {
    if (c == '_') {
      upper = true;
    } else {
      out += upper && c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c;
      upper = false;
    }
  }
  return out;
}

class Parser {
 public:
  Parser(std::string_view path, std::string_view stem, std::string_view text)
      : path_(path), text_(text) {
    file_.stem = stem;
  }

  File run(std::optional<ParseError>& error) {
    while (!failed() && next_line()) parse_top_level();
    if (!failed() && !open_.empty()) fail("a struct is not closed by }");
    if (!failed()) close_message();
    if (failed()) error = ParseError{error_};
    return std::move(file_);
  }

 private:
  bool failed() const { return !error_.empty(); }
  void fail(std::string what) {
    if (error_.empty()) error_ = fmt::format("{}:{}: {}", path_, line_, what);
  }

  // Next line with words; its comment goes to doc_.
  bool next_line() {
    while (at_ < text_.size()) {
      size_t end = text_.find('\n', at_);
      if (end == text_.npos) end = text_.size();
      std::string_view line = text_.substr(at_, end - at_);
      at_ = end + 1;
      ++line_;
      size_t hash = line.find('#');
      doc_.clear();
      if (hash != line.npos) {
        std::string_view doc = line.substr(hash + 1);
        while (doc.starts_with(' ')) doc.remove_prefix(1);
        doc_ = doc;
        line = line.substr(0, hash);
      }
      words_ = split_words(line);
      word_ = 0;
      if (!words_.empty()) return true;
      if (!doc_.empty() && !in_message_) file_.doc += (file_.doc.empty() ? "" : "\n") + doc_;
    }
    return false;
  }
  bool more() const { return word_ < words_.size(); }
  std::string peek() const { return more() ? words_[word_] : std::string(); }
  std::string take() {
    if (!more()) {
      fail("the line ends too early");
      return {};
    }
    return words_[word_++];
  }
  bool take_if(std::string_view word) {
    if (peek() != word) return false;
    ++word_;
    return true;
  }
  int take_int() {
    std::string word = take();
    int value = 0;
    auto [end, bad] = std::from_chars(word.data(), word.data() + word.size(), value);
    if (bad != std::errc() || end != word.data() + word.size()) fail("not a number: " + word);
    return value;
  }
  // "3", "3..", "3..7"
  Versions parse_versions(std::string_view word) {
    Versions versions;
    size_t dots = word.find("..");
    std::string_view from = word.substr(0, dots);
    auto parse_int = [&](std::string_view digits, int& out) {
      auto [end, bad] = std::from_chars(digits.data(), digits.data() + digits.size(), out);
      if (bad != std::errc() || end != digits.data() + digits.size())
        fail(fmt::format("not a version range: {}", word));
    };
    parse_int(from, versions.from);
    if (dots == word.npos)
      versions.to = versions.from;
    else if (dots + 2 < word.size())
      parse_int(word.substr(dots + 2), versions.to);
    return versions;
  }

  void parse_top_level() {
    std::string word = take();
    if (word == "dialect") {
      std::string name = take();
      if (name != "jute" && name != "kafka") fail("unknown dialect " + name);
      file_.dialect = name == "jute" ? Dialect::jute : Dialect::kafka;
    } else if (word == "request" || word == "response" || word == "header" || word == "record") {
      close_message();
      begin_message(word);
    } else if (!in_message_) {
      fail("expected request, response, header, record or dialect, not " + word);
    } else if (word == "struct") {
      Struct shared;
      shared.name = take();
      shared.versions = message_.versions;
      if (take() != "{") fail("expected {");
      parse_block(shared);
      add_struct(std::move(shared));
    } else {
      --word_;
      parse_field(message_.root);
    }
  }

  void begin_message(std::string_view kind) {
    message_ = Message{};
    message_.kind = kind == "request"    ? MessageKind::request
                    : kind == "response" ? MessageKind::response
                    : kind == "header"   ? MessageKind::header
                                         : MessageKind::record;
    message_.api = take();
    message_.doc = doc_;
    while (more() && !failed()) {
      std::string word = take();
      if (word == "key")
        message_.key = take_int();
      else if (word == "versions")
        message_.versions = parse_versions(take());
      else if (word == "flexible")
        message_.flexible_from = parse_versions(take()).from;
      else
        fail("unknown word " + word);
    }
    if (message_.kind == MessageKind::response)
      for (const Message& other : file_.messages)
        if (other.api == message_.api) message_.key = other.key;
    message_.root.name = message_.class_name();
    message_.root.versions = message_.versions;
    in_message_ = true;
  }
  void close_message() {
    if (!in_message_) return;
    file_.messages.push_back(std::move(message_));
    in_message_ = false;
  }

  void add_struct(Struct structure) {
    if (message_.find(structure.name)) fail("struct " + structure.name + " is declared twice");
    message_.structs.push_back(std::move(structure));
  }

  void parse_block(Struct& structure) {
    open_.push_back(structure.name);
    while (!failed() && next_line()) {
      if (take_if("}")) {
        open_.pop_back();
        return;
      }
      parse_field(structure);
    }
  }

  void parse_type(Field& field, std::string_view word) {
    if (word.ends_with('?')) {
      field.nullable = true;
      word.remove_suffix(1);
    }
    if (word.starts_with('[') && word.ends_with(']')) {
      field.is_array = true;
      word = word.substr(1, word.size() - 2);
    }
    for (auto [name, type] : kTypeWords) {
      if (word == name) {
        field.type = type;
        return;
      }
    }
    if (word.empty() || word[0] < 'A' || word[0] > 'Z') fail(fmt::format("unknown type {}", word));
    field.type = Type::structure;
    field.struct_name = word;
  }

  void parse_field(Struct& owner) {
    Field field;
    field.name = take();
    field.json_name = camel(field.name);
    field.doc = doc_;
    if (std::find(std::begin(kReserved), std::end(kReserved), field.name) != std::end(kReserved))
      fail("field name " + field.name + " is a word of the generated code");
    parse_type(field, take());
    field.versions = owner.versions;
    bool null_given = false;
    bool block = false;
    while (more() && !failed()) {
      std::string word = take();
      if (word == "{") {
        block = true;
      } else if (word == "as") {
        field.as = take();
      } else if (word == "tag") {
        field.tag = take_int();
      } else if (word == "null") {
        field.null_versions = parse_versions(take());
        null_given = true;
      } else if (word == "=") {
        field.default_value = take();
      } else if (word == "json") {
        field.json_name = take();
      } else if (word == "ignorable") {
        field.ignorable = true;
      } else if (word == "secret") {
        field.secret = true;
      } else if (word == "inflexible") {
        field.inflexible = true;
      } else if (word == "trailing") {
        field.trailing = true;
      } else if (word.size() > 1 && word[0] == 'v' && word[1] >= '0' && word[1] <= '9') {
        field.versions = parse_versions(std::string_view(word).substr(1)).intersect(owner.versions);
        if (field.versions.empty()) fail("field " + field.name + " is in no version");
      } else {
        fail("unknown word " + word);
      }
    }
    finish_null_rules(field, null_given);
    if (block && !failed()) {
      Struct nested;
      nested.name = field.struct_name;
      nested.versions = field.versions;
      parse_block(nested);
      add_struct(std::move(nested));
    } else if (field.type == Type::structure && !failed()) {
      check_reference(field);
    }
    for (const Field& other : owner.fields)
      if (other.name == field.name) fail("field " + field.name + " is declared twice");
    owner.fields.push_back(std::move(field));
  }

  void finish_null_rules(Field& field, bool null_given) {
    if (file_.dialect == Dialect::jute) {
      // Any string, buffer or vector may be null there.
      field.nullable = field.type == Type::string || field.type == Type::bytes || field.is_array;
    }
    if (field.nullable) field.null_versions = null_given ? field.null_versions : field.versions;
    if (field.default_value == "null" || file_.dialect == Dialect::jute) {
      field.default_null = field.nullable;
      if (field.default_value == "null") field.default_value.clear();
    }
    if (field.nullable && field.type == Type::structure && !field.is_array &&
        !field.null_versions.contains(field.versions))
      fail("a nullable struct must be nullable in all versions it is in");
    if (field.tag >= 0 && field.versions.from < message_.flexible_from)
      fail("a tagged field needs flexible versions");
  }

  void check_reference(const Field& field) {
    if (message_.find(field.struct_name)) return;
    if (file_.dialect == Dialect::jute)
      for (const Message& earlier : file_.messages)
        if (earlier.root.name == field.struct_name) return;
    fail("unknown struct " + field.struct_name);
  }

  std::string path_;
  std::string_view text_;
  size_t at_ = 0;
  int line_ = 0;
  std::vector<std::string> words_;
  size_t word_ = 0;
  std::string doc_;
  std::string error_;
  File file_;
  Message message_;
  bool in_message_ = false;
  std::vector<std::string> open_;
};

}  // namespace

std::string Message::class_name() const {
  switch (kind) {
    case MessageKind::request:
      return api + "Request";
    case MessageKind::response:
      return api + "Response";
    case MessageKind::header:
      return api + "Header";
    case MessageKind::record:
      break;
  }
  return api;
}

const Struct* Message::find(std::string_view name) const {
  for (const Struct& nested : structs)
    if (nested.name == name) return &nested;
  return nullptr;
}

std::string_view type_word(Type type) {
  for (auto [word, value] : kTypeWords)
    if (value == type) return word;
  return "struct";
}

const Struct& resolve(const File& file, const Message& message, std::string_view name) {
  if (const Struct* nested = message.find(name)) return *nested;
  for (const Message& other : file.messages)
    if (other.root.name == name) return other.root;
  return message.root;  // the parser has refused unknown names
}

int min_wire_bytes(const File& file, const Message& message, const Struct& structure, int version) {
  int total = version >= message.flexible_from ? 1 : 0;
  for (const Field& field : structure.fields)
    if (field.tag < 0 && !field.trailing && field.versions.contains(version))
      total += min_wire_bytes(file, message, field, version);
  return total;
}

int min_wire_bytes(const File& file, const Message& message, const Field& field, int version) {
  bool flexible = version >= message.flexible_from && !field.inflexible;
  if (field.is_array) return flexible ? 1 : 4;
  switch (field.type) {
    case Type::boolean:
    case Type::i8:
      return 1;
    case Type::i16:
    case Type::u16:
      return 2;
    case Type::i32:
    case Type::u32:
      return 4;
    case Type::i64:
    case Type::f64:
      return 8;
    case Type::uuid:
      return 16;
    case Type::string:
      return flexible ? 1 : file.dialect == Dialect::jute ? 4 : 2;
    case Type::bytes:
    case Type::records:
      return flexible ? 1 : 4;
    case Type::structure:
      return field.nullable ? 1
                            : min_wire_bytes(file, message,
                                             resolve(file, message, field.struct_name), version);
  }
  return 1;
}

File parse(std::string_view path, std::string_view stem, std::string_view text,
           std::optional<ParseError>& error) {
  return Parser(path, stem, text).run(error);
}

}  // namespace ottla::wiregen
