// kafka-consumer-groups: list, describe and delete groups; reset and delete their offsets.
#include <fmt/core.h>
#include <time.h>

#include <algorithm>
#include <fstream>
#include <functional>
#include <set>
#include <sstream>

#include "proto/kafka/consumer_protocol.h"
#include "proto/kafka/delete_groups.h"
#include "proto/kafka/describe_groups.h"
#include "proto/kafka/list_groups.h"
#include "proto/kafka/list_offsets.h"
#include "proto/kafka/offset_commit.h"
#include "proto/kafka/offset_delete.h"
#include "proto/kafka/offset_fetch.h"
#include "tools/java_order.h"
#include "tools/report.h"
#include "tools/tools.h"

namespace ottla::tools {
namespace {

using kmsg::ErrorCode;
using Argument = OptionSpec::Argument;
using Type = OptionSpec::Type;
using TopicPartition = std::pair<std::string, int32_t>;
using Offsets = std::map<TopicPartition, int64_t>;
using Described = kmsg::DescribeGroupsResponse::DescribedGroup;

constexpr std::string_view kLogger = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand";
constexpr int64_t kLatest = -1;
constexpr int64_t kEarliest = -2;
constexpr std::string_view kScenarios[] = {"to-offset",   "shift-by",  "to-datetime", "by-duration",
                                           "to-earliest", "to-latest", "to-current",  "from-file"};

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

void print_error(std::string_view message) { fmt::print("\nError: {}\n", message); }

std::string lower(std::string text) {
  for (char& c : text) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return text;
}

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

// -- Asking the cluster
// ------------------------------------------------------------------------------

struct Listed {
  std::string id, state, type;
};

Outcome<std::vector<Listed>> list_groups(AdminClient& client, std::vector<std::string> states,
                                         std::vector<std::string> types) {
  auto nodes = client.nodes("listNodes");
  if (!nodes) return std::unexpected(nodes.error());
  kmsg::ListGroupsRequest request;
  request.states_filter = std::move(states);
  request.types_filter = std::move(types);
  std::map<std::string, Listed> found;
  for (const auto& [id, node] : *nodes) {
    auto response = client.broker<kmsg::ListGroupsResponse>("listConsumerGroups", id, request);
    if (!response) return std::unexpected(response.error());
    if (response->error_code != ErrorCode::none &&
        response->error_code != ErrorCode::coordinator_load_in_progress)
      return std::unexpected(failure_of(response->error_code));
    for (const auto& group : response->groups) {
      if (!group.protocol_type.empty() && group.protocol_type != "consumer") continue;
      found[group.group_id] = {group.group_id, group.group_state, group.group_type};
    }
  }
  std::vector<Listed> groups;
  for (auto& [id, group] : found) groups.push_back(std::move(group));
  java_map_order(groups, 0, [](const Listed& group) { return kmsg::java_string_hash(group.id); });
  return groups;
}

// A request to the group's coordinator; `error_of` finds the code that may say to ask elsewhere.
template <class Response, class Request, class ErrorOf>
Outcome<Response> ask(AdminClient& client, std::string_view call, const std::string& group_id,
                      const Request& request, int16_t highest, ErrorOf&& error_of) {
  int64_t deadline = client.deadline_ms();
  for (;;) {
    auto response = client.coordinator<Response>(call, group_id, request, highest);
    if (!response) return response;
    ErrorCode error = error_of(*response);
    bool again = error == ErrorCode::not_coordinator ||
                 error == ErrorCode::coordinator_not_available ||
                 error == ErrorCode::coordinator_load_in_progress;
    if (!again || !client.back_off(deadline)) return response;
  }
}

Outcome<Described> describe_group(AdminClient& client, const std::string& group_id) {
  kmsg::DescribeGroupsRequest request;
  request.groups = {group_id};
  auto response = ask<kmsg::DescribeGroupsResponse>(
      client, "describeConsumerGroups", group_id, request, request.kMaxVersion,
      [](const auto& answer) {
        return answer.groups.empty() ? ErrorCode::none : answer.groups[0].error_code;
      });
  if (!response) return std::unexpected(response.error());
  if (response->groups.empty()) return std::unexpected(failure_of(ErrorCode::unknown_server_error));
  Described& group = response->groups[0];
  if (group.error_code != ErrorCode::none) return std::unexpected(failure_of(group.error_code));
  return std::move(group);
}

Outcome<Offsets> committed_offsets(AdminClient& client, const std::string& group_id) {
  kmsg::OffsetFetchRequest request;
  request.group_id = group_id;
  request.topics.reset();
  auto response =
      ask<kmsg::OffsetFetchResponse>(client, "listConsumerGroupOffsets", group_id, request, 7,
                                     [](const auto& answer) { return answer.error_code; });
  if (!response) return std::unexpected(response.error());
  if (response->error_code != ErrorCode::none)
    return std::unexpected(failure_of(response->error_code));
  Offsets offsets;
  for (const auto& topic : response->topics)
    for (const auto& partition : topic.partitions)
      if (partition.error_code == ErrorCode::none && partition.committed_offset >= 0)
        offsets[{topic.name, partition.partition_index}] = partition.committed_offset;
  return offsets;
}

// Offsets for a time (or kLatest, kEarliest); partitions that cannot be asked are left out.
Outcome<Offsets> log_offsets(AdminClient& client, const std::vector<TopicPartition>& partitions,
                             int64_t timestamp) {
  Offsets offsets;
  if (partitions.empty()) return offsets;
  int64_t deadline = client.deadline_ms();
  std::set<TopicPartition> missing(partitions.begin(), partitions.end());
  for (;;) {
    std::set<std::string> names;
    for (const auto& [topic, partition] : missing) names.insert(topic);
    auto metadata = client.metadata("listOffsets", std::vector(names.begin(), names.end()));
    if (!metadata) return std::unexpected(metadata.error());
    std::map<int32_t, std::vector<TopicPartition>> by_leader;
    for (const auto& topic : metadata->topics)
      for (const auto& partition : topic.partitions)
        if (partition.leader_id >= 0 && missing.contains({*topic.name, partition.partition_index}))
          by_leader[partition.leader_id].emplace_back(*topic.name, partition.partition_index);
    bool may_come = !by_leader.empty();
    for (const auto& [leader, wanted] : by_leader) {
      kmsg::ListOffsetsRequest request;
      request.replica_id = -1;
      for (const auto& [topic, partition] : wanted) {
        if (request.topics.empty() || request.topics.back().name != topic)
          request.topics.emplace_back().name = topic;
        auto& asked = request.topics.back().partitions.emplace_back();
        asked.partition_index = partition;
        asked.timestamp = timestamp;
      }
      auto response = client.broker<kmsg::ListOffsetsResponse>("listOffsets", leader, request, 7);
      if (!response) return std::unexpected(response.error());
      for (const auto& topic : response->topics) {
        for (const auto& partition : topic.partitions) {
          if (partition.error_code != ErrorCode::none) continue;
          offsets[{topic.name, partition.partition_index}] = partition.offset;
          missing.erase({topic.name, partition.partition_index});
        }
      }
    }
    if (missing.empty() || !may_come || !client.back_off(deadline)) return offsets;
  }
}

std::vector<TopicPartition> assignment_of(
    const kmsg::DescribeGroupsResponse::DescribedGroupMember& member) {
  std::vector<TopicPartition> partitions;
  wire::Reader reader(as_bytes(member.member_assignment));
  int16_t version = reader.i16();
  kmsg::ConsumerProtocolAssignment assignment;
  version = std::min<int16_t>(version, kmsg::ConsumerProtocolAssignment::kMaxVersion);
  if (!reader.ok() || version < 0 || !assignment.decode(reader, version)) return partitions;
  for (const auto& topic : assignment.assigned_partitions)
    for (int32_t partition : topic.partitions) partitions.emplace_back(topic.topic, partition);
  return partitions;
}

// -- Describe
// ------------------------------------------------------------------------------------------

// What is to be said of a group's state first; false if there is nothing more to say.
bool introduce(const std::string& group_id, const std::string& state, size_t rows) {
  std::fflush(stdout);
  if (state == "Dead")
    print_error(fmt::format("Consumer group '{}' does not exist.", group_id));
  else if (state == "Empty")
    fmt::print(stderr, "\nConsumer group '{}' has no active members.\n", group_id);
  else if (state == "PreparingRebalance" || state == "CompletingRebalance")
    fmt::print(stderr, "\nWarning: Consumer group '{}' is rebalancing.\n", group_id);
  return state != "Dead" && rows > 0;
}

struct Row {
  TopicPartition partition;
  bool has_partition = true;
  std::string consumer = "-", host = "-", client = "-";
};

Outcome<void> describe_offsets(AdminClient& client, const std::string& group_id) {
  auto group = describe_group(client, group_id);
  if (!group) return std::unexpected(group.error());
  auto committed = committed_offsets(client, group_id);
  if (!committed) return std::unexpected(committed.error());

  auto by_hash = [](const Row& row) {
    return topic_partition_hash(row.partition.first, row.partition.second);
  };
  auto add = [&](std::vector<Row> part, std::vector<Row>& rows) {
    std::sort(part.begin(), part.end(),
              [](const Row& a, const Row& b) { return a.partition.second < b.partition.second; });
    java_map_order(part, 0, by_hash);
    rows.insert(rows.end(), part.begin(), part.end());
  };
  std::vector<Row> rows;
  std::set<TopicPartition> assigned;
  // Members with more partitions first, else as the broker listed them.
  std::multimap<size_t, const kmsg::DescribeGroupsResponse::DescribedGroupMember*,
                std::greater<size_t>>
      by_size;
  for (const auto& member : group->members) by_size.emplace(assignment_of(member).size(), &member);
  for (const auto& [size, listed] : by_size) {
    const auto& member = *listed;
    std::vector<Row> part;
    for (const TopicPartition& partition : assignment_of(member)) {
      part.push_back({partition, true, member.member_id, member.client_host, member.client_id});
      assigned.insert(partition);
    }
    add(std::move(part), rows);
  }
  std::vector<Row> unassigned;
  for (const auto& [partition, offset] : *committed)
    if (!assigned.contains(partition)) unassigned.push_back({partition});
  add(std::move(unassigned), rows);

  std::vector<TopicPartition> partitions;
  for (const Row& row : rows) partitions.push_back(row.partition);
  auto ends = log_offsets(client, partitions, kLatest);
  if (!ends) return std::unexpected(ends.error());
  if (!introduce(group_id, group->group_state, rows.size())) return {};

  size_t group_width = std::max<size_t>(15, group_id.size());
  size_t topic_width = 15, consumer_width = 15, host_width = 15;
  for (const Row& row : rows) {
    topic_width = std::max(topic_width, row.partition.first.size());
    consumer_width = std::max(consumer_width, row.consumer.size());
    host_width = std::max(host_width, row.host.size());
  }
  auto line = [&](std::string_view topic, std::string_view partition, std::string_view current,
                  std::string_view end, std::string_view lag, std::string_view consumer,
                  std::string_view host, std::string_view client_id, std::string_view id) {
    fmt::print("\n{} {} {} {} {} {} {} {} {}", pad(id, group_width), pad(topic, topic_width),
               pad(partition, 10), pad(current, 15), pad(end, 15), pad(lag, 15),
               pad(consumer, consumer_width), pad(host, host_width), client_id);
  };
  line("TOPIC", "PARTITION", "CURRENT-OFFSET", "LOG-END-OFFSET", "LAG", "CONSUMER-ID", "HOST",
       "CLIENT-ID", "GROUP");
  for (const Row& row : rows) {
    auto current = committed->find(row.partition);
    auto end = ends->find(row.partition);
    bool has_both = current != committed->end() && end != ends->end();
    line(row.partition.first, std::to_string(row.partition.second),
         current == committed->end() ? "-" : std::to_string(current->second),
         end == ends->end() ? "-" : std::to_string(end->second),
         has_both ? std::to_string(end->second - current->second) : "-", row.consumer, row.host,
         row.client, group_id);
  }
  return {};
}

Outcome<void> describe_members(AdminClient& client, const std::string& group_id, bool verbose) {
  auto group = describe_group(client, group_id);
  if (!group) return std::unexpected(group.error());
  size_t group_width = 15, consumer_width = 15, instance_width = 17, host_width = 15,
         client_width = 15;
  bool has_instances = false;
  if (introduce(group_id, group->group_state, group->members.size())) {
    group_width = std::max(group_width, group_id.size());
    for (const auto& member : group->members) {
      consumer_width = std::max(consumer_width, member.member_id.size());
      instance_width = std::max(instance_width, member.group_instance_id.value_or("").size());
      host_width = std::max(host_width, member.client_host.size());
      client_width = std::max(client_width, member.client_id.size());
      has_instances = has_instances || member.group_instance_id.has_value();
    }
  }
  auto line = [&](std::string_view id, std::string_view consumer, std::string_view instance,
                  std::string_view host, std::string_view client_id, std::string_view partitions) {
    fmt::print("{} {} {}{} {} {} ", pad(id, group_width), pad(consumer, consumer_width),
               has_instances ? pad(instance, instance_width) + " " : "", pad(host, host_width),
               pad(client_id, client_width), pad(partitions, 15));
  };
  fmt::print("\n");
  line("GROUP", "CONSUMER-ID", "GROUP-INSTANCE-ID", "HOST", "CLIENT-ID", "#PARTITIONS");
  fmt::print("{}\n", verbose ? "ASSIGNMENT" : "");
  for (const auto& member : group->members) {
    auto partitions = assignment_of(member);
    line(group_id, member.member_id, member.group_instance_id.value_or(""), member.client_host,
         member.client_id, std::to_string(partitions.size()));
    if (verbose) {
      std::map<std::string, std::vector<std::string>> by_topic;
      for (const auto& [topic, partition] : partitions)
        by_topic[topic].push_back(std::to_string(partition));
      std::vector<std::string> texts;
      for (auto& [topic, numbers] : by_topic) {
        std::sort(numbers.begin(), numbers.end());
        std::string text;
        for (const std::string& number : numbers) text += (text.empty() ? "" : ",") + number;
        texts.push_back("(" + text + ")");
      }
      std::sort(texts.begin(), texts.end());
      std::string all;
      for (const std::string& text : texts) all += (all.empty() ? "" : ", ") + text;
      fmt::print("{}", all.empty() ? "-" : all);
    }
    fmt::print("\n");
  }
  return {};
}

Outcome<void> describe_state(AdminClient& client, const std::string& group_id) {
  auto group = describe_group(client, group_id);
  if (!group) return std::unexpected(group.error());
  auto node = client.coordinator_node("describeConsumerGroups", group_id);
  if (!node) return std::unexpected(node.error());
  if (!introduce(group_id, group->group_state, 1)) return {};
  std::string coordinator =
      fmt::format("{}:{}  ({})", node->address.host, node->address.port, node->id);
  size_t width = std::max<size_t>(25, coordinator.size());
  auto line = [&](std::string_view id, std::string_view at, std::string_view strategy,
                  std::string_view state, std::string_view members) {
    fmt::print("\n{} {} {} {} {}", pad(id, width), pad(at, 25), pad(strategy, 20), pad(state, 15),
               members);
  };
  line("GROUP", "COORDINATOR (ID)", "ASSIGNMENT-STRATEGY", "STATE", "#MEMBERS");
  line(group_id, coordinator, group->protocol_data, group->group_state,
       std::to_string(group->members.size()));
  fmt::print("\n");
  return {};
}

// -- Reset
// -----------------------------------------------------------------------------------------------

// A refusal that is told with the usage.
Failure illegal(std::string message) {
  return {"java.lang.IllegalArgumentException", std::move(message)};
}

std::expected<std::vector<TopicPartition>, Failure> parse_topic(AdminClient& client,
                                                                const std::string& arg) {
  std::vector<TopicPartition> partitions;
  size_t colon = arg.find(':');
  if (colon != std::string::npos) {
    for (const std::string& number : split(arg.substr(colon + 1), ',')) {
      char* end = nullptr;
      long partition = std::strtol(number.c_str(), &end, 10);
      if (number.empty() || *end != '\0')
        return std::unexpected(illegal(
            fmt::format("Invalid partition '{}' specified in topic arg '{}''", number, arg)));
      partitions.emplace_back(arg.substr(0, colon), static_cast<int32_t>(partition));
    }
    return partitions;
  }
  auto metadata = client.metadata("describeTopics", std::vector<std::string>{arg});
  if (!metadata) return std::unexpected(metadata.error());
  for (const auto& topic : metadata->topics) {
    if (topic.error_code != ErrorCode::none) return std::unexpected(failure_of(topic.error_code));
    for (const auto& partition : topic.partitions)
      partitions.emplace_back(arg, partition.partition_index);
  }
  std::sort(partitions.begin(), partitions.end());
  return partitions;
}

// "2024-01-31T12:00:00.000", with Z or an offset or in local time; milliseconds since 1970.
std::optional<int64_t> parse_datetime(const std::string& text) {
  tm parts{};
  const char* rest = ::strptime(text.c_str(), "%Y-%m-%dT%H:%M:%S", &parts);
  if (rest == nullptr) return std::nullopt;
  int64_t ms = 0;
  if (*rest == '.') {
    char* end = nullptr;
    ms = std::strtol(rest + 1, &end, 10);
    rest = end;
  }
  if (*rest == '\0') {
    parts.tm_isdst = -1;
    return static_cast<int64_t>(::mktime(&parts)) * 1000 + ms;
  }
  int64_t utc_ms = static_cast<int64_t>(::timegm(&parts)) * 1000 + ms;
  if (*rest == 'Z') return utc_ms;
  int hours = 0, minutes = 0;
  if ((*rest != '+' && *rest != '-') || std::sscanf(rest + 1, "%2d:%2d", &hours, &minutes) < 1)
    return std::nullopt;
  int64_t shift_ms = (hours * 60 + minutes) * 60'000LL;
  return *rest == '+' ? utc_ms - shift_ms : utc_ms + shift_ms;
}

// ISO 8601's PnDTnHnMnS in milliseconds.
std::optional<int64_t> parse_duration(const std::string& text) {
  if (text.size() < 3 || text[0] != 'P') return std::nullopt;
  int64_t ms = 0;
  bool in_time = false;
  for (size_t at = 1; at < text.size();) {
    if (text[at] == 'T') {
      in_time = true;
      ++at;
      continue;
    }
    char* end = nullptr;
    double number = std::strtod(text.c_str() + at, &end);
    if (end == text.c_str() + at) return std::nullopt;
    double unit = *end == 'D' && !in_time  ? 86'400'000
                  : *end == 'H' && in_time ? 3'600'000
                  : *end == 'M' && in_time ? 60'000
                  : *end == 'S' && in_time ? 1000
                                           : 0;
    if (unit == 0) return std::nullopt;
    ms += static_cast<int64_t>(number * unit);
    at = static_cast<size_t>(end - text.c_str()) + 1;
  }
  return ms;
}

// Brings offsets into what the logs have.
Outcome<Offsets> within_logs(AdminClient& client, Offsets wanted) {
  std::vector<TopicPartition> partitions;
  for (const auto& [partition, offset] : wanted) partitions.push_back(partition);
  auto starts = log_offsets(client, partitions, kEarliest);
  if (!starts) return starts;
  auto ends = log_offsets(client, partitions, kLatest);
  if (!ends) return ends;
  for (auto& [partition, offset] : wanted) {
    auto start = starts->find(partition);
    auto end = ends->find(partition);
    bool above = end != ends->end() && offset > end->second;
    bool below = start != starts->end() && offset < start->second;
    if (!above && !below) continue;
    int64_t bound = above ? end->second : start->second;
    log_line(
        "WARN",
        fmt::format("New offset ({}) is {} offset for topic partition {}-{}. Value will be set "
                    "to {}",
                    offset, above ? "higher than latest" : "lower than earliest", partition.first,
                    partition.second, bound),
        kLogger);
    offset = bound;
  }
  return wanted;
}

Outcome<Offsets> offsets_of_file(const Options& options, const std::string& group_id) {
  std::ifstream file(options.value("from-file"));
  if (!file)
    return std::unexpected(
        Failure{"java.nio.file.NoSuchFileException", options.value("from-file")});
  Offsets offsets;
  std::string line;
  while (std::getline(file, line)) {
    std::vector<std::string> fields = split(line, ',');
    for (std::string& field : fields) std::erase(field, '"');
    if (fields.size() == 4 && fields[0] != group_id) continue;
    if (fields.size() == 4) fields.erase(fields.begin());
    if (fields.size() != 3) continue;
    offsets[{fields[0], std::atoi(fields[1].c_str())}] =
        std::strtoll(fields[2].c_str(), nullptr, 10);
  }
  if (offsets.empty()) print_error(fmt::format("No reset plan for group {} found", group_id));
  return offsets;
}

Outcome<Offsets> offsets_at(AdminClient& client, const std::vector<TopicPartition>& partitions,
                            int64_t timestamp) {
  auto found = log_offsets(client, partitions, timestamp);
  if (!found) return found;
  std::vector<TopicPartition> later;
  for (const TopicPartition& partition : partitions) {
    auto at = found->find(partition);
    if (at == found->end())
      return std::unexpected(illegal(fmt::format("Error getting offset of topic partition: {}-{}",
                                                 partition.first, partition.second)));
    if (at->second < 0) later.push_back(partition);
  }
  for (const auto& [topic, partition] : later)
    fmt::print(
        "\nWarn: Partition {} from topic {} is empty. Falling back to latest known offset.\n",
        partition, topic);
  auto ends = log_offsets(client, later, kLatest);
  if (!ends) return ends;
  for (const auto& [partition, offset] : *ends) (*found)[partition] = offset;
  return found;
}

Outcome<Offsets> plan_reset(AdminClient& client, const Options& options,
                            const std::string& group_id) {
  auto committed = committed_offsets(client, group_id);
  if (!committed) return committed;
  if (options.has("from-file")) {
    auto wanted = offsets_of_file(options, group_id);
    return wanted ? within_logs(client, std::move(*wanted)) : wanted;
  }
  std::vector<TopicPartition> partitions;
  if (options.has("all-topics")) {
    for (const auto& [partition, offset] : *committed) partitions.push_back(partition);
  } else if (options.has("topic")) {
    for (const std::string& arg : options.values("topic")) {
      auto parsed = parse_topic(client, arg);
      if (!parsed) return std::unexpected(parsed.error());
      partitions.insert(partitions.end(), parsed->begin(), parsed->end());
    }
  } else {
    return std::unexpected(
        illegal("One of the reset scopes should be defined: --all-topics, --topic."));
  }
  if (options.has("to-earliest")) return offsets_at(client, partitions, kEarliest);
  if (options.has("to-latest")) return offsets_at(client, partitions, kLatest);
  if (options.has("to-datetime")) {
    auto at = parse_datetime(options.value("to-datetime"));
    if (!at)
      return std::unexpected(
          Failure{"java.text.ParseException",
                  fmt::format("Error parsing timestamp {}", options.value("to-datetime"))});
    return offsets_at(client, partitions, *at);
  }
  if (options.has("by-duration")) {
    auto duration_ms = parse_duration(options.value("by-duration"));
    if (!duration_ms)
      return std::unexpected(Failure{"java.time.format.DateTimeParseException",
                                     "Text cannot be parsed to a Duration"});
    timespec now{};
    ::clock_gettime(CLOCK_REALTIME, &now);
    return offsets_at(client, partitions, static_cast<int64_t>(now.tv_sec) * 1000 - *duration_ms);
  }
  Offsets wanted;
  if (options.has("to-current")) {
    std::vector<TopicPartition> never;
    for (const TopicPartition& partition : partitions) {
      auto at = committed->find(partition);
      if (at == committed->end())
        never.push_back(partition);
      else
        wanted[partition] = at->second;
    }
    auto ends = log_offsets(client, never, kLatest);
    if (!ends) return ends;
    wanted.insert(ends->begin(), ends->end());
    return wanted;
  }
  for (const TopicPartition& partition : partitions) {
    if (options.has("to-offset")) {
      wanted[partition] = options.number("to-offset");
      continue;
    }
    auto at = committed->find(partition);
    if (at == committed->end())
      return std::unexpected(illegal(
          fmt::format("Cannot shift offset for partition {}-{} since there is no current committed "
                      "offset",
                      partition.first, partition.second)));
    wanted[partition] = at->second + options.number("shift-by");
  }
  return within_logs(client, std::move(wanted));
}

Outcome<void> commit(AdminClient& client, const std::string& group_id, const Offsets& offsets) {
  kmsg::OffsetCommitRequest request;
  request.group_id = group_id;
  for (const auto& [partition, offset] : offsets) {
    if (request.topics.empty() || request.topics.back().name != partition.first)
      request.topics.emplace_back().name = partition.first;
    auto& committed = request.topics.back().partitions.emplace_back();
    committed.partition_index = partition.second;
    committed.committed_offset = offset;
    committed.committed_metadata = "";
  }
  auto first_error = [](const kmsg::OffsetCommitResponse& response) {
    for (const auto& topic : response.topics)
      for (const auto& partition : topic.partitions)
        if (partition.error_code != ErrorCode::none) return partition.error_code;
    return ErrorCode::none;
  };
  auto response = ask<kmsg::OffsetCommitResponse>(client, "alterConsumerGroupOffsets", group_id,
                                                  request, request.kMaxVersion, first_error);
  if (!response) return std::unexpected(response.error());
  if (ErrorCode error = first_error(*response); error != ErrorCode::none)
    return std::unexpected(failure_of(error));
  return {};
}

std::vector<std::pair<TopicPartition, int64_t>> in_java_order(const Offsets& offsets) {
  std::vector<std::pair<TopicPartition, int64_t>> ordered(offsets.begin(), offsets.end());
  java_map_order(ordered, 0, [](const auto& entry) {
    return topic_partition_hash(entry.first.first, entry.first.second);
  });
  return ordered;
}

Outcome<void> reset(AdminClient& client, const Options& options,
                    const std::vector<std::string>& group_ids) {
  std::map<std::string, Offsets> plans;
  for (const std::string& group_id : group_ids) {
    auto group = describe_group(client, group_id);
    if (!group) return std::unexpected(group.error());
    if (group->group_state != "Empty" && group->group_state != "Dead") {
      print_error(fmt::format(
          "Assignments can only be reset if the group '{}' is inactive, but the current "
          "state is {}.",
          group_id, group->group_state));
      plans[group_id] = {};
      continue;
    }
    auto plan = plan_reset(client, options, group_id);
    if (!plan) return std::unexpected(plan.error());
    if (options.has("execute"))
      if (auto done = commit(client, group_id, *plan); !done) return done;
    plans[group_id] = std::move(*plan);
  }
  if (options.has("export")) {
    for (const auto& [group_id, offsets] : plans)
      for (const auto& [partition, offset] : in_java_order(offsets))
        fmt::print("{}{},{},{}\n", group_ids.size() == 1 ? "" : group_id + ",", partition.first,
                   partition.second, offset);
    fmt::print("\n");
    return {};
  }
  // Apache 3.9 puts all of this on one line; earlier releases, and this, a line for each.
  auto line = [](std::string_view group, std::string_view topic, std::string_view partition,
                 std::string_view offset) {
    fmt::print("{} {} {} {}\n", pad(group, 30), pad(topic, 30), pad(partition, 10),
               pad(offset, 15));
  };
  fmt::print("\n");
  line("GROUP", "TOPIC", "PARTITION", "NEW-OFFSET");
  for (const auto& [group_id, offsets] : plans)
    for (const auto& [partition, offset] : in_java_order(offsets))
      line(group_id, partition.first, std::to_string(partition.second), std::to_string(offset));
  return {};
}

// -- Deletion
// ----------------------------------------------------------------------------------------------

Outcome<void> delete_groups(AdminClient& client, const std::vector<std::string>& group_ids) {
  std::vector<std::string> done;
  std::map<std::string, Failure> failed;
  for (const std::string& group_id : group_ids) {
    kmsg::DeleteGroupsRequest request;
    request.groups_names = {group_id};
    auto response = ask<kmsg::DeleteGroupsResponse>(
        client, "deleteConsumerGroups", group_id, request, request.kMaxVersion,
        [](const auto& answer) {
          return answer.results.empty() ? ErrorCode::none : answer.results[0].error_code;
        });
    if (!response)
      failed[group_id] = response.error();
    else if (!response->results.empty() && response->results[0].error_code != ErrorCode::none)
      failed[group_id] = failure_of(response->results[0].error_code);
    else
      done.push_back(group_id);
  }
  java_map_order(done);
  std::string names;
  for (const std::string& group_id : done) names += (names.empty() ? "" : ", ") + group_id;
  if (failed.empty()) {
    fmt::print("Deletion of requested consumer groups ('{}') was successful.\n", names);
    return {};
  }
  print_error("Deletion of some consumer groups failed:");
  for (const auto& [group_id, failure] : failed)
    fmt::print(
        "* Group '{}' could not be deleted due to: java.util.concurrent.ExecutionException: "
        "{}: {}\n",
        group_id, failure.exception, failure.message);
  if (!done.empty())
    fmt::print("\nThese consumer groups were deleted successfully: '{}', '\n", names);
  return {};
}

Outcome<void> delete_offsets(AdminClient& client, const Options& options) {
  std::string group_id = options.value("group");
  std::map<TopicPartition, std::string> status;
  kmsg::OffsetDeleteRequest request;
  request.group_id = group_id;
  std::string topics;
  for (const std::string& arg : options.values("topic")) {
    topics += (topics.empty() ? "" : ", ") + arg;
    auto partitions = parse_topic(client, arg);
    if (!partitions) {
      status[{arg, -1}] = "Error: :" + partitions.error().message;
      continue;
    }
    auto& topic = request.topics.emplace_back();
    topic.name = partitions->empty() ? arg : partitions->front().first;
    for (const auto& [name, partition] : *partitions) {
      topic.partitions.emplace_back().partition_index = partition;
      status[{name, partition}] = "Successful";
    }
  }
  auto response =
      ask<kmsg::OffsetDeleteResponse>(client, "deleteConsumerGroupOffsets", group_id, request, 0,
                                      [](const auto& answer) { return answer.error_code; });
  if (!response) return std::unexpected(response.error());
  ErrorCode error = response->error_code;
  bool any_failed = false;
  for (const auto& topic : response->topics) {
    for (const auto& partition : topic.partitions) {
      if (partition.error_code == ErrorCode::none) continue;
      any_failed = true;
      status[{topic.name, partition.partition_index}] =
          "Error: :" + exception_of(partition.error_code) + ": " +
          std::string(kmsg::error_message(partition.error_code));
    }
  }
  if (error == ErrorCode::none && !any_failed)
    fmt::print("Request succeed for deleting offsets with topic {} group {}\n", topics, group_id);
  else if (error == ErrorCode::none)
    print_error("Encounter some partition level error, see the follow-up details:");
  else if (error == ErrorCode::invalid_group_id)
    print_error(fmt::format("'{}' is not valid.", group_id));
  else if (error == ErrorCode::group_id_not_found)
    print_error(fmt::format("'{}' does not exist.", group_id));
  else if (error == ErrorCode::non_empty_group)
    print_error(
        fmt::format("Deleting offsets of a consumer group '{}' is forbidden if the group is "
                    "not empty.",
                    group_id));
  else
    print_error(fmt::format("Encounter some unknown error: {}", kmsg::error_name(error)));
  fmt::print("\n{} {} {}\n", pad("TOPIC", 30), pad("PARTITION", 15), pad("STATUS", 15));
  for (const auto& [partition, text] : status) {
    std::string shown = error == ErrorCode::none ? text
                                                 : "Error: :" + exception_of(error) + ": " +
                                                       std::string(kmsg::error_message(error));
    fmt::print("{} {} {}\n", pad(partition.first, 30),
               pad(partition.second < 0 ? "Not Provided" : std::to_string(partition.second), 15),
               pad(shown, 15));
  }
  return {};
}

// -- List
// --------------------------------------------------------------------------------------------------

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

// -- Arguments
// -----------------------------------------------------------------------------------------------

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

Outcome<void> describe(AdminClient& client, const Options& options,
                       std::vector<std::string> group_ids) {
  std::sort(group_ids.begin(), group_ids.end());
  for (const std::string& group_id : group_ids) {
    Outcome<void> done = options.has("members")
                             ? describe_members(client, group_id, options.has("verbose"))
                         : options.has("state") ? describe_state(client, group_id)
                                                : describe_offsets(client, group_id);
    if (!done) return done;
  }
  if (!options.has("members") && !options.has("state")) fmt::print("\n");
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

int consumer_groups_main(std::span<const std::string> args) {
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
  if (done.error().exception == "java.lang.IllegalArgumentException")
    return usage(parser(), done.error().message);
  // Apache's tool ends with 0 here as well.
  print_error(fmt::format("Executing consumer group command failed due to {}: {}",
                          done.error().exception, done.error().message));
  return 0;
}

}  // namespace ottla::tools
