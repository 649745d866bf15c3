// Room broker/controller: consumer offsets in ZooKeeper. See the header.
#include "broker/controller/consumer_offsets.h"

#include <charconv>
#include <memory>
#include <set>

#include "broker/zk/znodes.h"
#include "proto/kafka/java_string.h"

namespace ottla::broker {

using kmsg::ErrorCode;

namespace {

// As the Java client judges a path before it sends it: the server would answer some of these
// otherwise. Topics are known here, so only the group can be at fault.
bool can_stand_in_path(std::string_view group) {
  bool valid = true;
  kmsg::for_each_utf16(group, [&](uint16_t unit) {
    bool control = unit <= 0x1f || (unit >= 0x7f && unit <= 0x9f);
    bool no_character = (unit >= 0xd800 && unit <= 0xf8ff) || unit >= 0xfff0;
    valid = valid && !control && !no_character;
  });
  for (size_t begin = 0; valid && begin <= group.size();) {
    size_t end = std::min(group.find('/', begin), group.size());
    std::string_view name = group.substr(begin, end - begin);
    valid = !name.empty() && name != "." && name != "..";
    begin = end + 1;
  }
  return valid;
}

struct Call {
  ZkClient& zk;
  std::string group;
  std::vector<ConsumerOffset> offsets;
  ConsumerOffsetsDone done;

  std::string path(size_t i) const {
    return zpath::consumer_offset(group, offsets[i].topic, offsets[i].partition);
  }
  ZkRequest set(size_t i) const {
    return ZkRequest::set(path(i), std::to_string(offsets[i].offset));
  }
  void conclude(size_t i, ZkError error) {
    if (error != ZkError::ok) offsets[i].error = ErrorCode::unknown_server_error;
  }
  void finish() { done(std::move(offsets)); }
  void refuse_all() {
    for (ConsumerOffset& one : offsets) {
      one.offset = -1;
      one.error = ErrorCode::unknown_server_error;
    }
    finish();
  }
};
using CallPtr = std::shared_ptr<Call>;

// Made meanwhile by another commit, or by our own first attempt whose reply was lost.
void set_again(CallPtr call, std::vector<size_t> places) {
  if (places.empty()) return call->finish();
  std::vector<ZkRequest> sets;
  for (size_t i : places) sets.push_back(call->set(i));
  call->zk.submit_all(std::move(sets), [call, places](std::vector<ZkReply> replies) {
    for (size_t k = 0; k < places.size(); ++k) call->conclude(places[k], replies[k].error);
    call->finish();
  });
}

void create_missing(CallPtr call, std::vector<size_t> places) {
  if (places.empty()) return call->finish();
  std::set<std::string> parents;  // in this order each comes after its own parent
  std::vector<ZkRequest> leaves;
  for (size_t i : places) {
    std::string path = call->path(i);
    for (size_t slash = path.find('/', 1); slash != std::string::npos;
         slash = path.find('/', slash + 1))
      parents.insert(path.substr(0, slash));
    leaves.push_back(ZkRequest::create(path, std::to_string(call->offsets[i].offset)));
  }
  std::vector<ZkRequest> creates;
  for (const std::string& parent : parents)
    creates.push_back(ZkRequest::create(parent, std::nullopt));
  size_t first_leaf = creates.size();
  for (ZkRequest& leaf : leaves) creates.push_back(std::move(leaf));
  call->zk.submit_all(std::move(creates), [call, places, first_leaf](std::vector<ZkReply> replies) {
    std::vector<size_t> there;
    for (size_t k = 0; k < places.size(); ++k) {
      ZkError error = replies[first_leaf + k].error;
      if (error == ZkError::node_exists)
        there.push_back(places[k]);
      else
        call->conclude(places[k], error);
    }
    set_again(call, std::move(there));
  });
}

// Java's Long.parseLong, for what a tool may have written by hand.
std::optional<int64_t> parse_offset(std::string_view text) {
  if (text.starts_with('+') && !text.starts_with("+-")) text.remove_prefix(1);
  int64_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

void take(ConsumerOffset& one, const ZkReply& reply) {
  bool missing = reply.error == ZkError::no_node || (reply.ok() && !reply.data);
  std::optional<int64_t> found =
      reply.ok() && reply.data ? parse_offset(*reply.data) : std::optional<int64_t>();
  one.offset = found.value_or(-1);
  if (found) return;
  one.error = missing ? ErrorCode::unknown_topic_or_partition : ErrorCode::unknown_server_error;
}

}  // namespace

void write_consumer_offsets(ZkClient& zk, std::string group, std::vector<ConsumerOffset> offsets,
                            ConsumerOffsetsDone done) {
  auto call =
      std::make_shared<Call>(Call{zk, std::move(group), std::move(offsets), std::move(done)});
  if (call->offsets.empty()) return call->finish();
  if (!can_stand_in_path(call->group)) return call->refuse_all();
  std::vector<ZkRequest> sets;
  for (size_t i = 0; i < call->offsets.size(); ++i) sets.push_back(call->set(i));
  zk.submit_all(std::move(sets), [call](std::vector<ZkReply> replies) {
    std::vector<size_t> missing;
    for (size_t i = 0; i < replies.size(); ++i) {
      if (replies[i].error == ZkError::no_node)
        missing.push_back(i);
      else
        call->conclude(i, replies[i].error);
    }
    create_missing(call, std::move(missing));
  });
}

void read_consumer_offsets(ZkClient& zk, std::string group, std::vector<ConsumerOffset> offsets,
                           ConsumerOffsetsDone done) {
  auto call =
      std::make_shared<Call>(Call{zk, std::move(group), std::move(offsets), std::move(done)});
  if (call->offsets.empty()) return call->finish();
  if (!can_stand_in_path(call->group)) return call->refuse_all();
  std::vector<ZkRequest> gets;
  for (size_t i = 0; i < call->offsets.size(); ++i) gets.push_back(ZkRequest::get(call->path(i)));
  zk.submit_all(std::move(gets), [call](std::vector<ZkReply> replies) {
    for (size_t i = 0; i < replies.size(); ++i) take(call->offsets[i], replies[i]);
    call->finish();
  });
}

}  // namespace ottla::broker
