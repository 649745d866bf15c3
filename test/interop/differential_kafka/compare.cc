#include "test/interop/differential_kafka/compare.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstdlib>
#include <set>

#include "broker/record/legacy.h"
#include "broker/record/record_reader.h"
#include "proto/kafka/coordinator_records.h"

namespace ottla::differential {
namespace {

struct Node {
  std::string label;    // "error_code", "[2]"
  std::string pattern;  // of the field
  std::string value;    // of a leaf
  bool is_list = false;
  std::vector<Node> children;

  std::string text() const {
    if (children.empty()) return value;
    std::string all = value + "{";
    for (const Node& child : children) all += child.text() + ";";
    return all + "}";
  }
};

std::string shown(std::string_view text) {
  std::string out = "\"";
  for (unsigned char c : text.substr(0, 300))
    out += c >= 32 && c < 127 ? std::string(1, static_cast<char>(c)) : fmt::format("\\x{:02x}", c);
  return out + "\"";
}

// Bytes that are no UTF-8 come back from Apache's as U+FFFD: docs/compat.md.
std::string java_text(const std::string& text) {
  std::string out;
  for (char c : text) {
    bool high = static_cast<unsigned char>(c) >= 0x80;
    if (!high)
      out += c;
    else if (out.empty() || out.back() != '\x7f')
      out += '\x7f';
  }
  return out;
}

class TreeBuilder : public wire::Walker {
 public:
  TreeBuilder() { stack_.push_back(&root); }
  Node root;

  void boolean(const wire::FieldInfo& f, bool& value) override {
    leaf(f, value ? "true" : "false");
  }
  void integer(const wire::FieldInfo& f, int64_t& value, int64_t, int64_t) override {
    leaf(f, std::to_string(value));
  }
  void real(const wire::FieldInfo& f, double& value) override { leaf(f, fmt::format("{}", value)); }
  void text(const wire::FieldInfo& f, std::string& value) override {
    leaf(f, shown(java_text(value)));
  }
  void bytes(const wire::FieldInfo& f, std::string& value) override {
    leaf(f, to_hex(as_bytes(value)));
  }
  void uuid(const wire::FieldInfo& f, std::span<uint8_t, 16> value) override {
    leaf(f, shown(as_text(value)));
  }
  void records(const wire::FieldInfo& f, Bytes& value, bool& is_null) override {
    leaf(f, is_null ? "null" : describe_records(value));
  }
  bool present(const wire::FieldInfo& f, bool is) override {
    if (!is) leaf(f, "null");
    return is;
  }
  void list(const wire::FieldInfo& f, wire::List&) override {
    push(f);
    stack_.back()->is_list = true;
  }
  void end_list(const wire::FieldInfo&) override { stack_.pop_back(); }
  void open(const wire::FieldInfo& f) override { push(f); }
  void close(const wire::FieldInfo&) override { stack_.pop_back(); }

 private:
  // Children are only appended to the node on top, so that pointers below it stay good.
  Node& add(const wire::FieldInfo& f) {
    Node& parent = *stack_.back();
    std::string label =
        parent.is_list ? fmt::format("[{}]", parent.children.size()) : std::string(f.name);
    parent.children.push_back({std::move(label), pattern(), {}, false, {}});
    return parent.children.back();
  }
  void leaf(const wire::FieldInfo& f, std::string value) { add(f).value = std::move(value); }
  void push(const wire::FieldInfo& f) { stack_.push_back(&add(f)); }

  std::vector<Node*> stack_;
};

const Rule* find_rule(int16_t key, const std::string& pattern, Allow allow) {
  for (const Rule& rule : allowed_differences())
    if ((rule.key == key || rule.key < 0) && rule.pattern == pattern && rule.allow == allow)
      return &rule;
  return nullptr;
}

// Numbers of thirteen digits and more become one word: times in milliseconds, and sums with them.
std::string without_times(const std::string& text) {
  std::string out;
  for (size_t i = 0; i < text.size();) {
    size_t end = i;
    while (end < text.size() && text[end] >= '0' && text[end] <= '9') ++end;
    if (end - i >= 13)
      out += "#", i = end;
    else
      out += text[i++];
  }
  return out;
}

class Comparer {
 public:
  explicit Comparer(int16_t key) : key_(key) {}
  std::vector<Difference> found;

