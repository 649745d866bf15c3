#include "test/support/echo.h"

#include <algorithm>

namespace ottla::support {

struct EchoServer::Client {
  std::unique_ptr<rt::Connection> connection;
  Buffer buffer{4096};
  std::string partial;
};

EchoServer::EchoServer(rt::World world, const std::string& path) : world_(world), path_(path) {}
EchoServer::~EchoServer() = default;

Result<void> EchoServer::start(const rt::Endpoint& at) {
  OTTLA_ASSIGN(log_, world_.disk.open(path_, rt::OpenMode::create));
  OTTLA_TRY(world_.disk.sync_dir(rt::parent_of(path_)));
  end_ = log_->size();
  OTTLA_ASSIGN(listener_, world_.net.listen(at, [this](auto connection) {
    auto client = std::make_shared<Client>();
    client->connection = std::move(connection);
    clients_.push_back(client);
    read_more(client);
  }));
  return {};
}

void EchoServer::read_more(const std::shared_ptr<Client>& client) {
  client->connection->read(client->buffer.mutable_bytes(),
                           [this, weak = std::weak_ptr(client)](Result<size_t> got) {
                             auto self = weak.lock();
                             if (!self) return;
                             if (!got || *got == 0) {
                               std::erase(clients_, self);
                               return;
                             }
                             self->partial += as_text(self->buffer.bytes().first(*got));
                             size_t newline = self->partial.rfind('\n');
                             if (newline != std::string::npos) {
                               append(self, self->partial.substr(0, newline + 1));
                               self->partial.erase(0, newline + 1);
                             }
                             read_more(self);
                           });
}

void EchoServer::append(const std::shared_ptr<Client>& client, std::string text) {
  if (!log_->write_at(end_, as_bytes(text))) return;
  end_ += text.size();
  written_.push_back({client, std::move(text)});
  if (syncing_.empty()) sync_more();
}

void EchoServer::sync_more() {
  syncing_.swap(written_);
  log_->sync([this](Result<void> result) {
    auto synced = std::exchange(syncing_, {});
    if (!result) return;
    for (const Waiting& waiting : synced)
      if (auto client = waiting.client.lock())
        client->connection->send(Buffer(as_bytes(waiting.text)));
    if (!written_.empty()) sync_more();
  });
}

EchoClient::EchoClient(rt::World world, rt::Endpoint server, std::string name, int lines)
    : world_(world), server_(std::move(server)), name_(std::move(name)), lines_(lines) {
  timer_ = world_.loop.make_timer([this] { connect(); });
  connect();
}
EchoClient::~EchoClient() = default;

void EchoClient::connect() {
  constexpr int64_t kPatienceMs = 2000;
  connection_.reset();
  received_.clear();
  timer_->arm_at(after_ms(world_.loop.now(), kPatienceMs));
  attempt_ = world_.net.connect(server_, [this](Result<std::unique_ptr<rt::Connection>> result) {
    if (!result) return retry();
    connection_ = std::move(*result);
    send_line();
    read_more();
  });
}

void EchoClient::retry() { timer_->arm_at(after_ms(world_.loop.now(), 50)); }

void EchoClient::send_line() {
  if (done()) return;
  connection_->send(Buffer(as_bytes(line(acknowledged_))));
}

void EchoClient::read_more() {
  connection_->read(buffer_.mutable_bytes(), [this](Result<size_t> got) {
    if (!got || *got == 0) return retry();
    received_ += as_text(buffer_.bytes().first(*got));
    if (received_ == line(acknowledged_)) {
      received_.clear();
      ++acknowledged_;
      if (done()) return timer_->cancel();
      timer_->arm_at(after_ms(world_.loop.now(), 2000));
      send_line();
    }
    read_more();
  });
}

}  // namespace ottla::support
