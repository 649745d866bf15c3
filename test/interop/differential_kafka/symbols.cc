#include "test/interop/differential_kafka/symbols.h"

#include <fmt/core.h>

#include <cstring>

namespace ottla::differential {
namespace {

constexpr size_t kUuidText = 36;
constexpr int32_t kFirstSession = 1'600'000'000;

// "client-" of "client-0f3a...": server-made ids end in a UUID; empty for any other text.
std::string made_from(const std::string& id) {
  if (id.size() <= kUuidText || id[id.size() - kUuidText - 1] != '-') return {};
  return id.substr(0, id.size() - kUuidText);
}

struct Renamer : wire::Walker {
  const std::map<std::string, std::string>& texts;
  const std::map<std::string, std::string>& uuids;
  const std::map<int64_t, int64_t>& sessions;

  const std::vector<std::pair<std::string, std::string>>* own = nullptr;

  Renamer(const std::map<std::string, std::string>& t, const std::map<std::string, std::string>& u,
          const std::map<int64_t, int64_t>& s)
      : texts(t), uuids(u), sessions(s) {}

  void text(const wire::FieldInfo&, std::string& value) override {
    if (auto found = texts.find(value); found != texts.end()) {
      value = found->second;
      return;
    }
    // Inside an error message, a path, a list of listeners.
    if (own)
      for (const auto& [from, to] : *own)
        for (size_t at; (at = value.find(from)) != std::string::npos;)
          value.replace(at, from.size(), to);
    if (value.size() <= kUuidText) return;
    for (const auto& [from, to] : texts)
      if (size_t at = value.find(from); at != std::string::npos) value.replace(at, from.size(), to);
  }
  void uuid(const wire::FieldInfo&, std::span<uint8_t, 16> value) override {
    auto found = uuids.find(std::string(value.begin(), value.end()));
    if (found != uuids.end()) std::memcpy(value.data(), found->second.data(), 16);
  }
  void integer(const wire::FieldInfo& info, int64_t& value, int64_t, int64_t) override {
    if (info.name != "session_id") return;
    if (auto found = sessions.find(value); found != sessions.end()) value = found->second;
  }
};

}  // namespace

void Symbols::learn_member(const std::string& apache, const std::string& ours) {
  std::string prefix = made_from(apache);
  if (prefix.empty() || prefix != made_from(ours)) return;
  if (to_symbol_[0].texts.contains(apache) || to_symbol_[1].texts.contains(ours)) return;
  std::string symbol = fmt::format("{}@{}", prefix, ++next_);
  const std::string* values[] = {&apache, &ours};
  for (int i = 0; i < kServers; ++i) {
    to_symbol_[i].texts[*values[i]] = symbol;
    to_value_[i].texts[symbol] = *values[i];
  }
}

// Members that wait for their answer are seen here first. Each has a client id of its own, so that
// the one new id with a prefix on one side is the one new id with it on the other.
template <class Members>
void Symbols::learn_members(const Members& apache, const Members& ours) {
  for (const auto& a : apache)
    for (const auto& o : ours)
      if (!made_from(a.member_id).empty() && made_from(a.member_id) == made_from(o.member_id))
        learn_member(a.member_id, o.member_id);
}

void Symbols::learn_topic(const std::string& topic, const kmsg::Uuid& apache,
                          const kmsg::Uuid& ours) {
  if (apache.is_zero() || ours.is_zero()) return;
  std::string text[] = {std::string(apache.bytes.begin(), apache.bytes.end()),
                        std::string(ours.bytes.begin(), ours.bytes.end())};
  if (to_symbol_[0].uuids.contains(text[0]) || to_symbol_[1].uuids.contains(text[1])) return;
  std::string symbol = fmt::format("topic-id-{:07}", ++next_);
  for (int i = 0; i < kServers; ++i) {
    to_symbol_[i].uuids[text[i]] = symbol;
    to_value_[i].uuids[symbol] = text[i];
  }
  kmsg::Uuid named;
  std::memcpy(named.bytes.data(), symbol.data(), 16);
  topics_[topic] = named;
}

void Symbols::learn_session(int32_t apache, int32_t ours) {
  if (apache == 0 || ours == 0 || to_symbol_[0].sessions.contains(apache)) return;
  int32_t symbol = kFirstSession + ++next_;
  to_symbol_[0].sessions[apache] = symbol;
  to_symbol_[1].sessions[ours] = symbol;
  to_value_[0].sessions[symbol] = apache;
  to_value_[1].sessions[symbol] = ours;
}

void Symbols::add_own(const std::string& apache, const std::string& ours,
                      const std::string& symbol) {
  own_[0].push_back({apache, symbol});
  own_[1].push_back({ours, symbol});
}

void Symbols::learn(int16_t key, Message& apache, Message& ours) {
  switch (key) {
    case kmsg::JoinGroupResponse::kApiKey: {
      auto& a = *body_of<kmsg::JoinGroupResponse>(&apache);
      auto& o = *body_of<kmsg::JoinGroupResponse>(&ours);
      learn_member(a.member_id, o.member_id);
      return learn_members(a.members, o.members);
    }
    case kmsg::DescribeGroupsResponse::kApiKey: {
      auto& a = body_of<kmsg::DescribeGroupsResponse>(&apache)->groups;
      auto& o = body_of<kmsg::DescribeGroupsResponse>(&ours)->groups;
      for (size_t i = 0; i < a.size() && i < o.size(); ++i)
        learn_members(a[i].members, o[i].members);
      return;
    }
    case kmsg::FetchResponse::kApiKey:
      return learn_session(body_of<kmsg::FetchResponse>(&apache)->session_id,
                           body_of<kmsg::FetchResponse>(&ours)->session_id);
    case kmsg::MetadataResponse::kApiKey:
      for (const auto& a : body_of<kmsg::MetadataResponse>(&apache)->topics)
        for (const auto& o : body_of<kmsg::MetadataResponse>(&ours)->topics)
          if (a.name && a.name == o.name) learn_topic(*a.name, a.topic_id, o.topic_id);
      return;
    case kmsg::CreateTopicsResponse::kApiKey:
      for (const auto& a : body_of<kmsg::CreateTopicsResponse>(&apache)->topics)
        for (const auto& o : body_of<kmsg::CreateTopicsResponse>(&ours)->topics)
          if (a.name == o.name) learn_topic(a.name, a.topic_id, o.topic_id);
      return;
    default:
      return;
  }
}

void Symbols::make_concrete(int server, Message& request, int16_t version) const {
  const Names& names = to_value_[server];
  Renamer renamer(names.texts, names.uuids, names.sessions);
  request.walk_fields(renamer, version);
}

void Symbols::make_symbolic(int server, Message& reply, int16_t version) const {
  const Names& names = to_symbol_[server];
  Renamer renamer(names.texts, names.uuids, names.sessions);
  renamer.own = &own_[server];
  reply.walk_fields(renamer, version);
}

bool Symbols::topic_id(const std::string& topic, kmsg::Uuid& symbol) const {
  auto found = topics_.find(topic);
  if (found != topics_.end()) symbol = found->second;
  return found != topics_.end();
}

}  // namespace ottla::differential
