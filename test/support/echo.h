// A toy server and client on rt::World: the smallest program that runs unchanged in the real and in
// the simulated world. The server appends each line to a log file, syncs, and only then echoes it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "common/rt/world.h"

namespace ottla::support {

class EchoServer {
 public:
  // `path`: the log, created in an existing directory.
  EchoServer(rt::World world, const std::string& path);
  ~EchoServer();
  Result<void> start(const rt::Endpoint& at);
  uint16_t port() const { return listener_->port(); }

 private:
  struct Client;
  struct Waiting {
    std::weak_ptr<Client> client;
    std::string text;
  };
  void read_more(const std::shared_ptr<Client>& client);
  void append(const std::shared_ptr<Client>& client, std::string text);
  void sync_more();

  rt::World world_;
  std::string path_;
  std::shared_ptr<rt::File> log_;
  uint64_t end_ = 0;
  std::unique_ptr<rt::Listener> listener_;
  std::vector<std::shared_ptr<Client>> clients_;
  std::vector<Waiting> written_, syncing_;
};

// Sends numbered lines, one after the other, each until it is echoed; reconnects after any failure.
class EchoClient {
 public:
  EchoClient(rt::World world, rt::Endpoint server, std::string name, int lines);
  ~EchoClient();
  bool done() const { return acknowledged_ == lines_; }
  int acknowledged() const { return acknowledged_; }
  std::string line(int number) const { return name_ + "-" + std::to_string(number) + "\n"; }

 private:
  void connect();
  void send_line();
  void read_more();
  void retry();

  rt::World world_;
  rt::Endpoint server_;
  std::string name_;
  int lines_;
  int acknowledged_ = 0;
  std::string received_;
  Buffer buffer_{100};
  std::unique_ptr<rt::Connection> connection_;
  std::unique_ptr<rt::Net::Attempt> attempt_;
  std::unique_ptr<rt::Timer> timer_;  // retries, and gives a silent server up
};

}  // namespace ottla::support
