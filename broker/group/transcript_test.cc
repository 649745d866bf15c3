// The group scenarios of what a live Apache Kafka 3.9.1 answered, played against the core alone.
// Skipped with a line where the transcript is not at hand (OTTLA_VECTORS, default
// ../shared/vectors).
#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>

#include "broker/group/test_driver.h"
#include "common/wire/reader.h"
#include "proto/kafka/create_topics.h"

namespace ottla::broker {
namespace {

using Json = nlohmann::json;

const std::set<std::string> kScenarios = {
    "join-versions", "join-errors",     "rebalance-two-members", "static-members",
    "offset-commit", "offset-fetch",    "delete-groups",         "offset-delete",
    "list-groups",   "describe-groups", "session-expiry",        "protocol-vote"};

class Player {
 public:
  Player() : driver_(config(), 4) { driver_.topics["__consumer_offsets"] = 4; }

  void play(const Json& step) {
    ++played_;
    auto wait = step.find("waitMs");
    if (wait != step.end()) driver_.advance_ms(wait->get<int64_t>());
    std::string frame = from_hex(step["request_hex"].get<std::string>());
    rename(frame);
    wire::Reader reader(as_bytes(frame));
    auto api = reader.i16();
    auto version = reader.i16();
    (void)reader.i32();
    int16_t client_length = reader.i16();
    client_ = client_length < 0 ? "" : std::string(reader.text(static_cast<size_t>(client_length)));
    dispatch(step, api, version, reader);
    for (auto at = waiting_.begin(); at != waiting_.end();) {
      if (!driver_.answered(at->ticket)) {
        ++at;
        continue;
      }
      compare(at->step, parked_json(at->ticket, at->version));
      at = waiting_.erase(at);
    }
  }
  size_t waiting() const { return waiting_.size(); }
  int compared() const { return compared_; }

 private:
  struct Waiting {
    Json step;
    ReplyTicket ticket;
    int16_t version;
  };

  static GroupConfig config() {
    GroupConfig config;
    config.initial_rebalance_delay_ms = 0;
    config.min_session_timeout_ms = 1000;
    return config;
  }

  template <class Request>
  Request read(wire::Reader& reader, int16_t version) {
    if (version >= Request::kFlexibleFrom) reader.skip(1);  // no header tags are ever sent
    Request request;
    REQUIRE(request.decode(reader, version));
    REQUIRE(reader.at_end());
    return request;
  }

  void dispatch(const Json& step, int16_t api, int16_t version, wire::Reader& reader) {
    GroupContext context = driver_.context(version, client_);
    GroupEffects effects;
    std::string answer;
    if (api == kmsg::JoinGroupRequest::kApiKey) {
      auto request = read<kmsg::JoinGroupRequest>(reader, version);
      waiting_.push_back({step, driver_.join(request, version, client_), version});
    } else if (api == kmsg::SyncGroupRequest::kApiKey) {
      auto request = read<kmsg::SyncGroupRequest>(reader, version);
      waiting_.push_back({step, driver_.sync(request, version), version});
    } else if (api == kmsg::OffsetCommitRequest::kApiKey && version > 0) {
      auto request = read<kmsg::OffsetCommitRequest>(reader, version);
      waiting_.push_back({step, driver_.commit(request, version), version});
    } else if (api == kmsg::HeartbeatRequest::kApiKey) {
      auto request = read<kmsg::HeartbeatRequest>(reader, version);
      answer = driver_.core->heartbeat(request, context, effects).to_json(version);
    } else if (api == kmsg::LeaveGroupRequest::kApiKey) {
      auto request = read<kmsg::LeaveGroupRequest>(reader, version);
      answer = driver_.core->leave_group(request, context, effects).to_json(version);
    } else if (api == kmsg::OffsetFetchRequest::kApiKey && version > 0) {
      auto request = read<kmsg::OffsetFetchRequest>(reader, version);
      answer = driver_.core->offset_fetch(request, context).to_json(version);
    } else if (api == kmsg::ListGroupsRequest::kApiKey) {
      auto request = read<kmsg::ListGroupsRequest>(reader, version);
      answer = driver_.core->list_groups(request).to_json(version);
    } else if (api == kmsg::DescribeGroupsRequest::kApiKey) {
      auto request = read<kmsg::DescribeGroupsRequest>(reader, version);
      answer = driver_.core->describe_groups(request, context).to_json(version);
    } else if (api == kmsg::DeleteGroupsRequest::kApiKey) {
      auto request = read<kmsg::DeleteGroupsRequest>(reader, version);
      answer = driver_.core->delete_groups(request, context, effects).to_json(version);
    } else if (api == kmsg::OffsetDeleteRequest::kApiKey) {
      auto request = read<kmsg::OffsetDeleteRequest>(reader, version);
      answer = driver_.core->offset_delete(request, context, effects).to_json(version);
    } else if (api == kmsg::CreateTopicsRequest::kApiKey) {
      for (const auto& topic : read<kmsg::CreateTopicsRequest>(reader, version).topics)
        driver_.topics[topic.name] = topic.num_partitions;
    }
    driver_.pump(effects);
    // A broker that is never answered, as Apache's at a fetch of no group, is not an example.
    if (!answer.empty() && !step["response"].contains("unanswered")) compare(step, answer);
  }

