// Room broker/zk: paths and JSON of Kafka's znodes. Pure functions; no I/O. Written by hand so that
// the bytes are Kafka's own; read through nlohmann/json without exceptions.
// Source: Kafka's ZooKeeper data layout (ZkData), versions 3.9 and those it still reads.
#include "broker/zk/znodes.h"

#include <fmt/core.h>

#include <charconv>
#include <nlohmann/json.hpp>

#include "broker/zk/java_order.h"
#include "common/wire/utf8.h"

namespace ottla::broker {
namespace {

using Json = nlohmann::json;

constexpr size_t kMaxReplicas = 1 << 16;

// What clients send need not be UTF-8, and what is stored must be: nobody could read it otherwise.
void put_json_text(std::string& out, std::string_view text) {
  out += '"';
  for (char c : wire::to_utf8(text)) {
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\b':
        out += "\\b";
        break;
      case '\f':
        out += "\\f";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      default:
        if (static_cast<uint8_t>(c) < 0x20)
          out += fmt::format("\\u{:04X}", static_cast<unsigned>(c));
        else
          out += c;
    }
  }
  out += '"';
}
std::string json_text(std::string_view text) {
  std::string out;
  put_json_text(out, text);
  return out;
}

std::string int_list(const std::vector<int32_t>& values) {
  std::string out = "[";
  for (size_t i = 0; i < values.size(); ++i) {
    if (i > 0) out += ',';
    out += std::to_string(values[i]);
  }
  return out += ']';
}

std::string replica_map(const std::map<int32_t, std::vector<int32_t>>& map) {
  std::vector<std::string> keys;
  for (const auto& [partition, replicas] : map) keys.push_back(std::to_string(partition));
  std::string out = "{";
  for (const std::string& key : scala_map_order(std::move(keys))) {
    if (out.size() > 1) out += ',';
    out += '"' + key + "\":" + int_list(map.at(std::stoi(key)));
  }
  return out += '}';
}

std::unexpected<Error> bad(std::string_view what, std::string_view json) {
  return fail(Errc::corrupt, fmt::format("{} is not what Kafka writes: {}", what,
                                         json.substr(0, std::min<size_t>(json.size(), 200))));
}

// An object, or nothing. One bad byte in a value is no reason to lose the rest.
std::optional<Json> parse_object(std::string_view text) {
  Json json = Json::parse(wire::to_utf8(text), nullptr, false);
  if (json.is_discarded() || !json.is_object()) return std::nullopt;
  return json;
}

std::optional<int64_t> to_int(std::string_view text) {
  int64_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}
// Numbers stand as numbers in some znodes and as strings in others.
std::optional<int64_t> int_of(const Json& value) {
  if (value.is_number_unsigned() && value.get<uint64_t>() > INT64_MAX) return std::nullopt;
  if (value.is_number_integer()) return value.get<int64_t>();
  if (value.is_string()) return to_int(value.get_ref<const std::string&>());
  return std::nullopt;
}
std::optional<int32_t> int32_of(const Json& value) {
  auto number = int_of(value);
  if (!number || *number < INT32_MIN || *number > INT32_MAX) return std::nullopt;
  return static_cast<int32_t>(*number);
}
std::optional<int64_t> int_at(const Json& object, const char* key) {
  auto it = object.find(key);
  return it == object.end() ? std::nullopt : int_of(*it);
}
std::optional<int32_t> int32_at(const Json& object, const char* key) {
  auto it = object.find(key);
  return it == object.end() ? std::nullopt : int32_of(*it);
}
std::optional<std::string> text_at(const Json& object, const char* key) {
  auto it = object.find(key);
  if (it == object.end() || !it->is_string()) return std::nullopt;
  return it->get<std::string>();
}
std::optional<std::vector<int32_t>> ints(const Json& array) {
  if (!array.is_array() || array.size() > kMaxReplicas) return std::nullopt;
  std::vector<int32_t> out;
  for (const Json& value : array) {
    auto id = value.is_number() ? int32_of(value) : std::nullopt;
    if (!id) return std::nullopt;
    out.push_back(*id);
  }
  return out;
}
bool replica_map_at(const Json& object, const char* key,
                    std::map<int32_t, std::vector<int32_t>>& out) {
  auto it = object.find(key);
  if (it == object.end() || it->is_null()) return true;
  if (!it->is_object()) return false;
  for (const auto& [partition, replicas] : it->items()) {
    auto index = int32_of(Json(partition));
    auto list = ints(replicas);
    if (!index || !list) return false;
    out[*index] = std::move(*list);
  }
  return true;
}

struct ProtocolName {
  int16_t id;
  std::string_view name;
};
constexpr ProtocolName kProtocols[] = {
    {0, "PLAINTEXT"}, {1, "SSL"}, {2, "SASL_PLAINTEXT"}, {3, "SASL_SSL"}};

// "NAME://host:port", "NAME://[v6]:port", "NAME://:port"
std::optional<BrokerEndpoint> parse_endpoint(std::string_view text) {
  size_t scheme = text.find("://");
  size_t colon = text.rfind(':');
  if (scheme == std::string_view::npos || colon == std::string_view::npos || colon < scheme + 3)
    return std::nullopt;
  auto port = to_int(text.substr(colon + 1));
  if (!port || *port < -1 || *port > 65535) return std::nullopt;
  std::string_view host = text.substr(scheme + 3, colon - scheme - 3);
  if (host.size() >= 2 && host.front() == '[' && host.back() == ']')
    host = host.substr(1, host.size() - 2);
  return BrokerEndpoint{std::string(text.substr(0, scheme)), std::string(host),
                        static_cast<int32_t>(*port), 0};
}
std::string endpoint_text(const BrokerEndpoint& endpoint) {
  bool v6 = endpoint.host.find(':') != std::string::npos;
  return fmt::format("{}://{}{}{}:{}", endpoint.listener, v6 ? "[" : "", endpoint.host,
                     v6 ? "]" : "", endpoint.port);
}

}  // namespace

