// AdminServer: the HTTP commands of an ensemble member, as JSON, under admin.commandURL. It shows what
// the four-letter words show, and moves snapshots out and in; those two ask for credentials with all
// permissions on "/", the others for none: bind it where only operators reach it.
// Thread: the loop's. It decides nothing about data: its host takes and restores snapshots.
// Source: ZooKeeper Administrator's Guide, "The AdminServer"; ZOOKEEPER-4570, -4571 (snapshot, restore).
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "common/metrics/http_server.h"
#include "zk-ensemble/server/four_letter.h"
#include "zk-ensemble/server/json.h"

namespace ottla::zk {

class AdminServer {
 public:
  struct SnapshotFile {
    std::string path;
    int64_t zxid = 0;
  };
  class Host {
   public:
    virtual ~Host() = default;
    virtual OperatorView admin_view() = 0;
    virtual void admin_snapshot(Fn<void(Result<SnapshotFile>)> done) = 0;
    // Replaces everything by the snapshot in the file `path`. Gives the last zxid afterwards.
    virtual void admin_restore(std::string path, Fn<void(Result<int64_t>)> done) = 0;
  };

  AdminServer(rt::World world, const ServerConfig& config, Host& host);
  // Errors are one line; the member serves on without it.
  Result<void> start();
  uint16_t port() const { return http_.port(); }
  const AdminFigures& figures() const { return figures_; }

 private:
  class Upload;
  // At most one in an interval, counted from the first of it.
  struct RateLimit {
    int64_t interval_ms = 0;
    Instant reset;
    bool used = false;
    bool allow(Instant now);
  };

  void on_get(const metrics::HttpRequest& request, metrics::HttpServer::Reply reply);
  std::unique_ptr<metrics::HttpBody> on_post(const metrics::HttpRequest& request,
                                             metrics::HttpResponse& refusal);
  std::string command_of(const metrics::HttpRequest& request) const;
  metrics::HttpResponse index() const;
  void snapshot(const metrics::HttpRequest& request, metrics::HttpServer::Reply reply);
  // Status and error when the request may not do what needs all permissions; 0 when it may.
  int refused(const metrics::HttpRequest& request, const char*& error);
  bool authenticated(std::string_view authorization, const std::string& peer, AuthInfo& ids);

  rt::World world_;
  const ServerConfig& config_;
  CoreOptions auth_options_;
  Host& host_;
  metrics::HttpServer http_;
  AdminFigures figures_;
  RateLimit snapshots_, restores_;
  bool restoring_ = false;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);

 public:
  ~AdminServer() { *alive_ = false; }
  AdminServer(const AdminServer&) = delete;
  AdminServer& operator=(const AdminServer&) = delete;
};

// The answer of a command that only looks (admin_commands.cc); "error" tells of an unknown one.
Json run_admin_command(const std::string& name, const metrics::HttpRequest& request, OperatorView& view);
bool is_admin_command(std::string_view name);  // of those
// Primary names, sorted.
std::span<const char* const> admin_command_names();

}  // namespace ottla::zk
