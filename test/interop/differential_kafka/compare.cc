#include "test/interop/differential_kafka/compare.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstdlib>
#include <set>

#include "broker/record/legacy.h"
#include "broker/record/record_reader.h"

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
  void text(const wire::FieldInfo& f, std::string& value) override { leaf(f, shown(value)); }
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
                       fmt::format("{} of {}", a.children.size(), cut(a.text())),
                       fmt::format("{} of {}", o.children.size(), cut(o.text()))});
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
  static std::string cut(std::string text) {
    if (text.size() > 600) text = text.substr(0, 600) + "...";
    return text;
  }
  // Leaves that rules pass over must not decide the order.
  std::string order_key(const Node& node) const {
    if (find_rule(key_, node.pattern, Allow::ignore)) return {};
    if (node.children.empty())
      return find_rule(key_, node.pattern, Allow::text) ? std::string() : node.value;
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
    return find_rule(key_, a.pattern, Allow::both_set) && a.value[0] != '-' && o.value[0] != '-';
  }

  int16_t key_;
};

// Random member ids and times stand in a group's records; keys of letters do not begin so.
bool is_of_group(const broker::RawBatch& raw) {
  bool is = false;
  (void)broker::each_record(raw, [&](const broker::Record& r) {
    is = r.key && r.key->size() > 4 && (*r.key)[0] == 0 && (*r.key)[1] < 4;
    return false;
  });
  return is;
}

std::string bytes_or_null(const std::optional<Bytes>& bytes) {
  return bytes ? shown(as_text(*bytes).substr(0, 40)) + fmt::format("/{}", bytes->size()) : "null";
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

}  // namespace

std::vector<Difference> compare(int16_t key, int16_t version, Message& apache, Message& ours) {
  if (auto* fetched = body_of<kmsg::FetchResponse>(&apache)) join_topics(*fetched);
  if (auto* fetched = body_of<kmsg::FetchResponse>(&ours)) join_topics(*fetched);
  TreeBuilder a, o;
  apache.walk_fields(a, version);
  ours.walk_fields(o, version);
  Comparer comparer(key);
  comparer.run(a.root, o.root, "");
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
      appended = b.timestamp_type() == TimestampType::log_append_time;
      compressed |= b.codec_id() != 0;
      out += fmt::format(" [v2 {}+{} epoch {} attr {:x} pid {}/{} seq {} n {} {} ts {}..{}",
                         b.base_offset(), b.last_offset_delta(), b.leader_epoch(), b.attributes(),
                         b.producer_id(), b.producer_epoch(), b.base_sequence(), b.record_count(),
                         b.crc_ok() ? "crc ok" : "crc bad", b.base_timestamp(),
                         appended ? "now" : std::to_string(b.max_timestamp()));
      // The group coordinator's: the clock, and several offsets in a map's order.
      if (!b.control() && is_of_group(*raw)) {
        out.resize(before);
        out += fmt::format(" [of a group {}+{} {} bytes]", b.base_offset(), b.last_offset_delta(),
                           raw->bytes.size());
        continue;
      }
    } else if (is_of_group(*raw)) {
      out += " [of a group]";
      continue;
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
  // A cut batch shows how large the whole one is, which is the codec's business when it is
  // compressed.
  if (cursor.position() < set.size())
    out += fmt::format(" rest {} bytes", set.size() - cursor.position());
  if (compressed && cursor.at_end()) out.replace(0, out.find(' '), "compressed");
  return out;
}

}  // namespace ottla::differential
