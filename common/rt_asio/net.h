// Net over the loop: listeners, attempts to connect, and numeric addresses.
#pragma once

#include "common/rt_asio/loop.h"

namespace ottla::rt_asio {

// IPv4-mapped addresses are written as the IPv4 address that they are.
rt::Endpoint to_endpoint(const Address& address);

// The addresses of a name, blocking: servers listen at start. Those of IPv4 first, as Java prefers
// them: who listens on localhost means 127.0.0.1 wherever there is one.
Result<std::vector<Address>> resolve_now(const rt::Endpoint& at);

class AsioNet final : public rt::Net {
 public:
  explicit AsioNet(AsioLoop& loop) : loop_(loop) {}
  Result<std::unique_ptr<rt::Listener>> listen(
      const rt::Endpoint& at, Fn<void(std::unique_ptr<rt::Connection>)> on_accept) override;
  std::unique_ptr<Attempt> connect(const rt::Endpoint& to,
                                   Fn<void(Result<std::unique_ptr<rt::Connection>>)> done) override;

 private:
  AsioLoop& loop_;
};

}  // namespace ottla::rt_asio
