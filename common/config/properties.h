// The Java properties format, as servers and tools of both Apache projects read it.
// Source: the documented grammar of java.util.Properties.load.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"

namespace ottla::config {

class Properties {
 public:
  struct Entry {
    std::string key, value;
    std::string source;  // file name, or "--override", for error lines
    int line = 0;        // 0: not from a file
  };

  // Comments (# and !), continuation lines, escapes and \uXXXX; a later entry of a key wins. The only
  // error is a malformed \u escape.
  static Result<Properties> parse(std::string_view text, const std::string& source);

  // Replaces; line 0 when not from a file.
  void set(std::string key, std::string value, std::string source, int line = 0);
  const Entry* find(std::string_view key) const;
  std::optional<std::string> get(std::string_view key) const;
  const std::vector<Entry>& entries() const { return entries_; }  // in order of last appearance

 private:
  std::vector<Entry> entries_;
};

}  // namespace ottla::config
