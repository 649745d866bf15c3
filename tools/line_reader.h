// Records from lines of text, as the console producer's standard reader makes them:
// [headers TAB] [key TAB] value, all separators settable.
#pragma once

#include <expected>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ottla::tools {

struct LineRecord {
  std::optional<std::string> key;
  std::optional<std::string> value;
  std::vector<std::pair<std::string, std::optional<std::string>>> headers;
};

class LineReader {
 public:
  // properties: parse.key, key.separator, parse.headers, headers.delimiter, headers.separator,
  // headers.key.separator, ignore.error, null.marker; others mean nothing to it.
  static std::expected<LineReader, std::string> make(
      const std::map<std::string, std::string>& properties);
  std::expected<LineRecord, std::string> parse(std::string_view line);

 private:
  std::expected<std::optional<std::string>, std::string> cut(std::string_view line, size_t from,
                                                             const std::string& separator,
                                                             std::string_view name) const;
  std::expected<void, std::string> split_headers(std::string_view text, LineRecord& record) const;

  bool parse_key_ = false;
  std::string key_separator_ = "\t";
  bool parse_headers_ = false;
  std::string headers_delimiter_ = "\t";
  std::string headers_separator_ = ",";
  std::string headers_key_separator_ = ":";
  bool ignore_error_ = false;
  std::optional<std::string> null_marker_;
  size_t line_number_ = 0;
};

}  // namespace ottla::tools
