// zookeeper.connect: "host[:port],host[:port]...[/chroot]".
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"
#include "common/rt/world.h"

namespace ottla::broker {

inline constexpr uint16_t kDefaultZkPort = 2181;

struct ConnectString {
  std::vector<rt::Endpoint> servers;
  std::string chroot;  // "" or "/a/b", without a slash at the end
  std::string text;    // as it was written, for messages
};
Result<ConnectString> parse_connect_string(std::string_view text);

}  // namespace ottla::broker
