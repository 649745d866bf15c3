#include "zk-ensemble/server/admin.h"

#include <fmt/core.h>

#include "common/base/log.h"
#include "zk-ensemble/txnlog/txn_format.h"

namespace ottla::zk {
namespace {

using metrics::HttpRequest;
using metrics::HttpResponse;
using metrics::HttpServer;

constexpr log::Room kLog{"zk.admin"};
constexpr const char* kJson = "application/json";
// Apache counts the snapshot's interval in microseconds; clients have come to rely on its being short.
constexpr int64_t kSnapshotIntervalShare = 1000;
// As an unfinished snapshot, so that a start after a crash removes it.
constexpr const char* kUploadName = "/snapshot.ffffffffffffffff.tmp";

HttpResponse page(const Json& json, int status = 200) {
  return HttpResponse{.status = status, .content_type = kJson, .body = json.text()};
}

HttpResponse plain(const std::string& command, int status, const char* error = nullptr) {
  Json json = Json::object();
  json.put("command", command).put("error", error == nullptr ? Json() : Json(error));
  return page(json, status);
}

std::string normal_url(std::string url) {
  while (url.ends_with('/')) url.pop_back();
  return url.starts_with('/') ? url : "/" + url;
}

metrics::HttpLimits limits_of(const ServerConfig& config) {
  return {.request_timeout_ms = config.admin_idle_timeout_ms,
          .reply_timeout_ms = std::max(config.admin_idle_timeout_ms, 30'000)};
}

}  // namespace

AdminServer::AdminServer(rt::World world, const ServerConfig& config, Host& host)
    : world_(world), config_(config), host_(host), http_(world, limits_of(config)) {
  auth_options_.skip_acl = config.skip_acl == "yes";
  auth_options_.super_digest = config.super_digest;
  auth_options_.digest_algorithm = config.digest_algorithm;
  auth_options_.digest_auth_enabled = config.digest_auth_enabled;
  snapshots_ = {.interval_ms = config.admin_rate_limit_ms / kSnapshotIntervalShare, .reset = world.loop.now()};
  restores_ = {.interval_ms = config.admin_rate_limit_ms, .reset = world.loop.now()};
  std::string url = normal_url(config.admin_url);
  auto get = [this](const HttpRequest& request, HttpServer::Reply reply) { on_get(request, std::move(reply)); };
  auto post = [this](const HttpRequest& request, HttpResponse& refusal) { return on_post(request, refusal); };
  for (const std::string& path : {url, url + "/"}) {
    http_.route_later(path, get);
    http_.route_body(path, post);
  }
}

Result<void> AdminServer::start() {
  rt::Endpoint at{config_.admin_address, static_cast<uint16_t>(config_.admin_port)};
  auto started = http_.start(at);
  if (!started)
    return fail(started.error().code, fmt::format("admin.serverPort={}: cannot listen on {} ({}); set another "
                                                  "port, or admin.enableServer=false", at.port,
                                                  rt::to_string(at), started.error().context));
  log::info(kLog, "HTTP commands are served", "port={} url={}", http_.port(), normal_url(config_.admin_url));
  return {};
}

bool AdminServer::RateLimit::allow(Instant now) {
  if ((now - reset) / 1'000'000 > interval_ms) {
    used = false;
    reset = now;
  }
  return !std::exchange(used, true);
}

std::string AdminServer::command_of(const HttpRequest& request) const {
  std::string url = normal_url(config_.admin_url);
  return request.path.size() <= url.size() + 1 ? "" : request.path.substr(url.size() + 1);
}

HttpResponse AdminServer::index() const {
  HttpResponse response{.content_type = "text/html; charset=utf-8"};
  std::string url = normal_url(config_.admin_url);
  for (const char* name : admin_command_names())
    response.body += fmt::format("<a href=\"{}/{}\">{}</a>\n<br/>\n", url, name, name);
  return response;
}

void AdminServer::on_get(const HttpRequest& request, HttpServer::Reply reply) {
  std::string command = command_of(request);
  if (command.empty()) return reply(index());
  if (command == "snapshot" || command == "snap") return snapshot(request, std::move(reply));
  if (command == "restore" || command == "rest") {
    const char* error = nullptr;
    int status = refused(request, error);
    return reply(status != 0 ? plain(command, status, error) : plain("restore", 405, "restore takes a POST"));
  }
  OperatorView view = host_.admin_view();
  reply(page(run_admin_command(command, request, view)));
}

// ------------------------------------------------------------------------------- authentication

bool AdminServer::authenticated(std::string_view authorization, const std::string& peer, AuthInfo& ids) {
  while (authorization.ends_with(' ')) authorization.remove_suffix(1);
  size_t space = authorization.find(' ');
  std::string_view scheme = authorization.substr(0, space), data;
  if (space != std::string_view::npos) data = authorization.substr(space + 1);
  bool needs_data = scheme != "ip";
  if (data.find(' ') != std::string_view::npos || (needs_data && space == std::string_view::npos)) return false;
  auto granted = authenticate(scheme, as_bytes(data), peer, auth_options_);
  if (!granted) return false;
  ids = std::move(*granted);
  return true;
}

int AdminServer::refused(const HttpRequest& request, const char*& error) {
  auto given = request.headers.find("authorization");
  if (given == request.headers.end()) {
    error = "Auth info is missing for the command";
    return 401;
  }
  AuthInfo ids;
  if (!authenticated(given->second, request.peer, ids)) {
    error = "Not authenticated";
    return 401;
  }
  OperatorView view = host_.admin_view();
  const DataTree& tree = view.pipeline.tree();
  if (acl_allows(*tree.acls_of(*tree.find("/")), kPermAll, ids, auth_options_)) return 0;
  error = "Not authorized";
  return 403;
}

// ------------------------------------------------------------------------------------- snapshot

void AdminServer::snapshot(const HttpRequest& request, HttpServer::Reply reply) {
  const char* error = nullptr;
  if (int status = refused(request, error); status != 0)
    return reply(plain(command_of(request), status, error));
  if (!config_.admin_snapshot_enabled) return reply(plain("snapshot", 503));
  if (!config_.serialize_last_zxid) return reply(plain("snapshot", 500));
  if (!snapshots_.allow(world_.loop.now())) {
    ++figures_.snapshot_rate_limited;
    return reply(plain("snapshot", 429));
  }
  auto streaming = request.query.find("streaming");
  bool stream = streaming == request.query.end() || streaming->second == "true";
  auto done = [this, alive = alive_, stream, reply = std::move(reply)](Result<SnapshotFile> taken) mutable {
    if (!*alive) return;
    auto file = taken ? world_.disk.open(taken->path, rt::OpenMode::read)
                      : Result<std::shared_ptr<rt::File>>(std::unexpected(taken.error()));
    if (!file) {
      log::warn(kLog, "the snapshot command failed", "reason={}", file.error().context);
      return reply(plain("snapshot", 500));
    }
    HttpResponse response = plain("snapshot", 200);
    response.headers = {{"last_zxid", fmt::format("0x{:x}", static_cast<uint64_t>(taken->zxid))},
                        {"snapshot_size", std::to_string((*file)->size())}};
    if (stream) {
      response.content_type = "application/octet-stream";
      response.body.clear();
      response.file = rt::FileSlice{*file, 0, (*file)->size()};
    }
    reply(std::move(response));
  };
  host_.admin_snapshot(std::move(done));
}

// -------------------------------------------------------------------------------------- restore

// The snapshot goes to a file as it comes; only a whole one is looked at.
class AdminServer::Upload final : public metrics::HttpBody {
 public:
  Upload(AdminServer& owner, std::string path, std::shared_ptr<rt::File> file)
      : owner_(owner), alive_(owner.alive_), path_(std::move(path)), file_(std::move(file)),
        began_(owner.world_.loop.now()) {}
  ~Upload() override {
    if (!handed_over_) discard();
  }

  Result<void> take(Bytes piece) override {
    OTTLA_TRY(file_->write_at(size_, piece));
    size_ += piece.size();
    return {};
  }

  void finish(Fn<void(HttpResponse)> reply) override {
    handed_over_ = true;
    auto done = [this, &owner = owner_, alive = alive_, began = began_,
                 reply = std::move(reply)](Result<int64_t> restored) mutable {
      if (!*alive) return;
      discard();
      if (!restored) {
        ++owner.figures_.restore_errors;
        log::warn(kLog, "the restore command failed; nothing was changed", "reason={}",
                  restored.error().context);
        return reply(plain("restore", 500));
      }
      owner.figures_.restore_time.add(static_cast<uint64_t>((owner.world_.loop.now() - began) / 1'000'000));
      Json json = Json::object();
      json.put("last_zxid", *restored).put("command", "restore").put("error", Json());
      reply(page(json));
    };
    owner_.host_.admin_restore(path_, std::move(done));
  }

 private:
  void discard() {
    if (!*alive_) return;
    owner_.restoring_ = false;
    (void)owner_.world_.disk.remove(path_);
  }

  AdminServer& owner_;
  std::shared_ptr<bool> alive_;
  std::string path_;
  std::shared_ptr<rt::File> file_;
  Instant began_;
  uint64_t size_ = 0;
  bool handed_over_ = false;
};

std::unique_ptr<metrics::HttpBody> AdminServer::on_post(const HttpRequest& request, HttpResponse& refusal) {
  std::string command = command_of(request);
  auto refuse = [&](HttpResponse response) {
    refusal = std::move(response);
    return nullptr;
  };
  if (command.empty()) return refuse(index());
  bool is_snapshot = command == "snapshot" || command == "snap";
  if (command != "restore" && command != "rest" && !is_snapshot) {
    if (!is_admin_command(command))
      return refuse(plain(command, 200, fmt::format("Unknown command: {}", command).c_str()));
    return refuse(plain(command, 405, "this command takes a GET"));
  }
  const char* error = nullptr;
  if (int status = refused(request, error); status != 0) return refuse(plain(command, status, error));
  if (is_snapshot) return refuse(plain("snapshot", 405, "this command takes a GET"));
  if (!config_.admin_restore_enabled) return refuse(plain("restore", 503));
  if (!config_.serialize_last_zxid) return refuse(plain("restore", 500));
  if (restoring_ || !restores_.allow(world_.loop.now())) {
    ++figures_.restore_rate_limited;
    return refuse(plain("restore", 429));
  }
  std::string path = host_.admin_view().snapshot_dir + kUploadName;
  (void)world_.disk.remove(path);
  auto file = world_.disk.open(path, rt::OpenMode::create_new);
  if (!file) {
    ++figures_.restore_errors;
    log::warn(kLog, "the restore command failed", "reason={}", file.error().context);
    return refuse(plain("restore", 500));
  }
  restoring_ = true;
  return std::make_unique<Upload>(*this, std::move(path), std::move(*file));
}

}  // namespace ottla::zk