  void run(Node& a, Node& o, const std::string& path) {
    if (found.size() >= 8) return;
    if (find_rule(key_, a.pattern, Allow::ignore)) return;
    if (a.is_list && o.is_list) {
      if (find_rule(key_, a.pattern, Allow::common_only)) keep_common(a, o);
      if (find_rule(key_, a.pattern, Allow::unordered)) put_in_order(a), put_in_order(o);
    }
    if (a.value != o.value && !may_differ(a, o))
      found.push_back({path, a.pattern, a.text(), o.text()});
    if (a.children.size() != o.children.size()) {
      found.push_back({path + "#", a.pattern + "#",
                       fmt::format("{} with {}", a.children.size(), cut(only_in(a, o))),
                       fmt::format("{} with {}", o.children.size(), cut(only_in(o, a)))});
      return;
    }
    for (size_t i = 0; i < a.children.size(); ++i) {
      Node& child = a.children[i];
      std::string below =
          path.empty() || child.label[0] == '[' ? path + child.label : path + "." + child.label;
      run(child, o.children[i], below);
    }
  }

 private:
  static std::string only_in(const Node& list, const Node& other) {
    std::set<std::string> known;
    for (const Node& each : other.children) known.insert(each.text());
    std::string all;
    for (const Node& each : list.children)
      if (!known.contains(each.text())) all += each.text() + ";";
    return all;
  }
  static std::string cut(std::string text) {
    if (text.size() > 600) text = text.substr(0, 600) + "...";
    return text;
  }
  // Of several names that are none, a hash map says which is told: docs/compat.md.
  static std::string without_choice(const Node& leaf) {
    constexpr std::string_view kUnknown = "Unknown topic config name: ";
    size_t at =
        leaf.pattern.ends_with("error_message") ? leaf.value.find(kUnknown) : std::string::npos;
    return at == std::string::npos ? leaf.value : leaf.value.substr(0, at + kUnknown.size());
  }
  // Leaves that rules pass over must not decide the order.
  std::string order_key(const Node& node) const {
    if (find_rule(key_, node.pattern, Allow::ignore)) return {};
    if (node.children.empty())
      return find_rule(key_, node.pattern, Allow::text) ? std::string() : without_choice(node);
    std::string all;
    for (const Node& child : node.children) all += order_key(child) + ";";
    return all;
  }
  void put_in_order(Node& list) const {
    std::sort(list.children.begin(), list.children.end(),
              [&](const Node& x, const Node& y) { return order_key(x) < order_key(y); });
  }
  static void keep_common(Node& a, Node& o) {
    auto first = [](const Node& n) { return n.children.empty() ? n.value : n.children[0].text(); };
    auto names = [&](const Node& list) {
      std::set<std::string> all;
      for (const Node& n : list.children) all.insert(first(n));
      return all;
    };
    auto in_a = names(a), in_o = names(o);
    std::erase_if(a.children, [&](const Node& n) { return !in_o.contains(first(n)); });
    std::erase_if(o.children, [&](const Node& n) { return !in_a.contains(first(n)); });
  }
  bool may_differ(const Node& a, const Node& o) const {
    if (find_rule(key_, a.pattern, Allow::text)) return true;
    if (find_rule(key_, a.pattern, Allow::near))
      return std::llabs(std::atoll(a.value.c_str()) - std::atoll(o.value.c_str())) < 30'000;
    if (find_rule(key_, a.pattern, Allow::times))
      return without_times(a.value) == without_times(o.value);
    if (without_choice(a) == without_choice(o)) return true;
    return find_rule(key_, a.pattern, Allow::both_set) && a.value[0] != '-' && o.value[0] != '-';
  }

