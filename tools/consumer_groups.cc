// kafka-consumer-groups: list, describe and delete groups; reset and delete their offsets. A verb
// is a file; here are the list, and which verb it is.
#include "tools/consumer_groups.h"

#include <fmt/core.h>

#include <algorithm>
#include <sstream>

#include "tools/report.h"
#include "tools/tools.h"

namespace ottla::tools {
namespace consumer_groups {

void print_error(std::string_view message) { fmt::print("\nError: {}\n", message); }

// A refusal that is told with the usage.
std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  std::istringstream input(text);
  std::string part;
  while (std::getline(input, part, separator)) {
    size_t first = part.find_first_not_of(' ');
    parts.push_back(first == std::string::npos
                        ? ""
                        : part.substr(first, part.find_last_not_of(' ') - first + 1));
  }
  return parts;
}

namespace {

std::string lower(std::string text) {
  for (char& c : text) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return text;
}

Outcome<void> list(AdminClient& client, const Options& options) {
  bool with_state = options.has("state");
  bool with_type = options.has("type");
  std::vector<std::string> states;
  for (const std::string& given : split(options.value("state"), ',')) {
    static constexpr std::string_view kStates[] = {
        "PreparingRebalance", "CompletingRebalance", "Stable", "Dead", "Empty",
        "Assigning",          "Reconciling"};
    auto known = std::find_if(std::begin(kStates), std::end(kStates), [&](std::string_view state) {
      return lower(std::string(state)) == lower(given);
    });
    if (known == std::end(kStates))
      return std::unexpected(
          illegal(fmt::format("Invalid state list '{}'. Valid states are: PreparingRebalance, "
                              "CompletingRebalance, Stable, "
                              "Dead, Empty, Assigning, Reconciling",
                              options.value("state"))));
    states.emplace_back(*known);
  }
  std::vector<std::string> types;
  for (const std::string& given : split(options.value("type"), ',')) {
    if (lower(given) != "consumer" && lower(given) != "classic" && lower(given) != "share")
      return std::unexpected(
          illegal(fmt::format("Invalid types list '{}'. Valid types are: Consumer, Classic, Share",
                              lower(options.value("type")))));
    types.push_back(lower(given));
  }
  auto groups = list_groups(client, states, types);
  if (!groups) return std::unexpected(groups.error());
  size_t width = 15;
  for (const Listed& group : *groups) width = std::max(width, group.id.size());
  width += 10;
  auto line = [&](const std::string& id, const std::string& type, const std::string& state) {
    fmt::print("{}{}{}\n", with_type || with_state ? pad(id, width) : id,
               with_type ? " " + pad(type, 20) : "", with_state ? " " + pad(state, 20) : "");
  };
  if (with_type || with_state) line("GROUP", "TYPE", "STATE");
  for (const Listed& group : *groups) {
    std::string type = group.type;
    if (!type.empty() && type[0] >= 'a' && type[0] <= 'z')
      type[0] = static_cast<char>(type[0] - 'a' + 'A');
    line(group.id, type, group.state);
  }
  return {};
}

Outcome<void> run(AdminClient& client, const Options& options) {
  if (options.has("list")) return list(client, options);
  if (options.has("delete-offsets")) return delete_offsets(client, options);
  std::vector<std::string> group_ids = options.values("group");
  if (options.has("all-groups")) {
    auto groups = list_groups(client, {}, {});
    if (!groups) return std::unexpected(groups.error());
    group_ids.clear();
    for (const Listed& group : *groups) group_ids.push_back(group.id);
  }
  if (options.has("describe")) return describe(client, options, group_ids);
  if (options.has("delete")) return delete_groups(client, group_ids);
  return reset(client, options, group_ids);
}

}  // namespace
}  // namespace consumer_groups

int consumer_groups_main(std::span<const std::string> args) {
  using namespace consumer_groups;
  auto parsed = parser().parse(args);
  if (!parsed) return usage(parser(), parsed.error());
  const Options& options = *parsed;
  if (auto done =
          help_or_version(parser(), options, args.empty(),
                          "This tool helps to list all consumer groups, describe a consumer "
                          "group, delete consumer group info, or reset consumer group "
                          "offsets."))
    return *done;
  if (auto message = check(options)) return usage(parser(), *message);
  int actions = 0;
  for (std::string_view action : {"list", "describe", "delete", "reset-offsets", "delete-offsets"})
    actions += options.has(action) ? 1 : 0;
  if (actions != 1)
    return usage(parser(),
                 "Command must include exactly one action: --list, --describe, --delete, "
                 "--reset-offsets, --delete-offsets");
  auto config = client_config(options);
  if (!config) {
    print_error(config.error().message);
    return 1;
  }
  config->api_timeout_ms = options.number("timeout");
  AdminClient client(std::move(*config));
  auto done = run(client, options);
  if (done) return 0;
  std::fflush(stdout);
  if (done.error().exception == kIllegal) return usage(parser(), done.error().message);
  // Apache's tool ends with 0 here as well.
  print_error(fmt::format("Executing consumer group command failed due to {}: {}",
                          done.error().exception, done.error().message));
  return 0;
}

}  // namespace ottla::tools
