// Room broker/zk: the ensemble of the tests. See memory_zk.h.
#include "broker/zk/memory_zk.h"

#include <fmt/core.h>

#include <algorithm>

namespace ottla::broker {
namespace {

std::string parent_path(const std::string& path) {
  size_t slash = path.rfind('/');
  return slash == 0 ? "/" : path.substr(0, slash);
}

}  // namespace

MemoryEnsemble::MemoryEnsemble() { nodes_["/"] = {}; }

std::string MemoryEnsemble::data(const std::string& path) const {
  auto it = nodes_.find(path);
  return it == nodes_.end() ? "" : it->second.data.value_or("");
}

std::vector<std::string> MemoryEnsemble::children(const std::string& path) const {
  std::string prefix = path == "/" ? "/" : path + "/";
  std::vector<std::string> out;
  for (auto it = nodes_.lower_bound(prefix); it != nodes_.end() && it->first.starts_with(prefix);
       ++it)
    if (it->first.size() > prefix.size() && it->first.find('/', prefix.size()) == std::string::npos)
      out.push_back(it->first.substr(prefix.size()));
  return out;
}

void MemoryEnsemble::save(const std::string& path, std::vector<Undo>& undo) {
  auto it = nodes_.find(path);
  undo.push_back({path, it == nodes_.end() ? std::nullopt : std::optional<Node>(it->second)});
}

void MemoryEnsemble::roll_back(std::vector<Undo>& undo) {
  for (size_t i = undo.size(); i-- > 0;) {
    if (undo[i].before)
      nodes_[undo[i].path] = *undo[i].before;
    else
      nodes_.erase(undo[i].path);
  }
  undo.clear();
}

void MemoryEnsemble::touch_parent(const std::string& path, std::vector<Undo>& undo) {
  std::string parent = parent_path(path);
  save(parent, undo);
  ++nodes_[parent].stat.cversion;
  nodes_[parent].stat.pzxid = zxid_;
}

ZkError MemoryEnsemble::write(const ZkRequest& request, int64_t session_id, ZkOpResult& result,
                              std::vector<Undo>& undo, std::vector<ZkEvent>& events,
                              std::string& line) {
  std::string path = request.path;
  switch (request.op) {
    case OpCode::create:
    case OpCode::create2: {
      auto parent = nodes_.find(parent_path(path));
      if (parent == nodes_.end()) return ZkError::no_node;
      auto mode = static_cast<int32_t>(request.mode);
      if ((mode & 2) != 0) path += fmt::format("{:010}", parent->second.stat.cversion);
      if (nodes_.contains(path)) return ZkError::node_exists;
      save(path, undo);
      Node node;
      node.data = request.data;
      node.stat.czxid = node.stat.mzxid = node.stat.pzxid = zxid_;
      node.stat.ctime = node.stat.mtime = clock_ms_;
      node.stat.ephemeral_owner = (mode & 1) != 0 ? session_id : 0;
      node.stat.data_length = static_cast<int32_t>(request.data.value_or("").size());
      nodes_[path] = node;
      touch_parent(path, undo);
      result.path = path;
      result.stat = node.stat;
      line = fmt::format("create {}{}{}", path, (mode & 1) != 0 ? " ephemeral" : "",
                         request.data ? " " + *request.data : "");
      events.push_back({ZkEventType::created, path});
      events.push_back({ZkEventType::children_changed, parent_path(path)});
      return ZkError::ok;
    }
    case OpCode::remove: {
      auto it = nodes_.find(path);
      if (it == nodes_.end()) return ZkError::no_node;
      if (request.version != kAnyVersion && request.version != it->second.stat.version)
        return ZkError::bad_version;
      if (!children(path).empty()) return ZkError::not_empty;
      save(path, undo);
      nodes_.erase(path);
      touch_parent(path, undo);
      line = "delete " + path;
      events.push_back({ZkEventType::deleted, path});
      events.push_back({ZkEventType::children_changed, parent_path(path)});
      return ZkError::ok;
    }
    case OpCode::set_data:
    case OpCode::check: {
      auto it = nodes_.find(path);
      if (it == nodes_.end()) return ZkError::no_node;
      if (request.version != kAnyVersion && request.version != it->second.stat.version)
        return ZkError::bad_version;
      if (request.op == OpCode::check) {
        line = fmt::format("check {} v{}", path, request.version);
        return ZkError::ok;
      }
      save(path, undo);
      it->second.data = request.data;
      ++it->second.stat.version;
      it->second.stat.mzxid = zxid_;
      it->second.stat.mtime = clock_ms_;
      it->second.stat.data_length = static_cast<int32_t>(request.data.value_or("").size());
      result.stat = it->second.stat;
      line = fmt::format("set {} v{} {}", path, it->second.stat.version, request.data.value_or(""));
      events.push_back({ZkEventType::data_changed, path});
      return ZkError::ok;
    }
    default:
      return ZkError::unimplemented;
  }
}

void MemoryEnsemble::read(const ZkRequest& request, MemoryZkClient* client, ZkReply& reply) {
  auto it = nodes_.find(request.path);
  if (it == nodes_.end()) {
    reply.error = ZkError::no_node;
    if (request.op == OpCode::exists && request.watch && client != nullptr)
      client->data_watches_.insert(request.path);
    return;
  }
  reply.stat = it->second.stat;
  reply.stat.num_children = static_cast<int32_t>(children(request.path).size());
  if (request.op == OpCode::get_children2) reply.children = children(request.path);
  if (request.op == OpCode::get_data) reply.data = it->second.data;
  if (request.watch && client != nullptr)
    (request.op == OpCode::get_children2 ? client->child_watches_ : client->data_watches_)
        .insert(request.path);
}

ZkReply MemoryEnsemble::execute(const ZkRequest& request, MemoryZkClient* client,
                                int64_t session_id) {
  ZkReply reply;
  switch (request.op) {
    case OpCode::exists:
    case OpCode::get_data:
    case OpCode::get_children2:
      read(request, client, reply);
      return reply;
    case OpCode::sync:
      return reply;
    default:
      break;
  }
  ++zxid_;
  std::vector<Undo> undo;
  std::vector<ZkEvent> events;
  std::string line;
  if (request.op == OpCode::multi) {
    reply.ops.resize(request.ops.size());
    for (size_t i = 0; i < request.ops.size(); ++i) {
      std::string part;
      ZkOpResult& result = reply.ops[i];
      result.error = reply.ok() ? write(request.ops[i], session_id, result, undo, events, part)
                                : ZkError::runtime_inconsistency;
      if (reply.ok() && result.error != ZkError::ok) {
        reply.error = result.error;
        part = fmt::format("error {}", static_cast<int32_t>(result.error));
      }
      if (!part.empty()) line += (line.empty() ? "" : " | ") + part;
    }
    line = "multi[" + line + "]";
  } else {
    ZkOpResult result;
    reply.error = write(request, session_id, result, undo, events, line);
    if (!reply.ok()) line = fmt::format("error {}", static_cast<int32_t>(reply.error));
    reply.path = result.path;
    reply.stat = result.stat;
  }
  journal_.push_back(line);
  if (!reply.ok()) {
    roll_back(undo);
    return reply;
  }
  for (const ZkEvent& event : events) fire(event);
  return reply;
}

void MemoryEnsemble::fire(const ZkEvent& event) {
  auto clients = clients_;
  for (MemoryZkClient* client : clients) {
    bool child = event.type == ZkEventType::children_changed;
    bool told = (child ? client->child_watches_ : client->data_watches_).erase(event.path) > 0;
    if (event.type == ZkEventType::deleted) told |= client->child_watches_.erase(event.path) > 0;
    if (!told) continue;
    auto listeners = client->listeners_;
    for (ZkListener* listener : listeners) listener->on_zk_event(event);
  }
}

ZkReply MemoryEnsemble::apply(const ZkRequest& request, int64_t session_id) {
  return execute(request, nullptr, session_id);
}

size_t MemoryEnsemble::run() {
  size_t count = 0;
  while (!jobs_.empty()) {
    Job job = std::move(jobs_.front());
    jobs_.pop_front();
    ++count;
    ZkReply reply = execute(job.request, job.client, job.client->session_id_);
    if (job.client->lose_reply && job.client->lose_reply(job.request)) {
      reply = execute(job.request, job.client, job.client->session_id_);
      reply.retried = true;
    }
    job.done(std::move(reply));
  }
  return count;
}

void MemoryEnsemble::expire(MemoryZkClient& client) {
  ++zxid_;
  std::vector<std::string> owned;
  for (const auto& [path, node] : nodes_)
    if (node.stat.ephemeral_owner == client.session_id_) owned.push_back(path);
  client.data_watches_.clear();
  client.child_watches_.clear();
  for (const std::string& path : owned) {
    std::vector<Undo> undo;
    nodes_.erase(path);
    touch_parent(path, undo);
    fire({ZkEventType::deleted, path});
    fire({ZkEventType::children_changed, parent_path(path)});
  }
  std::deque<Job> lost;
  for (size_t i = 0; i < jobs_.size();) {
    if (jobs_[i].client == &client) {
      lost.push_back(std::move(jobs_[i]));
      jobs_.erase(jobs_.begin() + static_cast<ptrdiff_t>(i));
    } else {
      ++i;
    }
  }
  for (Job& job : lost) {
    ZkReply reply;
    reply.error = ZkError::session_expired;
    job.done(std::move(reply));
  }
  auto listeners = client.listeners_;
  for (ZkListener* listener : listeners) listener->on_zk_session(ZkSessionEvent::expired);
  client.session_id_ = next_session_++;
  for (ZkListener* listener : listeners) listener->on_zk_session(ZkSessionEvent::connected);
}

MemoryZkClient::MemoryZkClient(MemoryEnsemble& ensemble)
    : ensemble_(ensemble), session_id_(ensemble.next_session_++) {
  ensemble_.clients_.insert(this);
}
MemoryZkClient::~MemoryZkClient() {
  std::erase_if(ensemble_.jobs_, [&](const auto& job) { return job.client == this; });
  ensemble_.clients_.erase(this);
}
void MemoryZkClient::submit(ZkRequest request, ZkDone done) {
  ensemble_.jobs_.push_back({this, std::move(request), std::move(done)});
}

}  // namespace ottla::broker