  int16_t key_;
};

// Keys of letters do not begin so.
bool is_of_group(const broker::RawBatch& raw) {
  bool is = false;
  (void)broker::each_record(raw, [&](const broker::Record& r) {
    is = r.key && r.key->size() > 4 && (*r.key)[0] == 0 && (*r.key)[1] < 4;
    return false;
  });
  return is;
}

// "client-0f3a..." without the UUID that a server made.
std::string without_uuid(const std::string& id) {
  constexpr size_t kUuidText = 36;
  bool made = id.size() > kUuidText && id[id.size() - kUuidText - 1] == '-';
  return made ? id.substr(0, id.size() - kUuidText) + "#" : id;
}

template <class M>
bool decode_versioned(Bytes bytes, M& message, int16_t& version) {
  wire::Reader r(bytes);
  version = r.i16();
  return version >= 0 && version < 10 && message.decode(r, version) && r.at_end();
}

// A record of the group coordinator without times and what is made at random.
std::string describe_group_record(Bytes key, const std::optional<Bytes>& value) {
  int16_t version = 0;
  if (kmsg::OffsetCommitKey at; key[1] < 2 && decode_versioned(key, at, version)) {
    std::string out =
        fmt::format("offset v{} {} {}-{}", version, shown(at.group), shown(at.topic), at.partition);
    kmsg::OffsetCommitValue is;
    if (!value) return out + " gone";
    if (!decode_versioned(*value, is, version)) return out + " unreadable";
    return out + fmt::format(" v{} {} epoch {} {} {}", version, is.offset, is.leader_epoch,
                             shown(is.metadata), is.expire_timestamp == -1 ? "" : "expires");
  }
  kmsg::GroupMetadataKey at;
  if (!decode_versioned(key, at, version)) return "unreadable " + to_hex(key);
  std::string out = fmt::format("group v{} {}", version, shown(at.group));
  if (!value) return out + " gone";
  kmsg::GroupMetadataValue is;
  if (!decode_versioned(*value, is, version)) return out + " unreadable";
  out += fmt::format(" v{} {} generation {} {} leader {}", version, shown(is.protocol_type),
                     is.generation, is.protocol.value_or("null"),
                     without_uuid(is.leader.value_or("null")));
  std::vector<std::string> members;
  for (const auto& m : is.members)
    members.push_back(fmt::format(" <{} {} {} {} {} {} {} {}>", without_uuid(m.member_id),
                                  m.group_instance_id.value_or("null"), shown(m.client_id),
                                  m.client_host, m.rebalance_timeout, m.session_timeout,
                                  to_hex(as_bytes(m.subscription)),
                                  to_hex(as_bytes(m.assignment))));
  std::sort(members.begin(), members.end());
  for (const std::string& m : members) out += m;
  return out;
}

// Several offsets of one commit stand in a map's order.
std::string describe_group_batch(const broker::RawBatch& raw) {
  std::vector<std::string> all;
  (void)broker::each_record(raw, [&](const broker::Record& r) {
    all.push_back(r.key && r.key->size() > 2 ? describe_group_record(*r.key, r.value) : "no key");
    return true;
  });
  std::sort(all.begin(), all.end());
  std::string out;
  for (const std::string& each : all) out += " (" + each + ")";
  return out;
}

std::string bytes_or_null(const std::optional<Bytes>& bytes) {
  return bytes ? shown(as_text(*bytes).substr(0, 40)) + fmt::format("/{}", bytes->size()) : "null";
}

constexpr int16_t kLastConverted = 3;  // version of Fetch
constexpr std::string_view kCompressed = ", some compressed", kRest = " rest ",
                           kRestFrom = " bytes from ";

// Damaged frames name a topic twice: docs/compat.md.
template <class Topics>
void join_same(Topics& all) {
  for (size_t i = 0; i < all.size(); ++i)
    for (size_t j = all.size(); --j > i;) {
      if (all[j].name != all[i].name) continue;
      for (auto& from : all[j].partitions) {
        bool known = false;
        for (const auto& to : all[i].partitions)
          known |= to.partition_index == from.partition_index;
        if (!known) all[i].partitions.push_back(std::move(from));
      }
      all.erase(all.begin() + static_cast<ptrdiff_t>(j));
    }
}

// A topic stands twice where the order of a session's partitions has others in between.
void join_topics(kmsg::FetchResponse& response) {
  auto& all = response.responses;
  for (size_t i = 0; i < all.size(); ++i)
    for (size_t j = all.size(); --j > i;) {
      if (all[j].topic != all[i].topic || all[j].topic_id != all[i].topic_id) continue;
      auto& from = all[j].partitions;
      std::move(from.begin(), from.end(), std::back_inserter(all[i].partitions));
      all.erase(all.begin() + static_cast<ptrdiff_t>(j));
    }
}

// A broker's loggers are its own, and so are their levels: docs/compat.md.
void forget_loggers(kmsg::DescribeConfigsResponse& response) {
  constexpr int8_t kBrokerLogger = 8;
  for (auto& result : response.results)
    if (result.resource_type == kBrokerLogger) result.configs.clear();
}

// The whole batches of describe_records, each in words. The last may be cut, and what follows it is
// told with it.
std::vector<std::string> batches_of(const std::string& text) {
  std::vector<std::string> all;
  for (size_t at = text.find(" ["); at != std::string::npos;) {
    size_t next = text.find(" [", at + 1);
    all.push_back(text.substr(at, next == std::string::npos ? next : next - at));
    at = next;
  }
  if (!all.empty() && all.back().find("] rest") != std::string::npos)
    all.back() = all.back().substr(0, all.back().find("] rest") + 1);
  return all;
}
bool begin_alike(const std::vector<std::string>& a, const std::vector<std::string>& o) {
  auto shorter = static_cast<ptrdiff_t>(std::min(a.size(), o.size()));
  return std::equal(a.begin(), a.begin() + shorter, o.begin());
}

// docs/compat.md: what an old client is sent again behind itself, by Apache's.
bool is_repeated_batch(const std::string& apache, const std::string& ours) {
  auto a = batches_of(apache), o = batches_of(ours);
  if (a.empty() || o.empty()) return false;
  for (size_t i = 1; i < a.size(); ++i)
    if (a[i] == a[0]) {
      // The first batch became `i` messages; they come again.
      size_t end = std::min(2 * i, a.size());
      if (!std::equal(a.begin() + static_cast<ptrdiff_t>(i),
                      a.begin() + static_cast<ptrdiff_t>(end), a.begin()))
        return false;
      a.erase(a.begin() + static_cast<ptrdiff_t>(i), a.begin() + static_cast<ptrdiff_t>(end));
      return begin_alike(a, o);
    }
  // They come again and are cut in the first of them.
  size_t from = apache.find(kRestFrom);
  return from != std::string::npos && begin_alike(a, o) &&
         a[0].substr(sizeof(" [v0 ") - 1).starts_with(apache.substr(from + kRestFrom.size()) + " ");
}

// How long a compressed batch is, is its library's business. For an old client, of whose answer the
// length is fixed before anything is converted, that decides how many batches are in it whole.
bool is_codec_alone(int16_t version, const std::string& apache, const std::string& ours) {
  auto length = [](const std::string& set) { return set.substr(0, set.find(' ')); };
  auto holds = [](const std::string& set, std::string_view what) {
    return set.find(what) != std::string::npos;
  };
  if (!holds(apache, kCompressed) && !holds(ours, kCompressed)) return false;
  auto a = batches_of(apache), o = batches_of(ours);
  if (version <= kLastConverted) return length(apache) == length(ours) ? begin_alike(a, o) : a == o;
  return a == o && !holds(apache, kRest) && !holds(ours, kRest);
}

}  // namespace

std::vector<Difference> compare(int16_t key, int16_t version, Message& apache, Message& ours) {
  if (auto* fetched = body_of<kmsg::FetchResponse>(&apache)) join_topics(*fetched);
  if (auto* fetched = body_of<kmsg::FetchResponse>(&ours)) join_topics(*fetched);
  for (Message* each : {&apache, &ours})
    if (auto* configs = body_of<kmsg::DescribeConfigsResponse>(each)) forget_loggers(*configs);
  for (Message* each : {&apache, &ours}) {
    // A topic of which no partition was named: docs/compat.md. Frames that are damaged have such.
    auto bare = [](const auto& topic) { return topic.partitions.empty(); };
    if (auto* offsets = body_of<kmsg::OffsetFetchResponse>(each)) {
      join_same(offsets->topics);
      std::erase_if(offsets->topics, bare);
      for (auto& group : offsets->groups)
        join_same(group.topics), std::erase_if(group.topics, bare);
    }
    if (auto* epochs = body_of<kmsg::OffsetForLeaderEpochResponse>(each)) {
      for (size_t i = 0; i < epochs->topics.size(); ++i)
        for (size_t j = epochs->topics.size(); --j > i;)
          if (epochs->topics[i].topic == epochs->topics[j].topic) {
            auto& from = epochs->topics[j].partitions;
            std::move(from.begin(), from.end(), std::back_inserter(epochs->topics[i].partitions));
            epochs->topics.erase(epochs->topics.begin() + static_cast<ptrdiff_t>(j));
          }
    }
    if (auto* times = body_of<kmsg::ListOffsetsResponse>(each)) join_same(times->topics);
    if (auto* producers = body_of<kmsg::DescribeProducersResponse>(each))
      join_same(producers->topics);
  }
  TreeBuilder a, o;
  apache.walk_fields(a, version);
  ours.walk_fields(o, version);
  Comparer comparer(key);
  comparer.run(a.root, o.root, "");
  if (key == kmsg::FetchResponse::kApiKey)
    std::erase_if(comparer.found, [&](const Difference& d) {
      if (!d.pattern.ends_with(".records")) return false;
      return is_codec_alone(version, d.apache, d.ours) ||
             (version <= kLastConverted && is_repeated_batch(d.apache, d.ours));
    });
  return comparer.found;
}

std::string describe_records(Bytes set) {
  using namespace broker;
  std::string out = fmt::format("{} bytes", set.size());
  BatchCursor cursor(set);
  bool compressed = false;
  while (auto raw = cursor.next()) {
    bool appended = false;
    size_t before = out.size();
    if (raw->magic == kMagicV2) {
      BatchView b(raw->bytes);
      // A marker bears the time when it was written.
      appended = b.timestamp_type() == TimestampType::log_append_time || b.control();
      compressed |= b.codec_id() != 0;
      out += fmt::format(" [v2 {}+{} epoch {} attr {:x} pid {}/{} seq {} n {} {} ts {}..{}",
                         b.base_offset(), b.last_offset_delta(), b.leader_epoch(), b.attributes(),
                         b.producer_id(), b.producer_epoch(), b.base_sequence(), b.record_count(),
                         b.crc_ok() ? "crc ok" : "crc bad",
                         b.control() ? "now" : std::to_string(b.base_timestamp()),
                         appended ? "now" : std::to_string(b.max_timestamp()));
      if (!b.control() && is_of_group(*raw)) {
        out.resize(before);
        out += fmt::format(" [v2 {}+{} epoch {} attr {:x} pid {}/{} n {}{}]", b.base_offset(),
                           b.last_offset_delta(), b.leader_epoch(), b.attributes(), b.producer_id(),
                           b.producer_epoch(), b.record_count(), describe_group_batch(*raw));
        continue;
      }
    } else if (is_of_group(*raw)) {
      // Converted one by one, in that map's order, so that a limit cuts them elsewhere.
      return "records of groups, converted";
    } else {
      LegacyView view(*raw);
      appended = view.timestamp_type() == TimestampType::log_append_time;
      compressed |= view.codec_id() != 0;
      out += fmt::format(" [v{} {} attr {:x} {} ts {}", raw->magic, view.offset(),
                         view.attributes(), view.crc_ok() ? "crc ok" : "crc bad",
                         appended ? "now" : std::to_string(view.timestamp()));
    }
    auto read = each_record(*raw, [&](const Record& r) {
      out +=
          fmt::format(" ({} {} k{} v{}", r.offset, appended ? "now" : std::to_string(r.timestamp),
                      bytes_or_null(r.key), bytes_or_null(r.value));
      for (const Header& h : r.headers)
        out += fmt::format(" {}={}", shown(as_text(h.key)), bytes_or_null(h.value));
      out += ")";
      return true;
    });
    if (!read) out += " unreadable";
    out += "]";
  }
  if (compressed) out.insert(out.find(" bytes") + 6, kCompressed);
  if (cursor.position() < set.size())
    out += fmt::format("{}{}", kRest, set.size() - cursor.position());
  if (cursor.position() + sizeof(int64_t) <= set.size())
    out += fmt::format("{}{}", kRestFrom, load_be<int64_t>(set.data() + cursor.position()));
  return out;
}

}  // namespace ottla::differential