namespace zpath {
std::string broker(int32_t id) { return fmt::format("{}/{}", kBrokerIds, id); }
std::string topic(std::string_view topic) { return fmt::format("{}/{}", kTopics, topic); }
std::string partitions(std::string_view topic) {
  return fmt::format("{}/{}/partitions", kTopics, topic);
}
std::string partition(std::string_view topic, int32_t index) {
  return fmt::format("{}/{}/partitions/{}", kTopics, topic, index);
}
std::string partition_state(std::string_view topic, int32_t index) {
  return fmt::format("{}/{}/partitions/{}/state", kTopics, topic, index);
}
std::string delete_topic(std::string_view topic) {
  return fmt::format("{}/{}", kDeleteTopics, topic);
}
std::string consumer_offset(std::string_view group, std::string_view topic, int32_t partition) {
  return fmt::format("/consumers/{}/offsets/{}/{}", group, topic, partition);
}
std::string config(std::string_view entity_type, std::string_view name) {
  return fmt::format("/config/{}/{}", entity_type, name);
}
const std::vector<std::string>& persistent() {
  static const std::vector<std::string> paths = {"/consumers",
                                                 "/brokers",
                                                 "/brokers/ids",
                                                 "/brokers/topics",
                                                 "/config",
                                                 "/config/changes",
                                                 "/admin",
                                                 "/admin/delete_topics",
                                                 "/brokers/seqid",
                                                 "/isr_change_notification",
                                                 "/latest_producer_id_block",
                                                 "/log_dir_event_notification",
                                                 "/config/topics",
                                                 "/config/clients",
                                                 "/config/users",
                                                 "/config/brokers",
                                                 "/config/ips"};
  return paths;
}
}  // namespace zpath

