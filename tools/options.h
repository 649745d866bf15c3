// Command-line options as Apache's tools take them (they use jopt-simple): --name value,
// --name=value, any unambiguous beginning of a name, options repeated for lists. Also the help
// table and the texts of refusals, which scripts have learned to read. Nothing here exits or
// prints.
#pragma once

#include <cstdint>
#include <expected>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ottla::tools {

struct OptionSpec {
  enum class Argument { none, required, optional };
  enum class Type { text, integer, long_integer };
  std::string name;
  std::string help;
  Argument argument = Argument::none;
  std::string described_as;
  Type type = Type::text;
  std::string default_value;
};

// What was given. Of options with a default, has() is about the command line, value() is not.
class Options {
 public:
  bool has(std::string_view name) const { return values_.contains(name); }
  // The only value given, else the default, else empty.
  std::string value(std::string_view name) const;
  std::optional<std::string> given(std::string_view name) const;
  std::vector<std::string> values(std::string_view name) const;
  int64_t number(std::string_view name) const;
  const std::vector<std::string>& rest() const { return rest_; }

 private:
  friend class OptionParser;
  std::map<std::string, std::vector<std::string>, std::less<>> values_;
  std::map<std::string, std::string, std::less<>> defaults_;
  std::vector<std::string> rest_;
};

class OptionParser {
 public:
  // --help and --version are always there.
  explicit OptionParser(std::vector<OptionSpec> specs);
  std::expected<Options, std::string> parse(std::span<const std::string> args) const;
  // The table of options, 80 columns wide.
  std::string help() const;

 private:
  std::expected<const OptionSpec*, std::string> find(std::string_view name) const;
  std::map<std::string, OptionSpec, std::less<>> specs_;
};

// "[a]", as jopt-simple prints an option in messages.
std::string bracketed(std::string_view name);
// key=value pairs of --property and its kin; an error names the bad one.
std::expected<std::map<std::string, std::string>, std::string> key_values(
    const std::vector<std::string>& args);
// A Java .properties file; an error says which, and what is wrong.
std::expected<std::map<std::string, std::string>, std::string> load_properties(
    const std::string& path);

}  // namespace ottla::tools
