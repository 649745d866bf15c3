// NodeTable: all nodes by path, one probe for a lookup whatever the depth. Open addressing over the
// hash of the whole path; paths are not stored but compared name by name up to the root, whose
// upper nodes are warm. Growing moves 12 bytes a node and touches none.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "zk-ensemble/tree/node.h"

namespace ottla::zk {

uint64_t hash_path(std::string_view path);

// Invariants: size() * 4 <= capacity * 3; no empty slot between a node's home slot and its own.
class NodeTable {
 public:
  Node* find(std::string_view path, uint64_t hash) const;
  void insert(Node* node, uint64_t hash);  // not in the table yet
  void remove(const Node* node, uint64_t hash);
  void clear();
  size_t size() const { return size_; }
  size_t capacity() const { return nodes_.size(); }

 private:
  static bool is(const Node* node, std::string_view path);
  void grow();

  std::vector<Node*> nodes_;
  std::vector<uint32_t> hashes_;
  size_t size_ = 0;
};

}  // namespace ottla::zk