int16_t security_protocol_id(std::string_view name) {
  for (const ProtocolName& row : kProtocols)
    if (row.name == name) return row.id;
  return -1;
}
std::string path_fault(std::string_view path) {
  if (path.size() > 1 && path.back() == '/') return "Path must not end with / character";
  auto at_end = [&](size_t i) { return i + 1 == path.size() || path[i + 1] == '/'; };
  for (size_t i = 1; i < path.size(); ++i) {
    std::string_view reason;
    char c = path[i], last = path[i - 1];
    auto byte = static_cast<unsigned char>(c);
    if (c == '\0')
      reason = "null character not allowed";
    else if (c == '/' && last == '/')
      reason = "empty node name specified";
    else if (c == '.' && at_end(i) && (last == '/' || (last == '.' && path[i - 2] == '/')))
      reason = "relative paths not allowed";
    else if (byte < 0x20 || byte == 0x7f)
      reason = "invalid character";
    if (!reason.empty())
      return fmt::format("Invalid path string \"{}\" caused by {} @{}", path, reason, i);
  }
  return {};
}

std::string_view security_protocol_name(int16_t id) {
  for (const ProtocolName& row : kProtocols)
    if (row.id == id) return row.name;
  return "";
}

std::string encode_broker(const BrokerRegistration& broker) {
  std::string out = R"({"features":{},"listener_security_protocol_map":{)";
  std::string endpoints;
  const BrokerEndpoint* plain = nullptr;
  for (const BrokerEndpoint& endpoint : broker.endpoints) {
    if (&endpoint != &broker.endpoints.front()) {
      out += ',';
      endpoints += ',';
    }
    put_json_text(out, endpoint.listener);
    out += ':';
    put_json_text(out, security_protocol_name(endpoint.security_protocol));
    put_json_text(endpoints, endpoint_text(endpoint));
    if (plain == nullptr && endpoint.security_protocol == 0) plain = &endpoint;
  }
  out += "},\"endpoints\":[" + endpoints + "],";
  if (broker.rack) out += "\"rack\":" + json_text(*broker.rack) + ",";
  out += fmt::format("\"jmx_port\":{},\"port\":{},\"host\":{},\"version\":5,\"timestamp\":\"{}\"}}",
                     broker.jmx_port, plain ? plain->port : -1,
                     plain ? json_text(plain->host) : "null", broker.timestamp_ms);
  return out;
}

Result<BrokerRegistration> decode_broker(int32_t id, std::string_view json) {
  auto object = parse_object(json);
  auto version = object ? int_at(*object, "version") : std::nullopt;
  if (!version || *version < 1) return bad(zpath::broker(id), json);
  BrokerRegistration broker;
  broker.id = id;
  broker.rack = text_at(*object, "rack");
  broker.jmx_port = int32_at(*object, "jmx_port").value_or(-1);
  broker.timestamp_ms = int_at(*object, "timestamp").value_or(0);
  if (*version == 1) {
    BrokerEndpoint endpoint{"PLAINTEXT", text_at(*object, "host").value_or(""),
                            int32_at(*object, "port").value_or(-1), 0};
    broker.endpoints.push_back(std::move(endpoint));
    return broker;
  }
  auto endpoints = object->find("endpoints");
  if (endpoints == object->end() || !endpoints->is_array()) return bad(zpath::broker(id), json);
  auto map = object->find("listener_security_protocol_map");
  for (const Json& text : *endpoints) {
    auto endpoint = text.is_string() ? parse_endpoint(text.get_ref<const std::string&>())
                                     : std::optional<BrokerEndpoint>();
    if (!endpoint) return bad(zpath::broker(id), json);
    std::string protocol = endpoint->listener;
    if (map != object->end() && map->is_object())
      if (auto mapped = text_at(*map, endpoint->listener.c_str())) protocol = *mapped;
    endpoint->security_protocol = security_protocol_id(protocol);
    broker.endpoints.push_back(std::move(*endpoint));
  }
  return broker;
}

