#include "tools/options.h"

#include <fmt/core.h>

#include <charconv>
#include <fstream>
#include <sstream>

#include "common/config/properties.h"

namespace ottla::tools {
namespace {

constexpr size_t kWidth = 80;
constexpr size_t kColumn = 39;

bool is_number(std::string_view text, OptionSpec::Type type) {
  if (!text.empty() && text[0] == '+') text.remove_prefix(1);
  int64_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return false;
  return type == OptionSpec::Type::long_integer || (value >= INT32_MIN && value <= INT32_MAX);
}

std::string_view type_name(OptionSpec::Type type) {
  switch (type) {
    case OptionSpec::Type::text:
      return "String";
    case OptionSpec::Type::integer:
      return "Integer";
    case OptionSpec::Type::long_integer:
      return "Long";
  }
  return "";
}

std::vector<std::string> wrap(std::string_view text, size_t width) {
  std::vector<std::string> lines;
  std::istringstream input{std::string(text)};
  std::string paragraph;
  while (std::getline(input, paragraph)) {
    std::string line;
    std::istringstream words(paragraph);
    std::string word;
    while (words >> word) {
      if (!line.empty() && line.size() + 1 + word.size() > width) {
        lines.push_back(std::move(line));
        line = "  ";
      } else if (!line.empty()) {
        line += ' ';
      }
      line += word;
    }
    lines.push_back(std::move(line));
  }
  return lines;
}

void row(std::string& out, std::string_view left, std::string_view right) {
  auto lefts = wrap(left, kColumn - 1);
  auto rights = wrap(right, kWidth - kColumn - 3);
  for (size_t i = 0; i < std::max(lefts.size(), rights.size()); ++i)
    out += fmt::format("{:<39}  {:<39}\n", i < lefts.size() ? lefts[i] : "",
                       i < rights.size() ? rights[i] : "");
}

}  // namespace

std::string Options::value(std::string_view name) const {
  auto at = values_.find(name);
  if (at != values_.end() && !at->second.empty()) return at->second.front();
  auto fallback = defaults_.find(name);
  return fallback == defaults_.end() ? std::string() : fallback->second;
}

std::optional<std::string> Options::given(std::string_view name) const {
  if (!has(name)) return std::nullopt;
  return value(name);
}

std::vector<std::string> Options::values(std::string_view name) const {
  auto at = values_.find(name);
  return at == values_.end() ? std::vector<std::string>() : at->second;
}

int64_t Options::number(std::string_view name) const {
  std::string text = value(name);
  return text.empty() ? 0 : std::strtoll(text.c_str(), nullptr, 10);
}

OptionParser::OptionParser(std::vector<OptionSpec> specs) {
  for (OptionSpec& spec : specs) {
    std::string name = spec.name;
    specs_.emplace(std::move(name), std::move(spec));
  }
  specs_.emplace("help", OptionSpec{.name = "help", .help = "Print usage information."});
  specs_.emplace("version", OptionSpec{.name = "version", .help = "Display the version."});
}

std::expected<const OptionSpec*, std::string> OptionParser::find(std::string_view name) const {
  auto exact = specs_.find(name);
  if (exact != specs_.end()) return &exact->second;
  const OptionSpec* found = nullptr;
  for (const auto& [known, spec] : specs_) {
    if (!known.starts_with(name)) continue;
    if (found != nullptr)
      return std::unexpected(fmt::format("{} is not a recognized option", name));
    found = &spec;
  }
  if (found == nullptr || name.empty())
    return std::unexpected(fmt::format("{} is not a recognized option", name));
  return found;
}

std::expected<Options, std::string> OptionParser::parse(std::span<const std::string> args) const {
  Options options;
  for (const auto& [name, spec] : specs_)
    if (!spec.default_value.empty()) options.defaults_[name] = spec.default_value;
  for (size_t i = 0; i < args.size(); ++i) {
    std::string_view arg = args[i];
    if (arg == "--") {
      options.rest_.insert(options.rest_.end(), args.begin() + static_cast<ptrdiff_t>(i) + 1,
                           args.end());
      break;
    }
    if (!arg.starts_with("-") || arg == "-") {
      options.rest_.emplace_back(arg);
      continue;
    }
    arg.remove_prefix(arg.starts_with("--") ? 2 : 1);
    size_t equals = arg.find('=');
    auto found = find(arg.substr(0, equals));
    if (!found) return std::unexpected(found.error());
    const OptionSpec& spec = **found;
    std::vector<std::string>& values = options.values_[spec.name];
    if (spec.argument == OptionSpec::Argument::none) continue;
    std::optional<std::string> value;
    if (equals != std::string_view::npos) {
      value = std::string(arg.substr(equals + 1));
    } else if (i + 1 < args.size() &&
               (spec.argument == OptionSpec::Argument::required || !args[i + 1].starts_with("-"))) {
      // A required argument may look like an option ("--shift-by -10"), unless it is one.
      bool is_option = args[i + 1].starts_with("--") && find(args[i + 1].substr(2)).has_value();
      if (!is_option) value = args[++i];
    }
    if (!value && spec.argument == OptionSpec::Argument::required)
      return std::unexpected(fmt::format("Option {} requires an argument", spec.name));
    if (!value) continue;
    if (spec.type != OptionSpec::Type::text && !is_number(*value, spec.type))
      return std::unexpected(
          fmt::format("Cannot parse argument '{}' of option {}", *value, spec.name));
    values.push_back(std::move(*value));
  }
  return options;
}

std::string OptionParser::help() const {
  std::string out;
  row(out, "Option", "Description");
  row(out, "------", "-----------");
  for (const auto& [name, spec] : specs_) {
    std::string left = "--" + name;
    if (spec.argument != OptionSpec::Argument::none) {
      bool is_optional = spec.argument == OptionSpec::Argument::optional;
      std::string about = spec.described_as.empty() ? "" : ": " + spec.described_as;
      left += fmt::format(" {}{}{}{}", is_optional ? '[' : '<', type_name(spec.type), about,
                          is_optional ? ']' : '>');
    }
    std::string right = spec.help;
    if (!spec.default_value.empty()) right += fmt::format(" (default: {})", spec.default_value);
    row(out, left, right);
  }
  return out;
}

std::string bracketed(std::string_view name) { return fmt::format("[{}]", name); }

std::expected<std::map<std::string, std::string>, std::string> key_values(
    const std::vector<std::string>& args) {
  std::map<std::string, std::string> pairs;
  for (const std::string& arg : args) {
    size_t equals = arg.find('=');
    if (equals == 0)
      return std::unexpected(fmt::format("Invalid command line properties: {}", arg));
    // A key alone has the empty value, as with Apache's tools.
    pairs[arg.substr(0, equals)] = equals == std::string::npos ? "" : arg.substr(equals + 1);
  }
  return pairs;
}

std::expected<std::map<std::string, std::string>, std::string> load_properties(
    const std::string& path) {
  std::ifstream file(path);
  if (!file) return std::unexpected(fmt::format("{} (No such file or directory)", path));
  std::string text(std::istreambuf_iterator<char>(file), {});
  auto parsed = config::Properties::parse(text, path);
  if (!parsed) return std::unexpected(parsed.error().context);
  std::map<std::string, std::string> properties;
  for (const auto& entry : parsed->entries()) properties[entry.key] = entry.value;
  return properties;
}

}  // namespace ottla::tools
