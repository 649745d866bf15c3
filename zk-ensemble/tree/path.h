// Paths as the server sees them: validated for writes, taken as they are for reads.
// Source: ZooKeeper programmer's guide, "The ZooKeeper data model".
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace ottla::zk {

// True when a write may name `path`: absolute, no empty, "." or ".." segment, no trailing '/', no
// control characters, surrogates or private use code units.
bool valid_path(std::string_view path);
// Text before the last '/': "" for children of the root. The path must hold a '/'.
inline std::string_view parent_path(std::string_view path) {
  return path.substr(0, path.rfind('/'));
}
inline std::string_view base_name(std::string_view path) {
  return path.substr(path.rfind('/') + 1);
}
// "/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config": never deleted.
bool special_path(std::string_view path);
// path + counter as printf's %010d.
std::string sequential_path(std::string_view path, int32_t counter);

}  // namespace ottla::zk