std::string encode_controller(const ControllerNode& node) {
  return fmt::format(R"({{"version":2,"brokerid":{},"timestamp":"{}","kraftControllerEpoch":{}}})",
                     node.broker_id, node.timestamp_ms, node.kraft_epoch);
}
Result<ControllerNode> decode_controller(std::string_view json) {
  auto object = parse_object(json);
  auto id = object ? int32_at(*object, "brokerid") : std::nullopt;
  if (!id) return bad(zpath::kController, json);
  return ControllerNode{*id, int_at(*object, "timestamp").value_or(0),
                        int32_at(*object, "kraftControllerEpoch").value_or(-1)};
}

std::string encode_cluster_id(std::string_view id) {
  return fmt::format(R"({{"version":"1","id":{}}})", json_text(id));
}
Result<std::string> decode_cluster_id(std::string_view json) {
  auto object = parse_object(json);
  auto id = object ? text_at(*object, "id") : std::nullopt;
  if (!id || id->empty()) return bad(zpath::kClusterId, json);
  return *id;
}

std::string encode_topic(const TopicNode& topic) {
  std::string out = "{\"partitions\":" + replica_map(topic.partitions);
  if (topic.id) out += ",\"topic_id\":\"" + topic.id->to_string() + "\"";
  out += ",\"adding_replicas\":" + replica_map(topic.adding);
  out += ",\"removing_replicas\":" + replica_map(topic.removing);
  return out += ",\"version\":3}";
}
Result<TopicNode> decode_topic(std::string_view json) {
  TopicNode topic;
  auto object = parse_object(json);
  if (!object || !object->contains("partitions") ||
      !replica_map_at(*object, "partitions", topic.partitions) ||
      !replica_map_at(*object, "adding_replicas", topic.adding) ||
      !replica_map_at(*object, "removing_replicas", topic.removing))
    return bad("a topic's znode", json);
  if (auto id = text_at(*object, "topic_id")) {
    topic.id = kmsg::Uuid::from_string(*id);
    if (!topic.id) return bad("a topic's znode", json);
  }
  return topic;
}

std::string encode_partition_state(const PartitionState& state) {
  return fmt::format(
      R"({{"controller_epoch":{},"leader":{},"version":1{},"leader_epoch":{},"isr":{}}})",
      state.controller_epoch, state.leader, state.recovering ? ",\"leader_recovery_state\":1" : "",
      state.leader_epoch, int_list(state.isr));
}
Result<PartitionState> decode_partition_state(std::string_view json) {
  auto object = parse_object(json);
  if (!object) return bad("a partition's state znode", json);
  auto leader = int32_at(*object, "leader"), epoch = int32_at(*object, "leader_epoch"),
       controller = int32_at(*object, "controller_epoch");
  auto isr = object->contains("isr") ? ints((*object)["isr"]) : std::nullopt;
  if (!leader || !epoch || !controller || !isr) return bad("a partition's state znode", json);
  PartitionState state;
  state.leader = *leader;
  state.leader_epoch = *epoch;
  state.controller_epoch = *controller;
  state.isr = std::move(*isr);
  state.recovering = int_at(*object, "leader_recovery_state").value_or(0) == 1;
  return state;
}

std::string encode_config(const ConfigMap& config) {
  std::vector<std::string> keys;
  for (const auto& [key, value] : config) keys.push_back(key);
  std::string out = R"({"version":1,"config":{)";
  bool first = true;
  for (const std::string& key : properties_order(std::move(keys))) {
    if (!first) out += ',';
    first = false;
    put_json_text(out, key);
    out += ':';
    put_json_text(out, config.at(key));
  }
  return out += "}}";
}
Result<ConfigMap> decode_config(std::string_view json) {
  if (json.empty()) return ConfigMap{};
  auto object = parse_object(json);
  if (!object) return bad("a config znode", json);
  ConfigMap config;
  auto it = object->find("config");
  if (it == object->end() || !it->is_object()) return config;
  for (const auto& [key, value] : it->items())
    config[key] = value.is_string() ? value.get<std::string>() : value.dump();
  return config;
}

