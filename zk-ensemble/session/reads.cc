// Reads: answered from the applied tree, with the ids the request was sent with. Paths are not
// validated; a path that is null on the wire is a marshalling error, as anything that does not
// decode.
#include <algorithm>

#include "common/base/check.h"
#include "zk-ensemble/session/pipeline.h"
#include "zk-ensemble/session/pipeline_state.h"
#include "zk-ensemble/tree/jute_io.h"
#include "zk-ensemble/tree/path.h"

namespace ottla::zk {

namespace {

constexpr int32_t kPingXid = -2;
constexpr int64_t kSynthesized = -1;  // zxid of events that set_watches makes up
// A multi may ask for the same large node tens of thousands of times: behind so many bytes its reads
// are refused one by one.
constexpr size_t kMultiReadBytes = 64 << 20;
// All of an answer but data and lists: header, counts, a stat.
constexpr size_t kSmallAnswerBytes = 128;

void put_data(const Node& node, wire::Writer& out) {
  if (node.data_is_null()) return out.i32(-1);
  out.i32(static_cast<int32_t>(node.data().size()));
  out.raw(node.data());
}

// Gives the bytes of the names.
size_t put_children(const Node& node, wire::Writer& out) {
  size_t bytes = 0;
  out.i32(node.children());
  for (const Node* child = node.first_child(); child != nullptr; child = child->next_sibling()) {
    put_string(out, child->name());
    bytes += child->name().size();
  }
  return bytes;
}

// The hash behind a digest id is for those alone who may set it.
void put_masked(const AclList& acls, wire::Writer& out) {
  AclList masked = acls;
  for (Acl& acl : masked)
    if (size_t colon = acl.id.id.find(':'); acl.id.scheme == "digest" && colon != std::string::npos)
      acl.id.id.replace(colon, std::string::npos, ":x");
  encode_acls(out, masked);
}

bool blank_or_root(std::string_view prefix) {
  auto space = [](char c) { return static_cast<uint8_t>(c) <= ' '; };
  while (!prefix.empty() && space(prefix.front())) prefix.remove_prefix(1);
  while (!prefix.empty() && space(prefix.back())) prefix.remove_suffix(1);
  return prefix.empty() || prefix == "/";
}

}  // namespace

void Pipeline::answer_read(Conn& conn, OpCode type, int32_t xid, Bytes body, const AuthInfo& auth) {
  if (type == OpCode::ping) {
    // Whatever xid the client chose.
    conn.end_frame(conn.begin_reply(kPingXid, tree_.last_zxid(), ZkError::ok));
    return;
  }
  ++stats_.reads;
  if (type == OpCode::set_watches || type == OpCode::set_watches2) {
    wire::Reader in(body);
    ZkError error = set_watches(conn, type, in);  // its events go before the reply
    conn.end_frame(conn.begin_reply(xid, tree_.last_zxid(), error));
    return;
  }
  size_t at = conn.begin_reply(xid, tree_.last_zxid(), ZkError::ok);
  size_t body_at = conn.out.size();
  ZkError error = read(conn, type, body, auth, conn.out);
  if (error != ZkError::ok) {
    OTTLA_CHECK(conn.out.size() == body_at || type == OpCode::multi_read);
    conn.out.patch_i32(body_at - 4, static_cast<int32_t>(error));
  }
  conn.end_frame(at);
}

ZkError Pipeline::read(Conn& conn, OpCode type, Bytes body, const AuthInfo& auth,
                       wire::Writer& out) {
  wire::Reader in(body);
  switch (type) {
    case OpCode::exists:
    case OpCode::get_data:
    case OpCode::get_children:
    case OpCode::get_children2:
    case OpCode::get_acl:
    case OpCode::get_all_children_number:
      return read_node(conn, type, in, auth, out);
    case OpCode::get_ephemerals:
      return read_ephemerals(conn, in, out);
    case OpCode::multi_read:
      return read_multi(conn, body, auth, out);
    case OpCode::add_watch:
    case OpCode::check_watches:
    case OpCode::remove_watches:
      return watch_op(conn, type, in, out);
    case OpCode::sync: {
      std::optional<std::string_view> path = get_view(in);
      if (!in.ok()) return ZkError::marshalling_error;
      if (path)
        put_string(out, *path);
      else
        out.i32(-1);
      return ZkError::ok;
    }
    case OpCode::who_am_i:
      out.i32(static_cast<int32_t>(auth.size()));
      for (const AuthId& id : auth) {
        put_string(out, id.scheme);
        put_string(out, user_of(id));
      }
      return ZkError::ok;
    default:
      return ZkError::unimplemented;
  }
}

ZkError Pipeline::read_node(Conn& conn, OpCode type, wire::Reader& in, const AuthInfo& auth,
                            wire::Writer& out) {
  std::optional<std::string_view> path = get_view(in);
  bool has_watch = type != OpCode::get_acl && type != OpCode::get_all_children_number;
  bool watch = has_watch && in.boolean();
  if (!in.ok() || !path) return ZkError::marshalling_error;
  if (type == OpCode::exists && path->find('\0') != std::string_view::npos)
    return ZkError::bad_arguments;
  const Node* node = tree_.find(*path);
  if (node == nullptr) {
    if (type == OpCode::exists && watch)
      watches_.data().add(*path, conn.info.id, WatchMode::standard);
    return ZkError::no_node;
  }
  const AclList& acls = *tree_.acls_of(*node);
  int32_t perms = type == OpCode::get_acl ? kPermRead | kPermAdmin : kPermRead;
  if (!acl_allows(acls, perms, auth, options_)) return ZkError::no_auth;
  bool children = type == OpCode::get_children || type == OpCode::get_children2;
  if (watch)
    (children ? watches_.children() : watches_.data())
        .add(*path, conn.info.id, WatchMode::standard);
  switch (type) {
    case OpCode::exists:
      stats_.add_read(*path, 0);
      tree_.stat_of(*node).encode(out);
      break;
    case OpCode::get_data:
      stats_.add_read(*path, node->data().size());
      put_data(*node, out);
      tree_.stat_of(*node).encode(out);
      break;
    case OpCode::get_children:
      stats_.add_read(*path, put_children(*node, out));
      break;
    case OpCode::get_children2:
      stats_.add_read(*path, put_children(*node, out));
      tree_.stat_of(*node).encode(out);
      break;
    case OpCode::get_acl:
      if (acl_allows(acls, kPermAdmin, auth, options_))
        encode_acls(out, acls);
      else
        put_masked(acls, out);
      tree_.stat_of(*node).encode(out);
      break;
    default:
      // Apache counts keys that begin with the path and '/': "" then has one more, "/" itself.
      out.i32(static_cast<int32_t>(tree_.descendants(*node) + (path->empty() ? 1 : 0)));
      break;
  }
  return ZkError::ok;
}

ZkError Pipeline::read_ephemerals(const Conn& conn, wire::Reader& in, wire::Writer& out) {
  std::optional<std::string_view> prefix = get_view(in);
  if (!in.ok()) return ZkError::marshalling_error;
  std::vector<std::string> paths = tree_.ephemerals_of(conn.info.session);
  if (prefix && !blank_or_root(*prefix))
    std::erase_if(paths, [&](const std::string& path) { return !path.starts_with(*prefix); });
  out.i32(static_cast<int32_t>(paths.size()));
  for (const std::string& path : paths) put_string(out, path);
  return ZkError::ok;
}

ZkError Pipeline::read_multi(Conn& conn, Bytes body, const AuthInfo& auth, wire::Writer& out) {
  struct One {
    OpCode type;
    Bytes request;
  };
  auto finish = [&] {
    out.i32(-1);
    out.boolean(true);
    out.i32(-1);
  };
  std::vector<One> ops;
  wire::Reader in(body);
  for (;;) {
    auto type = static_cast<OpCode>(in.i32());
    bool done = in.boolean();
    (void)in.i32();
    if (!in.ok()) return ZkError::marshalling_error;
    if (done) break;
    if (type != OpCode::get_data && type != OpCode::get_children) {
      // Writes alone are a request that decodes; it is refused with the body of an empty answer.
      if (ops.empty() && Preparer::is_well_formed_multi(body)) finish();
      return ZkError::marshalling_error;
    }
    size_t from = in.position();
    std::optional<std::string_view> path = get_view(in);
    (void)in.boolean();
    if (!in.ok()) return ZkError::marshalling_error;
    ops.push_back({type, path ? body.subspan(from, in.position() - from - 1) : Bytes()});
  }
  const size_t stop = out.size() + kMultiReadBytes;
  for (const One& one : ops) {
    if (one.request.empty()) {  // a null path: what was read before it is told, and the error
      finish();
      return ZkError::marshalling_error;
    }
    size_t at = out.size();
    out.i32(static_cast<int32_t>(one.type));
    out.boolean(false);
    out.i32(0);
    // The same request with its watch flag off: multi reads leave no watches.
    Buffer request(one.request);
    request.push_back(0);
    wire::Reader one_in(request.bytes());
    ZkError error = out.size() > stop ? ZkError::throttled_op : read_node(conn, one.type, one_in, auth, out);
    if (error == ZkError::ok) continue;
    out.patch_i32(at, -1);
    out.patch_i32(at + 5, static_cast<int32_t>(error));
    out.i32(static_cast<int32_t>(error));
  }
  finish();
  return ZkError::ok;
}

// -------------------------------------------------------------------------------------------- room

// Whatever of the transactions proposed is applied by then: none of them makes a list longer than
// by its own size.
size_t Pipeline::room_of_node(OpCode type, std::string_view path) const {
  const Node* node = tree_.find(path);
  const ChangeRecord* pending = preparer_.pending_change(path);
  size_t data = node == nullptr ? 0 : node->data().size();
  size_t list = pending == nullptr ? 0 : proposed_bytes_;
  switch (type) {
    case OpCode::get_data:
      if (pending != nullptr) data = std::max(data, static_cast<size_t>(pending->data_peak));
      return data + kSmallAnswerBytes;
    case OpCode::get_children:
    case OpCode::get_children2:
      if (node == nullptr) break;
      for (const Node* child = node->first_child(); child != nullptr; child = child->next_sibling())
        list += 4 + child->name().size();
      break;
    case OpCode::get_acl:
      if (node == nullptr) break;
      for (const Acl& acl : *tree_.acls_of(*node))
        list += 12 + acl.id.scheme.size() + acl.id.id.size();
      break;
    default:
      return kSmallAnswerBytes;
  }
  return list + kSmallAnswerBytes;
}

size_t Pipeline::room_of(const Conn& conn, OpCode type, Bytes body) const {
  wire::Reader in(body);
  size_t room = body.size() + kSmallAnswerBytes;
  switch (type) {
    case OpCode::set_watches:
    case OpCode::set_watches2:
      return room + 8 * body.size();  // an event for each path, which may be empty
    case OpCode::who_am_i:
      for (const AuthId& id : *conn.auth) room += 8 + id.scheme.size() + id.id.size();
      return room;
    case OpCode::get_ephemerals:
      room += proposed_bytes_;
      for (const std::string& path : tree_.ephemerals_of(conn.info.session))
        room += 4 + path.size();
      return room;
    case OpCode::multi_read:
      while (room < kMultiReadBytes) {
        auto one = static_cast<OpCode>(in.i32());
        bool done = in.boolean();
        (void)in.i32();
        std::optional<std::string_view> path = get_view(in);
        (void)in.boolean();
        if (!in.ok() || done) break;
        if (path) room += room_of_node(one, *path);
      }
      return room;
    default:
      std::optional<std::string_view> path = get_view(in);
      return path ? room + room_of_node(type, *path) : room;
  }
}

// ------------------------------------------------------------------------------------ watches

ZkError Pipeline::watch_op(Conn& conn, OpCode type, wire::Reader& in, wire::Writer& out) {
  std::optional<std::string_view> path = get_view(in);
  int32_t number = in.i32();
  if (!in.ok()) return ZkError::marshalling_error;
  // Nobody watches a null path.
  if (type != OpCode::add_watch && !path && number >= 1 && number <= 5) return ZkError::no_watcher;
  if (!path) return ZkError::marshalling_error;
  if (type == OpCode::check_watches) return watches_.check(*path, conn.info.id, number);
  if (type == OpCode::remove_watches) return watches_.remove(*path, conn.info.id, number);
  if (number != 0 && number != 1) return ZkError::marshalling_error;
  watches_.add_persistent(*path, conn.info.id, number == 1);
  out.i32(0);
  return ZkError::ok;
}

// A client that comes back says what it watched and what it saw last: what it missed is told at
// once, the rest is watched again.
ZkError Pipeline::set_watches(Conn& conn, OpCode type, wire::Reader& in) {
  using Paths = std::optional<std::vector<std::optional<std::string_view>>>;
  int64_t relative_zxid = in.i64();
  Paths lists[5];  // data, exist, child, persistent, recursive
  size_t list_count = type == OpCode::set_watches2 ? 5 : 3;
  for (size_t i = 0; i < list_count; ++i) {
    int32_t count = in.i32();
    if (count == -1) continue;
    count = std::max(count, 0);  // as Apache reads a negative count
    if (!in.claim_count(count, 4)) return ZkError::marshalling_error;
    lists[i].emplace(static_cast<size_t>(count));
    for (std::optional<std::string_view>& path : *lists[i]) path = get_view(in);
  }
  if (!in.ok()) return ZkError::marshalling_error;
  ConnId id = conn.info.id;
  for (size_t i = 0; i < list_count; ++i) {
    if (!lists[i]) return ZkError::marshalling_error;
    for (const std::optional<std::string_view>& path : *lists[i]) {
      if (!path) return ZkError::marshalling_error;
      if (i >= 3) {
        watches_.add_persistent(*path, id, i == 4);
        continue;
      }
      const Node* node = tree_.find(*path);
      if (i == 1) {
        if (node != nullptr)
          send_event(conn, EventType::node_created, *path, kSynthesized);
        else
          watches_.data().add(*path, id, WatchMode::standard);
      } else if (node == nullptr) {
        send_event(conn, EventType::node_deleted, *path, kSynthesized);
      } else if (i == 0 && node->persisted().mzxid > relative_zxid) {
        send_event(conn, EventType::node_data_changed, *path, kSynthesized);
      } else if (i == 2 && node->persisted().pzxid > relative_zxid) {
        send_event(conn, EventType::node_children_changed, *path, kSynthesized);
      } else {
        (i == 0 ? watches_.data() : watches_.children()).add(*path, id, WatchMode::standard);
      }
    }
  }
  return ZkError::ok;
}

}  // namespace ottla::zk