  std::string parked_json(ReplyTicket ticket, int16_t version) {
    return std::visit([&](const auto& response) { return response.to_json(version); },
                      driver_.replies.at(ticket));
  }

  void compare(const Json& step, const std::string& answer) {
    ++compared_;
    Json ours = Json::parse(answer);
    Json theirs = step["response"];
    for (const auto& [name, bind] : step.value("bind", Json::object()).items()) {
      if (bind.get<std::string>() != "string memberId") continue;
      ids_[theirs["memberId"].get<std::string>()] = ours["memberId"].get<std::string>();
    }
    for (const auto& path : step.value("mask", Json::array())) {
      mask(ours, path);
      mask(theirs, path);
    }
    std::string expected = theirs.dump();
    rename(expected);
    theirs = Json::parse(expected);
    sort_arrays(ours);
    sort_arrays(theirs);
    INFO(step["scenario"] << " step " << step["step"] << " " << step["name"] << " v"
                          << step["version"] << "\nrequest " << step["request"].dump());
    CHECK(ours.dump() == theirs.dump());
  }

  // Recorded member ids stand for ours of the same length.
  void rename(std::string& text) const {
    for (const auto& [theirs, ours] : ids_)
      for (size_t at = text.find(theirs); at != std::string::npos; at = text.find(theirs, at + 1))
        text.replace(at, theirs.size(), ours);
  }

  static void mask(Json& json, const std::string& path) {
    if (path == "members[*].memberId") {
      for (auto& member : json["members"]) member.erase("memberId");
    } else if (path == "groups[3].topics") {
      json["groups"][3].erase("topics");
    } else {
      json.erase(path);
    }
  }

  // Which arrays have an order worth comparing is said in the transcript; few have.
  static void sort_arrays(Json& json) {
    for (auto& child : json)
      if (child.is_structured()) sort_arrays(child);
    if (json.is_array())
      std::sort(json.begin(), json.end(),
                [](const Json& a, const Json& b) { return a.dump() < b.dump(); });
  }

  Driver driver_;
  std::string client_;
  std::vector<Waiting> waiting_;
  std::map<std::string, std::string> ids_;
  int played_ = 0;
  int compared_ = 0;
};

}  // namespace

TEST_CASE("group scenarios of the transcript") {
  const char* dir = std::getenv("OTTLA_VECTORS");
  std::string path = std::string(dir ? dir : "../shared/vectors") + "/kafka-transcript.jsonl";
  std::ifstream file(path);
  if (!file) {
    WARN("skipped: no " << path << " (set OTTLA_VECTORS)");
    return;
  }
  Player player;
  std::string line;
  while (std::getline(file, line)) {
    Json step = Json::parse(line);
    if (!kScenarios.contains(step["scenario"].get<std::string>())) continue;
    if (!step.contains("request_hex")) continue;
    player.play(step);
  }
  CHECK(player.waiting() == 0);
  CHECK(player.compared() > 400);
}

}  // namespace ottla::broker
