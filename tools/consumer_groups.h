// Parts of kafka-consumer-groups.sh that its files share: what the command line means, what the
// cluster is asked, and the verbs. Offsets are positions in a partition's log; times are
// milliseconds since 1970. Source: KIP-122, KIP-175, KIP-222, KIP-496, KIP-518.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "proto/kafka/describe_groups.h"
#include "tools/admin_client.h"
#include "tools/options.h"

namespace ottla::tools::consumer_groups {

using TopicPartition = std::pair<std::string, int32_t>;
using Offsets = std::map<TopicPartition, int64_t>;
using Described = kmsg::DescribeGroupsResponse::DescribedGroup;
using DescribedMember = kmsg::DescribeGroupsResponse::DescribedGroupMember;

inline constexpr int64_t kLatest = -1;  // in place of a time
inline constexpr int64_t kEarliest = -2;

void print_error(std::string_view message);
// Parts without the blanks around them.
std::vector<std::string> split(const std::string& text, char separator);

// -- consumer_groups_arguments.cc: the command line
const OptionParser& parser();
// Why these options do not go together.
std::optional<std::string> check(const Options& options);

// -- consumer_groups_cluster.cc: asking the cluster
struct Listed {
  std::string id, state, type;
};
Outcome<std::vector<Listed>> list_groups(AdminClient& client, std::vector<std::string> states,
                                         std::vector<std::string> types);
Outcome<Described> describe_group(AdminClient& client, const std::string& group_id);
Outcome<Offsets> committed_offsets(AdminClient& client, const std::string& group_id);
// Offsets for a time (or kLatest, kEarliest); partitions that cannot be asked are left out.
Outcome<Offsets> log_offsets(AdminClient& client, const std::vector<TopicPartition>& partitions,
                             int64_t timestamp);
std::vector<TopicPartition> assignment_of(const DescribedMember& member);
// The partitions of --topic: "topic:0,1", or all there are.
Outcome<std::vector<TopicPartition>> parse_topic(AdminClient& client, const std::string& arg);

// A request to the group's coordinator; `error_of` finds the code that may say to ask elsewhere.
template <class Response, class Request, class ErrorOf>
Outcome<Response> ask(AdminClient& client, std::string_view call, const std::string& group_id,
                      const Request& request, int16_t highest, ErrorOf&& error_of) {
  int64_t deadline = client.deadline_ms();
  for (;;) {
    auto response = client.coordinator<Response>(call, group_id, request, highest);
    if (!response) return response;
    kmsg::ErrorCode error = error_of(*response);
    bool again = error == kmsg::ErrorCode::not_coordinator ||
                 error == kmsg::ErrorCode::coordinator_not_available ||
                 error == kmsg::ErrorCode::coordinator_load_in_progress;
    if (!again || !client.back_off(deadline)) return response;
  }
}

// -- consumer_groups_describe.cc
Outcome<void> describe(AdminClient& client, const Options& options,
                       std::vector<std::string> group_ids);

// -- consumer_groups_plan.cc: what --reset-offsets is given as text
// "2024-01-31T12:00:00.000", in UTC or with Z or an offset; milliseconds since 1970.
std::optional<int64_t> parse_datetime(const std::string& text);
// ISO 8601's PnDTnHnMnS in milliseconds, as Java's Duration takes it.
std::optional<int64_t> parse_duration(const std::string& text);
// Lines of [group,]topic,partition,offset: those of the group. `is_only`: no other group is asked
// for.
Outcome<Offsets> parse_plan(const std::string& text, const std::string& group_id, bool is_only);

// -- consumer_groups_reset.cc
Outcome<void> reset(AdminClient& client, const Options& options,
                    const std::vector<std::string>& group_ids);

// -- consumer_groups_delete.cc: groups, and offsets of one
Outcome<void> delete_groups(AdminClient& client, const std::vector<std::string>& group_ids);
Outcome<void> delete_offsets(AdminClient& client, const Options& options);

}  // namespace ottla::tools::consumer_groups
