// The whole tree of a running server as text: every node with data, stat and ACL, read as superuser
// (super:test), sorted.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "proto/zookeeper/records.h"

namespace ottla::differential {

struct TreeNode {
  std::optional<std::string> data;
  jute::Stat stat;
  std::string acls;  // as text, sorted
};

// False when the server could not be read.
bool read_tree(int port, std::map<std::string, TreeNode>& tree);
// Empty when the server could not be read. `anonymous`: without times and owners, which differ
// between servers that went the same way; else every field as it is.
std::string dump_tree(int port, bool anonymous);

}  // namespace ottla::differential
