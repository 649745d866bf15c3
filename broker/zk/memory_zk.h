// MemoryEnsemble: a ZooKeeper tree in memory with sessions and one-shot watches, for tests of rooms
// that speak to ZkClient. Nothing happens until run(): each request is then carried out in the
// order of submission, events before replies. Not a model of the server: no ACLs, no quotas, no
// faults of its own (tests expire sessions and lose replies by hand). Source: ZooKeeper
// Programmer's Guide.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "broker/zk/zk_client.h"

namespace ottla::broker {

class MemoryZkClient;

class MemoryEnsemble {
 public:
  MemoryEnsemble();

  // Carries out everything queued, and what that brings about. Returns how many requests ran.
  size_t run();
  // One line a write, as "create /a data", "set /a v1 data", "delete /a", "multi[a | b]",
  // "error -101", in the order of zxids.
  const std::vector<std::string>& journal() const { return journal_; }
  void clear_journal() { journal_.clear(); }
  // Straight at the tree, as another client would: for setting a scene. Watches fire.
  ZkReply apply(const ZkRequest& request, int64_t session_id = 0);
  std::string data(const std::string& path) const;  // "" when missing
  bool exists(const std::string& path) const { return nodes_.contains(path); }
  std::vector<std::string> children(const std::string& path) const;
  void expire(MemoryZkClient& client);  // its ephemerals vanish, it hears and gets a new session

 private:
  friend class MemoryZkClient;
  struct Node {
    std::optional<std::string> data;
    ZkStat stat;
  };
  struct Undo {
    std::string path;
    std::optional<Node> before;
  };
  struct Job {
    MemoryZkClient* client;
    ZkRequest request;
    ZkDone done;
  };

  ZkError write(const ZkRequest& request, int64_t session_id, ZkOpResult& result,
                std::vector<Undo>& undo, std::vector<ZkEvent>& events, std::string& line);
  void touch_parent(const std::string& path, std::vector<Undo>& undo);
  void save(const std::string& path, std::vector<Undo>& undo);
  void roll_back(std::vector<Undo>& undo);
  void read(const ZkRequest& request, MemoryZkClient* client, ZkReply& reply);
  ZkReply execute(const ZkRequest& request, MemoryZkClient* client, int64_t session_id);
  void fire(const ZkEvent& event);

  std::map<std::string, Node> nodes_;
  int64_t zxid_ = 0;
  int64_t next_session_ = 0x1000;
  int64_t clock_ms_ = 1'700'000'000'000;
  std::deque<Job> jobs_;
  std::set<MemoryZkClient*> clients_;
  std::vector<std::string> journal_;
};

class MemoryZkClient final : public ZkClient {
 public:
  explicit MemoryZkClient(MemoryEnsemble& ensemble);
  ~MemoryZkClient() override;

  void submit(ZkRequest request, ZkDone done) override;
  void add_listener(ZkListener* listener) override { listeners_.push_back(listener); }
  void remove_listener(ZkListener* listener) override { std::erase(listeners_, listener); }
  bool connected() const override { return true; }
  ZkSessionCredentials session() const override { return {session_id_, "0123456789abcdef"}; }

  // When it says true for a request that ran, the reply gets lost once: the request runs again, as
  // after a reconnect, and its reply says retried.
  std::function<bool(const ZkRequest&)> lose_reply;

 private:
  friend class MemoryEnsemble;
  MemoryEnsemble& ensemble_;
  int64_t session_id_;
  std::set<std::string> data_watches_;
  std::set<std::string> child_watches_;
  std::vector<ZkListener*> listeners_;
};

}  // namespace ottla::broker
