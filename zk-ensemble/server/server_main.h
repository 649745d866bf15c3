// The `zookeeper` command: what zookeeper-server-start.sh runs. Names the real runtime, so it is for
// mains only.
#pragma once

#include <string>
#include <vector>

namespace ottla::zk {

// Arguments: [-DKEY=VALUE]... FILE, or [-D...]... PORT DATADIR [TICKTIME [MAXCLIENTCNXNS]].
// Runs until SIGTERM or SIGINT (0), or until the log fails (1). Wrong arguments or configuration, a port
// or directory that cannot be used: one line on standard error, 1.
int server_main(const std::vector<std::string>& arguments);

}  // namespace ottla::zk
