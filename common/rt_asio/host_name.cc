#include "common/rt_asio/host_name.h"

#include <limits.h>
#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "common/base/log.h"
#include "common/rt_asio/address.h"
#include "common/rt_asio/net.h"

namespace ottla::rt_asio {

namespace {

constexpr log::Room kLog{"rt"};

// True when `name` leads back to the address: a reverse zone can say anything.
bool belongs_to(const Address& address, const std::string& name) {
  auto found = resolve_now({name, 0});
  return found && std::ranges::any_of(*found, [&](const Address& one) {
           return to_endpoint(one) == to_endpoint(address);
         });
}

}  // namespace

std::string host_name() {
  char own[HOST_NAME_MAX + 1] = "localhost";
  (void)::gethostname(own, sizeof own - 1);
  auto found = resolve_now({own, 0});
  if (!found || found->empty()) {
    log::warn(
        kLog,
        "the name of this machine has no address: listeners without a host are advertised as "
        "localhost, which other machines cannot reach; set advertised.listeners or /etc/hosts",
        "name={} error=\"{}\"", own, found ? "no address" : found.error().context);
    return "localhost";
  }
  const Address& address = found->front();
  char name[NI_MAXHOST];
  if (::getnameinfo(address.get(), address.length, name, sizeof name, nullptr, 0, NI_NAMEREQD) != 0)
    return to_endpoint(address).host;
  return belongs_to(address, name) ? name : to_endpoint(address).host;
}

}  // namespace ottla::rt_asio
