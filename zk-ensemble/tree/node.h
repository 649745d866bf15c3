// Node: one znode, 128 bytes and its name. Children hang in a ring in the order of their creation,
// so a listing is deterministic and a child costs no entry in any container of its parent. Owned by
// DataTree; everybody else reads.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/base/bytes.h"
#include "zk-ensemble/tree/stat.h"

namespace ottla::zk {

class Node {
 public:
  std::string_view name() const { return {reinterpret_cast<const char*>(this + 1), name_size_}; }
  std::string path() const;  // "" for the root
  bool data_is_null() const { return data_size_ < 0; }
  Bytes data() const { return {data_, data_size_ < 0 ? 0 : static_cast<size_t>(data_size_)}; }
  int32_t children() const { return children_; }
  const Node* parent() const { return parent_; }
  const Node* first_child() const { return first_child_; }
  // The sibling created after this one, or null.
  const Node* next_sibling() const {
    return parent_ == nullptr || next_ == parent_->first_child_ ? nullptr : next_;
  }
  // The node after this one among `top` and all below it, parents first; null behind the last. Clients
  // make trees deeper than any stack: who walks one does so with this.
  const Node* next_in(const Node& top) const {
    if (first_child_ != nullptr) return first_child_;
    const Node* node = this;
    while (node != &top && node->next_sibling() == nullptr) node = node->parent_;
    return node == &top ? nullptr : node->next_sibling();
  }
  int64_t acl_ref() const { return acl_ref_; }
  const StatPersisted& persisted() const { return stat_; }
  uint32_t digest_prefix() const { return digest_prefix_; }

 private:
  friend class DataTree;
  friend class NodeTable;

  StatPersisted stat_;
  int64_t acl_ref_ = -1;
  Node* parent_ = nullptr;
  Node* first_child_ = nullptr;
  Node* next_ = nullptr;
  Node* previous_ = nullptr;
  uint8_t* data_ = nullptr;
  int32_t data_size_ = -1;
  int32_t children_ = 0;
  uint32_t digest_prefix_ = 0;
  uint32_t name_size_ = 0;
};

}  // namespace ottla::zk
