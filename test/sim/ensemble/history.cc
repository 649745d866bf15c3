#include "test/sim/ensemble/history.h"

#include <fmt/core.h>

#include <algorithm>

#include "zk-ensemble/txnlog/log_reader.h"

namespace ottla::test {
namespace {

std::string parent_of(const std::string& path) { return path.substr(0, path.rfind('/')); }

std::string show(const Promise& p) {
  return fmt::format("client {} session 0x{:x} xid {} type {} path {} zxid {} err {}", p.client,
                     static_cast<uint64_t>(p.session), p.xid, p.type, p.path, p.zxid, p.error);
}

}  // namespace

void History::promised(Promise promise) {
  max_zxid_ = std::max(max_zxid_, promise.zxid);
  promises_.push_back(std::move(promise));
}

void History::violated(std::string invariant, std::string what) {
  if (!violation_) violation_ = Violation{std::move(invariant), std::move(what)};
}

void History::forget_above(int64_t zxid) {
  std::erase_if(promises_, [zxid](const Promise& promise) { return promise.zxid > zxid; });
  max_zxid_ = std::min(max_zxid_, zxid);
}

// ------------------------------------------------------------------------------------------ ledger

Result<void> Ledger::collect(rt::Disk& disk, const std::string& directory, History& history) {
  OTTLA_ASSIGN(auto names, disk.list(directory));
  std::map<int64_t, std::string> files;
  for (const std::string& name : names)
    if (auto zxid = zk::zxid_of_name(name, "log")) files[*zxid] = directory + "/" + name;
  for (const auto& [zxid, path] : files) {
    OTTLA_ASSIGN(bool unfinished, zk::is_unfinished_log(disk, path));
    if (unfinished) continue;
    OTTLA_ASSIGN(zk::LogReader reader, zk::LogReader::open(disk, path));
    zk::LogRecord record;
    for (;;) {
      OTTLA_ASSIGN(zk::LogReader::Step step, reader.next(record));
      if (step != zk::LogReader::Step::record) break;
      auto [at, is_new] = entries_.try_emplace(record.zxid, to_string(record.entry));
      if (!is_new && at->second != as_text(record.entry))
        history.violated("HistoryNeverRewritten", fmt::format("{}: zxid {} is another", path, record.zxid));
    }
  }
  return {};
}

std::vector<zk::Txn> Ledger::txns() const {
  std::vector<zk::Txn> all;
  for (const auto& [zxid, entry] : entries_) {
    auto txn = zk::Txn::decode(as_bytes(entry));
    OTTLA_CHECK(txn.has_value(), "what has a good checksum decodes");
    all.push_back(std::move(*txn));
  }
  return all;
}

// ------------------------------------------------------------------------------------------- model

void Model::apply(const zk::Txn& txn) {
  apply(txn.header.type, txn.body, txn.header);
  last_zxid = txn.header.zxid;
}

void Model::apply(zk::OpCode type, const zk::TxnBody& body, const zk::TxnHeader& header) {
  int64_t zxid = header.zxid;
  if (const auto* create = std::get_if<zk::CreateTxn>(&body)) {
    Node& parent = nodes_.at(parent_of(create->path));
    if (create->parent_cversion > parent.cversion) {
      parent.cversion = create->parent_cversion;
      parent.pzxid = zxid;
    }
    Node node;
    node.data = create->data;
    node.czxid = node.mzxid = node.pzxid = zxid;
    if (create->ephemeral) node.owner = header.client_id;
    nodes_[create->path] = std::move(node);
  } else if (const auto* gone = std::get_if<zk::DeleteTxn>(&body)) {
    remove(gone->path, zxid);
  } else if (const auto* set = std::get_if<zk::SetDataTxn>(&body)) {
    Node& node = nodes_.at(set->path);
    node.data = set->data;
    node.version = set->version;
    node.mzxid = zxid;
  } else if (const auto* session = std::get_if<zk::CreateSessionTxn>(&body)) {
    sessions_[header.client_id] = session->timeout_ms;
  } else if (std::get_if<zk::CloseSessionTxn>(&body) != nullptr) {
    std::vector<std::string> owned;
    for (const auto& [path, node] : nodes_)
      if (node.owner == header.client_id) owned.push_back(path);
    for (const std::string& path : owned) remove(path, zxid);
    sessions_.erase(header.client_id);
  } else if (const auto* multi = std::get_if<zk::MultiTxn>(&body)) {
    for (const zk::SubTxn& sub : multi->txns)
      if (sub.type == zk::OpCode::error) return;
    for (const zk::SubTxn& sub : multi->txns) apply(sub.type, sub.body, header);
  }
  (void)type;
}

void Model::remove(const std::string& path, int64_t zxid) {
  nodes_.erase(path);
  Node& parent = nodes_.at(parent_of(path));
  parent.pzxid = std::max(parent.pzxid, zxid);
}

// -------------------------------------------------------------------------------------- invariants

void AcknowledgedWritesSurvive::judge(const std::vector<zk::Txn>& log, History& history) {
  std::map<int64_t, const zk::Txn*> by_zxid;
  for (const zk::Txn& txn : log) by_zxid[txn.header.zxid] = &txn;
  for (const Promise& promise : history.promises()) {
    auto found = by_zxid.find(promise.zxid);
    if (found == by_zxid.end() || found->second->header.client_id != promise.session ||
        found->second->header.cxid != promise.xid)
      return history.violated("AcknowledgedWritesSurvive", "not in the log: " + show(promise));
    const zk::Txn& txn = *found->second;
    bool refused = txn.header.type == zk::OpCode::error;
    if (refused != (promise.error != 0))
      return history.violated("AcknowledgedWritesSurvive", "logged with another outcome: " + show(promise));
    const auto* create = std::get_if<zk::CreateTxn>(&txn.body);
    if (create != nullptr && (create->path != promise.path || create->data != promise.data))
      return history.violated("AcknowledgedWritesSurvive", "logged with other content: " + show(promise));
    const auto* set = std::get_if<zk::SetDataTxn>(&txn.body);
    if (set != nullptr && (set->path != promise.path || set->data != promise.data))
      return history.violated("AcknowledgedWritesSurvive", "logged with other content: " + show(promise));
  }
}

void ZxidMonotone::judge(const zk::DataTree& tree, History& history) {
  if (tree.last_zxid() < seen)
    history.violated("ZxidMonotone", fmt::format("{} after {}", tree.last_zxid(), seen));
  seen = tree.last_zxid();
}

void RepliesAreApplied::judge(const zk::DataTree& tree, History& history) {
  if (history.max_zxid() > tree.last_zxid())
    history.violated("RepliesAreApplied", fmt::format("answered {}, the tree is at {}", history.max_zxid(),
                                                      tree.last_zxid()));
}

void EphemeralsHaveOwners::judge(const zk::DataTree& tree, History& history) {
  for (int64_t session : tree.sessions_with_ephemerals())
    if (!tree.sessions().contains(session))
      history.violated("EphemeralsHaveOwners", fmt::format("nodes of session 0x{:x}, which is gone",
                                                           static_cast<uint64_t>(session)));
}

void SessionsStayDead::judge(const zk::DataTree& tree, History& history) {
  for (int64_t session : alive)
    if (!tree.sessions().contains(session)) dead.insert(session);
  alive.clear();
  for (const auto& [session, timeout_ms] : tree.sessions()) {
    alive.insert(session);
    if (dead.contains(session))
      history.violated("SessionsStayDead", fmt::format("0x{:x} is back", static_cast<uint64_t>(session)));
  }
}

void TreeEqualsModel::judge(const Ledger& ledger, const std::vector<zk::Txn>& log, const zk::DataTree& tree,
                            History& history) {
  Model model(ledger.base_zxid());
  int64_t before = ledger.base_zxid();
  for (const zk::Txn& txn : log) {
    if (txn.header.zxid != before + 1)
      return history.violated("TreeEqualsModel", fmt::format("the log has a gap or repeats: {} after {}",
                                                             txn.header.zxid, before));
    before = txn.header.zxid;
    model.apply(txn);
  }
  if (tree.last_zxid() != model.last_zxid)
    return history.violated("TreeEqualsModel", fmt::format("tree at zxid {}, log at {}", tree.last_zxid(),
                                                           model.last_zxid));
  if (tree.sessions() != model.sessions())
    return history.violated("TreeEqualsModel", "the session tables differ");
  // "/zookeeper" has two children of its own, "" and "/" are one node counted twice.
  if (static_cast<size_t>(tree.node_count()) != model.nodes().size() + 3)
    return history.violated("TreeEqualsModel", fmt::format("{} nodes, the model has {}", tree.node_count(),
                                                           model.nodes().size() + 3));
  for (const auto& [path, expected] : model.nodes()) {
    const zk::Node* node = tree.find(path);
    if (node == nullptr) return history.violated("TreeEqualsModel", "missing: " + path);
    if (path.starts_with("/zookeeper")) continue;
    zk::Stat stat = tree.stat_of(*node);
    bool same = stat.czxid == expected.czxid && stat.mzxid == expected.mzxid &&
                stat.pzxid == expected.pzxid && stat.version == expected.version &&
                stat.ephemeral_owner == expected.owner &&
                stat.data_length == static_cast<int32_t>(expected.data ? expected.data->size() : 0) &&
                as_text(node->data()) == expected.data.value_or("") &&
                (path.empty() || stat.cversion == 2 * expected.cversion - stat.num_children);
    if (!same)
      return history.violated("TreeEqualsModel",
                              fmt::format("{} differs: czxid {} {} mzxid {} {} pzxid {} {} version {} {}", path,
                                          stat.czxid, expected.czxid, stat.mzxid, expected.mzxid, stat.pzxid,
                                          expected.pzxid, stat.version, expected.version));
  }
  if (tree.digest_mismatches() != 0)
    history.violated("TreeEqualsModel", "a transaction's digest did not match");
}

void SessionOrder::judge(const std::vector<zk::Txn>& log, History& history) {
  std::map<int64_t, int32_t> last;
  for (const zk::Txn& txn : log) {
    if (txn.header.cxid == 0) continue;  // the server's own: expiry
    int32_t& before = last[txn.header.client_id];
    if (txn.header.cxid <= before)
      return history.violated("SessionOrder", fmt::format("session 0x{:x}: xid {} logged after {}",
                                                          static_cast<uint64_t>(txn.header.client_id),
                                                          txn.header.cxid, before));
    before = txn.header.cxid;
  }
}

void EphemeralsFollowSessions::judge(const zk::DataTree& tree, History& history) {
  EphemeralsHaveOwners::judge(tree, history);
  for (int64_t session : history.closed_sessions())
    if (tree.sessions().contains(session))
      history.violated("EphemeralsFollowSessions", fmt::format("session 0x{:x} was closed and lives",
                                                               static_cast<uint64_t>(session)));
}

}  // namespace ottla::test
