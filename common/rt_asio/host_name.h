// The name by which other machines may find this one. Asks the resolver, blocking: at start.
#pragma once

#include <string>

namespace ottla::rt_asio {

// As Java's canonical name of the local host: the name that belongs to the address that this
// machine's name belongs to, or that address where it has none. localhost, and a warning, when the
// machine's name has no address.
std::string host_name();

}  // namespace ottla::rt_asio
