#include "common/config/properties.h"

#include <fmt/core.h>

namespace ottla::config {
namespace {

bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\f'; }
bool ends_line(char c) { return c == '\n' || c == '\r'; }

void append_utf8(std::string& out, uint32_t code) {
  auto put = [&](uint32_t byte) { out += static_cast<char>(byte); };
  if (code < 0x80) {
    put(code);
  } else if (code < 0x800) {
    put(0xc0 | code >> 6);
    put(0x80 | (code & 0x3f));
  } else if (code < 0x10000) {
    put(0xe0 | code >> 12);
    put(0x80 | (code >> 6 & 0x3f));
    put(0x80 | (code & 0x3f));
  } else {
    put(0xf0 | code >> 18);
    put(0x80 | (code >> 12 & 0x3f));
    put(0x80 | (code >> 6 & 0x3f));
    put(0x80 | (code & 0x3f));
  }
}

class Parser {
 public:
  Parser(std::string_view text, std::string source) : text_(text), source_(std::move(source)) {}

  Result<Properties> run() {
    Properties out;
    while (skip_to_entry()) {
      int line = line_;
      std::string key, value;
      OTTLA_TRY(read_until(key, true));
      skip_separator();
      OTTLA_TRY(read_until(value, false));
      out.set(std::move(key), std::move(value), source_, line);
    }
    return out;
  }

 private:
  bool more() const { return at_ < text_.size(); }
  char peek() const { return text_[at_]; }

  void end_of_line() {
    if (peek() == '\r' && at_ + 1 < text_.size() && text_[at_ + 1] == '\n') ++at_;
    ++at_;
    ++line_;
  }

  // Skips blank and comment lines; false at the end of the text.
  bool skip_to_entry() {
    while (more()) {
      if (is_blank(peek())) {
        ++at_;
      } else if (ends_line(peek())) {
        end_of_line();
      } else if (peek() == '#' || peek() == '!') {
        while (more() && !ends_line(peek())) ++at_;
      } else {
        return true;
      }
    }
    return false;
  }

  void skip_separator() {
    auto skip_blanks = [&] {
      while (more() && (is_blank(peek()) || at_continuation()))
        if (is_blank(peek()))
          ++at_;
        else
          take_continuation();
    };
    skip_blanks();
    if (more() && (peek() == '=' || peek() == ':')) {
      ++at_;
      skip_blanks();
    }
  }

  bool at_continuation() const {
    return text_[at_] == '\\' && at_ + 1 < text_.size() && ends_line(text_[at_ + 1]);
  }
  void take_continuation() {
    ++at_;
    end_of_line();
    while (more() && is_blank(peek())) ++at_;
  }

  Result<void> read_until(std::string& out, bool is_key) {
    while (more() && !ends_line(peek())) {
      char c = peek();
      if (is_key && (c == '=' || c == ':' || is_blank(c))) return {};
      if (c != '\\') {
        out += c;
        ++at_;
      } else if (at_continuation()) {
        take_continuation();
      } else {
        OTTLA_TRY(escape(out));
      }
    }
    return {};
  }

  Result<void> escape(std::string& out) {
    ++at_;  // the backslash; one at the very end of the text stands for nothing
    if (!more()) return {};
    char c = text_[at_++];
    switch (c) {
      case 't': out += '\t'; return {};
      case 'n': out += '\n'; return {};
      case 'r': out += '\r'; return {};
      case 'f': out += '\f'; return {};
      case 'u': break;
      default: out += c; return {};
    }
    OTTLA_ASSIGN(uint32_t code, hex4());
    if (code >= 0xd800 && code < 0xdc00 && text_.substr(at_, 2) == "\\u") {
      size_t second = at_;
      at_ += 2;
      OTTLA_ASSIGN(uint32_t low, hex4());
      if (low >= 0xdc00 && low < 0xe000)
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
      else
        at_ = second;  // no pair: an escape of its own
    }
    // Half a pair has no UTF-8; Java writes it so too.
    append_utf8(out, code >= 0xd800 && code < 0xe000 ? '?' : code);
    return {};
  }

  Result<uint32_t> hex4() {
    uint32_t code = 0;
    for (int i = 0; i < 4; ++i) {
      char c = more() ? text_[at_++] : 'x';
      uint32_t digit = c >= '0' && c <= '9'   ? static_cast<uint32_t>(c - '0')
                       : c >= 'a' && c <= 'f' ? static_cast<uint32_t>(c - 'a' + 10)
                       : c >= 'A' && c <= 'F' ? static_cast<uint32_t>(c - 'A' + 10)
                                              : 16;
      if (digit == 16)
        return fail(Errc::invalid,
                    fmt::format("{}: line {}: \\u must be followed by four hex digits", source_, line_));
      code = code * 16 + digit;
    }
    return code;
  }

  std::string_view text_;
  std::string source_;
  size_t at_ = 0;
  int line_ = 1;
};

}  // namespace

Result<Properties> Properties::parse(std::string_view text, const std::string& source) {
  return Parser(text, source).run();
}

void Properties::set(std::string key, std::string value, std::string source, int line) {
  std::erase_if(entries_, [&](const Entry& entry) { return entry.key == key; });
  entries_.push_back({std::move(key), std::move(value), std::move(source), line});
}

const Properties::Entry* Properties::find(std::string_view key) const {
  for (const Entry& entry : entries_)
    if (entry.key == key) return &entry;
  return nullptr;
}

std::optional<std::string> Properties::get(std::string_view key) const {
  const Entry* entry = find(key);
  return entry ? std::optional(entry->value) : std::nullopt;
}

}  // namespace ottla::config