std::string encode_config_change(std::string_view entity_path) {
  return fmt::format(R"({{"version":2,"entity_path":{}}})", json_text(entity_path));
}
Result<std::string> decode_config_change(std::string_view json) {
  auto object = parse_object(json);
  if (!object) return bad("a config change notification", json);
  if (auto path = text_at(*object, "entity_path")) return *path;
  auto type = text_at(*object, "entity_type"), name = text_at(*object, "entity_name");
  if (!type || !name) return bad("a config change notification", json);
  return *type + "/" + *name;
}

std::string encode_log_dir_event(int32_t broker_id) {
  return fmt::format(R"({{"version":1,"broker":{},"event":1}})", broker_id);
}

std::string encode_producer_id_block(const ProducerIdBlock& block) {
  return fmt::format(R"({{"version":1,"broker":{},"block_start":"{}","block_end":"{}"}})",
                     block.broker_id, block.first, block.last);
}
Result<ProducerIdBlock> decode_producer_id_block(std::string_view json) {
  auto object = parse_object(json);
  auto broker = object ? int32_at(*object, "broker") : std::nullopt;
  auto first = object ? int_at(*object, "block_start") : std::nullopt;
  auto last = object ? int_at(*object, "block_end") : std::nullopt;
  if (!broker || !first || !last || *first < 0 || *last < *first)
    return bad(zpath::kProducerIds, json);
  return ProducerIdBlock{*broker, *first, *last};
}

std::string encode_feature_node() { return R"({"features":{},"version":2,"status":1})"; }

std::string encode_reassignments(const ReassignmentList& list) {
  std::string out = "{\"version\":1,\"partitions\":[";
  for (const auto& [tp, replicas] : list) {
    if (out.back() != '[') out += ',';
    std::string ids;
    for (int32_t id : replicas) ids += (ids.empty() ? "" : ",") + std::to_string(id);
    out += fmt::format(R"({{"topic":{},"partition":{},"replicas":[{}]}})", json_text(tp.first),
                       tp.second, ids);
  }
  return out += "]}";
}
Result<ReassignmentList> decode_reassignments(std::string_view json) {
  auto object = parse_object(json);
  if (!object || !object->contains("partitions") || !(*object)["partitions"].is_array())
    return bad(zpath::kReassign, json);
  ReassignmentList out;
  for (const Json& entry : (*object)["partitions"]) {
    if (!entry.is_object()) return bad(zpath::kReassign, json);
    auto topic = text_at(entry, "topic");
    auto partition = int32_at(entry, "partition");
    auto replicas = entry.contains("replicas") ? ints(entry["replicas"]) : std::nullopt;
    if (!topic || !partition || !replicas) return bad(zpath::kReassign, json);
    out.push_back({{std::move(*topic), *partition}, std::move(*replicas)});
  }
  return out;
}

Result<std::vector<std::pair<std::string, int32_t>>> decode_partition_list(std::string_view json) {
  auto object = parse_object(json);
  if (!object || !object->contains("partitions") || !(*object)["partitions"].is_array())
    return bad("a list of partitions", json);
  std::vector<std::pair<std::string, int32_t>> out;
  for (const Json& entry : (*object)["partitions"]) {
    if (!entry.is_object()) return bad("a list of partitions", json);
    auto topic = text_at(entry, "topic");
    auto partition = int32_at(entry, "partition");
    if (!topic || !partition) return bad("a list of partitions", json);
    out.emplace_back(std::move(*topic), *partition);
  }
  return out;
}

}  // namespace ottla::broker
