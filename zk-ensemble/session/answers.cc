// What goes out: transactions applied in order, their answers and events, and the reads behind
// them.
#include <algorithm>

#include "common/base/check.h"
#include "zk-ensemble/session/pipeline.h"
#include "zk-ensemble/session/pipeline_state.h"
#include "zk-ensemble/tree/jute_io.h"

namespace ottla::zk {

namespace {

constexpr int32_t kEventXid = -1;
constexpr int32_t kStateConnected = 3;

// As `stat` and `cons` name the last operation; a refused write has no name.
std::string_view short_name(OpCode type) {
  switch (type) {
    case OpCode::ping:
      return "PING";
    case OpCode::create_session:
      return "SESS";
    case OpCode::close_session:
      return "CLOS";
    case OpCode::multi:
      return "MULT";
    case OpCode::multi_read:
      return "MLTR";
    case OpCode::create:
    case OpCode::create2:
    case OpCode::create_ttl:
    case OpCode::create_container:
      return "CREA";
    case OpCode::remove:
    case OpCode::delete_container:
      return "DELE";
    case OpCode::set_data:
      return "SETD";
    case OpCode::reconfig:
      return "RECO";
    case OpCode::set_acl:
      return "SETA";
    case OpCode::sync:
      return "SYNC";
    case OpCode::check:
      return "CHEC";
    case OpCode::exists:
      return "EXIS";
    case OpCode::get_data:
      return "GETD";
    case OpCode::set_watches:
      return "SETW";
    case OpCode::set_watches2:
      return "STW2";
    case OpCode::add_watch:
      return "ADDW";
    case OpCode::get_acl:
      return "GETA";
    case OpCode::get_children:
    case OpCode::get_children2:
      return "GETC";
    case OpCode::get_all_children_number:
      return "GETACN";
    case OpCode::check_watches:
      return "CHKW";
    case OpCode::remove_watches:
      return "REMW";
    case OpCode::who_am_i:
      return "HOMI";
    case OpCode::get_ephemerals:
      return "GETE";
    case OpCode::auth:
    case OpCode::sasl:
    case OpCode::notification:
    case OpCode::error:
      return "NA";
  }
  return "NA";
}

bool is_moved(const ApplyResult& result) {
  return std::ranges::any_of(
      result.multi, [](const OpResult& one) { return one.error == ZkError::session_moved; });
}

}  // namespace

void Pipeline::on_durable(int64_t zxid, Instant now, int64_t wall_ms) {
  while (!proposed_.empty() && proposed_.front().txn.header.zxid <= zxid) apply_front(now, wall_ms);
}

void Pipeline::count_write(const TxnBody& body) {
  auto size = [](const NodeData& data) { return data ? data->size() : 0; };
  if (const auto* create = std::get_if<CreateTxn>(&body)) stats_.add_write(create->path, size(create->data));
  if (const auto* set = std::get_if<SetDataTxn>(&body)) stats_.add_write(set->path, size(set->data));
  if (const auto* remove = std::get_if<DeleteTxn>(&body)) stats_.add_write(remove->path, 0);
  const auto* multi = std::get_if<MultiTxn>(&body);
  if (multi == nullptr) return;
  // Of one that fails nothing is done.
  auto failed = [](const SubTxn& one) { return one.type == OpCode::error; };
  if (std::ranges::any_of(multi->txns, failed)) return;
  for (const SubTxn& one : multi->txns) count_write(one.body);
}

void Pipeline::apply_front(Instant now, int64_t wall_ms) {
  Proposed proposed = std::move(proposed_.front());
  proposed_.pop_front();
  proposed_bytes_ -= proposed.bytes;
  Txn& txn = proposed.txn;
  ApplyResult result;
  count_write(txn.body);
  stats_.propagation_ms.add(static_cast<uint64_t>(std::max<int64_t>(0, wall_ms - txn.header.time_ms)));
  tree_.replay(txn, result);
  preparer_.applied(txn.header.zxid);
  ++(txn.header.type == OpCode::error ? stats_.refused_writes : stats_.writes);

  Conn* conn = proposed.conn == 0 ? nullptr : find(proposed.conn);
  if (conn != nullptr && conn->state != Conn::State::closing) {
    OTTLA_CHECK(!conn->queue.empty() && conn->queue.front().zxid == txn.header.zxid);
    Waiting waiting = take_front(*conn);
    answer_write(*conn, waiting, txn, result, now);
    if (conn->state != Conn::State::closing) drain(*conn, now);
  }
  if (txn.header.type == OpCode::close_session) {
    tracker_.remove(txn.header.client_id);
    if (auto of = by_session_.find(txn.header.client_id); of != by_session_.end()) {
      if (Conn* other = find(of->second); other != nullptr) end(*other);
      by_session_.erase(txn.header.client_id);
    }
  }
  // Others may wait for this one without having written it: syncs, and clients that came back.
  for (auto it = barriers_.begin(); it != barriers_.end() && it->first <= tree_.last_zxid();) {
    ConnId id = it->second;
    it = barriers_.erase(it);
    if (Conn* waiter = find(id); waiter != nullptr) drain(*waiter, now);
  }
}

// ------------------------------------------------------------------------------------ answers

void Pipeline::drain(Conn& conn, Instant now) {
  while (conn.state != Conn::State::closing && !conn.queue.empty()) {
    if (conn.queue.front().is_write) return;  // apply_front answers it
    if (conn.queue.front().zxid > tree_.last_zxid()) {
      barriers_.emplace(conn.queue.front().zxid, conn.info.id);
      return;
    }
    Waiting waiting = take_front(conn);
    if (waiting.error != ZkError::ok)
      answer_error(conn, waiting.xid, waiting.error);
    else if (waiting.type == OpCode::create_session)
      answer_connect(conn, true);
    else
      answer_read(conn, waiting.type, waiting.xid, waiting.body, *waiting.auth);
    bool refused = waiting.error != ZkError::ok;
    if (waiting.type == OpCode::create_session && !refused) {  // who comes back has not asked yet
      ++stats_.packets_sent;
      ++conn.info.packets_sent;
      mark_dirty(conn);
      continue;
    }
    count(conn, refused ? OpCode::error : waiting.type, waiting.xid, waiting.asked, now);
    if (waiting.ends) end(conn);
  }
}

void Pipeline::answer_error(Conn& conn, int32_t xid, ZkError error) {
  int64_t zxid = error == ZkError::unimplemented ? -1 : tree_.last_zxid();
  conn.end_frame(conn.begin_reply(xid, zxid, error));
}

void Pipeline::answer_write(Conn& conn, const Waiting& waiting, const Txn& txn,
                            const ApplyResult& result, Instant now) {
  if (result.error == ZkError::session_moved || is_moved(result)) return end(conn);
  if (waiting.type == OpCode::create_session && txn.header.type != OpCode::error) {
    answer_connect(conn, true);
    return count(conn, waiting.type, waiting.xid, waiting.asked, now);
  }
  bool multi = txn.header.type == OpCode::multi;
  size_t at = conn.begin_reply(waiting.xid, txn.header.zxid, multi ? ZkError::ok : result.error);
  if (multi) {
    answer_multi(conn, result);
  } else if (result.error == ZkError::ok) {
    switch (txn.header.type) {
      case OpCode::create:
        put_string(conn.out, result.path);
        break;
      case OpCode::create2:
      case OpCode::create_container:
      case OpCode::create_ttl:
        put_string(conn.out, result.path);
        result.stat.encode(conn.out);
        break;
      case OpCode::set_data:
      case OpCode::set_acl:
        result.stat.encode(conn.out);
        break;
      default:
        break;
    }
  }
  conn.end_frame(at);
  bool refused = !multi && result.error != ZkError::ok;
  count(conn, refused ? OpCode::error : waiting.type, waiting.xid, waiting.asked, now);
  if (txn.header.type == OpCode::close_session) end(conn);
}

void Pipeline::answer_multi(Conn& conn, const ApplyResult& result) {
  auto header = [&](OpCode type, bool done, int32_t error) {
    conn.out.i32(static_cast<int32_t>(type));
    conn.out.boolean(done);
    conn.out.i32(error);
  };
  for (const OpResult& one : result.multi) {
    if (one.type == OpCode::error || one.error != ZkError::ok) {
      header(OpCode::error, false, static_cast<int32_t>(one.error));
      conn.out.i32(static_cast<int32_t>(one.error));
      continue;
    }
    bool with_stat = one.type == OpCode::create2 || one.type == OpCode::create_container ||
                     one.type == OpCode::create_ttl;
    header(with_stat ? OpCode::create2 : one.type, false, 0);
    if (with_stat || one.type == OpCode::create) put_string(conn.out, one.path);
    if (with_stat || one.type == OpCode::set_data) one.stat.encode(conn.out);
  }
  header(OpCode::error, true, -1);
}

void Pipeline::answer_connect(Conn& conn, bool valid) {
  SessionPassword password = valid ? session_password(conn.info.session) : SessionPassword{};
  size_t at = conn.out.size();
  conn.out.i32(0);
  conn.out.i32(0);
  conn.out.i32(valid ? static_cast<int32_t>(conn.info.timeout_ms) : 0);
  conn.out.i64(valid ? conn.info.session : 0);
  conn.out.i32(static_cast<int32_t>(password.size()));
  conn.out.raw(Bytes(password));
  if (conn.read_only_byte) conn.out.boolean(false);
  conn.end_frame(at);
  mark_dirty(conn);
}

void Pipeline::count(Conn& conn, OpCode type, int32_t xid, Instant asked, Instant now) {
  int64_t latency_ms = (now - asked) / 1'000'000;
  stats_.latency.add(latency_ms);
  bool of_session = type == OpCode::create_session || type == OpCode::close_session;
  const bool update = of_session || Preparer::is_write(type);
  (update ? stats_.update_ms : stats_.read_ms).add(static_cast<uint64_t>(latency_ms));
  if (type != OpCode::create_session) stats_.add_response(conn.last_frame_bytes);
  ++stats_.packets_sent;
  ConnectionInfo& info = conn.info;
  ++info.packets_sent;
  info.latency.add(latency_ms);
  info.last_latency_ms = latency_ms;
  info.last_op = short_name(type);
  info.last_zxid = tree_.last_zxid();
  info.last_response = now;
  if (xid >= 0) info.last_cxid = xid;
  mark_dirty(conn);
}

void Pipeline::mark_dirty(Conn& conn) {
  if (conn.dirty) return;
  conn.dirty = true;
  dirty_.push_back(conn.info.id);
}

void Pipeline::end(Conn& conn) {
  if (conn.state == Conn::State::closing) return;
  conn.state = Conn::State::closing;
  forget_outstanding(conn);
  watches_.remove_watcher(conn.info.id);
  ++stats_.connections_dropped;
  mark_dirty(conn);
}

// ------------------------------------------------------------------------------------- events

void Pipeline::notify(const std::vector<ConnId>& watchers, EventType type, std::string_view path,
                      int64_t zxid, const AclList& acls) {
  metrics::Histogram& fired = type == EventType::node_created     ? stats_.fired_created
                              : type == EventType::node_deleted   ? stats_.fired_deleted
                              : type == EventType::node_data_changed ? stats_.fired_changed
                                                                     : stats_.fired_children;
  if (!watchers.empty()) fired.add(watchers.size());
  for (ConnId watcher : watchers) {
    Conn* conn = find(watcher);
    if (conn == nullptr || !acl_allows(acls, kPermRead, *conn->auth, options_)) continue;
    send_event(*conn, type, path, zxid);
  }
}

void Pipeline::send_event(Conn& conn, EventType type, std::string_view path, int64_t zxid) {
  size_t at = conn.begin_reply(kEventXid, zxid, ZkError::ok);
  conn.out.i32(static_cast<int32_t>(type));
  conn.out.i32(kStateConnected);
  put_string(conn.out, path);
  conn.end_frame(at);
  ++stats_.watches_fired;
  stats_.watch_bytes += conn.last_frame_bytes;
  ++stats_.packets_sent;
  ++conn.info.packets_sent;
  mark_dirty(conn);
}

}  // namespace ottla::zk
