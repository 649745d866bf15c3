// Parts of kafka-topics.sh that its files share: what the command line means, and the topics meant.
// Source: KIP-377, KIP-455, KIP-516.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tools/admin_client.h"
#include "tools/options.h"

namespace ottla::tools::topics {

inline constexpr int32_t kRequestTimeoutMs = 30'000;

// -- topics_arguments.cc: the command line
const OptionParser& parser();
// A message if the options do not go together, to be shown with the usage.
std::optional<std::string> check(const Options& options);
// --replica-assignment: the brokers of each partition.
Outcome<std::vector<std::vector<int32_t>>> parse_assignment(const std::string& text);
// --config of a new topic.
Outcome<std::map<std::string, std::string>> parse_configs(const Options& options);

// -- topics.cc: the topics meant by --topic
struct Topics {
  kmsg::MetadataResponse metadata;
  std::vector<std::string> names;  // those meant, sorted
};
Outcome<Topics> find_topics(AdminClient& client, const Options& options);
Outcome<void> ensure_found(const Topics& topics, const Options& options);
const kmsg::MetadataResponse::MetadataResponseTopic* find(const kmsg::MetadataResponse& metadata,
                                                          std::string_view name);

// -- topics_describe.cc
Outcome<void> describe(AdminClient& client, const Options& options);

}  // namespace ottla::tools::topics
