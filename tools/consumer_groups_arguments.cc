// kafka-consumer-groups.sh: the command line, and what of it does not go together.
#include <fmt/core.h>

#include "tools/consumer_groups.h"
#include "tools/report.h"

namespace ottla::tools::consumer_groups {
namespace {

using Argument = OptionSpec::Argument;
using Type = OptionSpec::Type;

constexpr std::string_view kScenarios[] = {"to-offset",   "shift-by",  "to-datetime", "by-duration",
                                           "to-earliest", "to-latest", "to-current",  "from-file"};

}  // namespace

const OptionParser& parser() {
  static const OptionParser instance({
      {"all-groups", "All groups there are."},
      {"all-topics", "With --reset-offsets: every topic the group has offsets for."},
      {"bootstrap-server", "REQUIRED: where to reach the cluster, as host:port,host:port.",
       Argument::required, "server to connect to"},
      {"by-duration", "Reset to what was so long ago: PnDTnHnMnS.", Argument::required, "duration"},
      {"command-config", "A properties file with settings of the client.", Argument::required,
       "command config property file"},
      {"delete", "Delete groups and their offsets; a group with members is left alone."},
      {"delete-offsets", "Delete the offsets of topics (--topic)."},
      {"describe", "Show offsets and lag, or members, or states."},
      {"dry-run", "With --reset-offsets: only show what would be."},
      {"execute", "With --reset-offsets: do it."},
      {"export", "With --reset-offsets: print as CSV."},
      {"from-file", "Reset to the offsets of a CSV file.", Argument::required, "path to CSV file"},
      {"group", "The group. May be repeated.", Argument::required, "consumer group"},
      {"list", "List the groups."},
      {"members", "With --describe: the members."},
      {"offsets", "With --describe: offsets and lag; what is shown without more."},
      {"reset-offsets",
       "Set the offsets of a group without members. Scope: --topic or --all-topics; target: one of "
       "the "
       "--to options, --shift-by, --by-duration, --from-file."},
      {"shift-by", "Reset by so many records, forwards or (negative) backwards.",
       Argument::required, "number-of-offsets", Type::long_integer},
      {"state", "With --describe: the state; with --list: show it, or only groups in these states.",
       Argument::optional, ""},
      {"timeout", "Milliseconds until an operation is given up.", Argument::required,
       "timeout (ms)", Type::long_integer, "5000"},
      {"to-current", "Reset to what is committed, or to the end."},
      {"to-datetime", "Reset to a time: YYYY-MM-DDTHH:mm:SS.sss.", Argument::required, "datetime"},
      {"to-earliest", "Reset to the first record there is."},
      {"to-latest", "Reset to the end."},
      {"to-offset", "Reset to this offset.", Argument::required, "offset", Type::long_integer},
      {"topic", "A topic, or topic:0,1,2 for some of its partitions. May be repeated.",
       Argument::required, "topic"},
      {"type", "With --list: show the type, or only groups of these types.", Argument::optional,
       ""},
      {"verbose", "With --describe --members: the partitions of each."},
  });
  return instance;
}

std::optional<std::string> check(const Options& options) {
  if (!options.has("bootstrap-server"))
    return fmt::format("Missing required argument \"{}\"", bracketed("bootstrap-server"));
  bool has_group = options.has("group") || options.has("all-groups");
  if (options.has("describe")) {
    if (!has_group)
      return "Option [describe] takes one of these options: [reset-offsets], [describe], [delete], "
             "[list]";
    if (options.has("members") + options.has("offsets") + options.has("state") > 1)
      return "Option [describe] takes at most one of these options: [members], [offsets], [state]";
    if (!options.value("state").empty())
      return "Option [describe] does not take a value for [state]";
  }
  if (options.has("delete")) {
    if (!has_group) return "Option [delete] takes one of these options: [all-groups], [group]";
    if (options.has("topic"))
      return "The consumer does not support topic-specific offset deletion from a consumer group.";
  }
  if (options.has("delete-offsets") && (!options.has("group") || !options.has("topic")))
    return "Option [delete-offsets] takes the following options: [all-groups], [group]";
  if (options.has("reset-offsets")) {
    if (options.has("dry-run") && options.has("execute"))
      return "Option [reset-offsets] only accepts one of [execute] and [dry-run]";
    if (!options.has("dry-run") && !options.has("execute"))
      fmt::print(
          stderr,
          "WARN: No action will be performed as the --execute option is missing."
          "In a future major release, the default behavior of this command will be to prompt the "
          "user before executing the reset rather than doing a dry run. You should add the "
          "--dry-run option explicitly if you are scripting this command and want to keep the "
          "current default behavior without prompting.\n");
    if (!has_group)
      return "Option [reset-offsets] takes one of these options: [all-groups], [group]";
    std::string_view first;
    for (std::string_view scenario : kScenarios) {
      if (!options.has(scenario)) continue;
      if (!first.empty())
        return fmt::format("Option \"{}\" can't be used with option \"{}\"", bracketed(first),
                           bracketed(scenario));
      first = scenario;
    }
    if (first.empty()) {
      std::string all;
      for (std::string_view scenario : kScenarios)
        all += (all.empty() ? "" : ", ") + bracketed(scenario);
      return fmt::format("Option '[reset-offsets]' requires one of the following scenarios: [{}]",
                         all);
    }
  }
  for (const auto& [option, other] : {std::pair{"group", "all-groups"},
                                      {"group", "list"},
                                      {"topic", "list"},
                                      {"topic", "describe"}})
    if (options.has(option) && options.has(other))
      return fmt::format("Option \"{}\" can't be used with option \"{}\"", bracketed(option),
                         bracketed(other));
  return std::nullopt;
}

}  // namespace ottla::tools::consumer_groups
