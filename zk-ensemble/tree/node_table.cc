#include "zk-ensemble/tree/node_table.h"

#include <cstring>

#include "common/base/check.h"

namespace ottla::zk {

namespace {

uint64_t mix(uint64_t a, uint64_t b) {
  auto product = static_cast<unsigned __int128>(a) * b;
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

uint64_t load(const char* from, size_t count) {
  uint64_t word = 0;
  std::memcpy(&word, from, count);
  return word;
}

uint32_t short_hash(uint64_t hash) { return static_cast<uint32_t>(hash >> 32); }

}  // namespace

uint64_t hash_path(std::string_view path) {
  constexpr uint64_t kA = 0xa0761d6478bd642f, kB = 0xe7037ed1a0b428db;
  uint64_t hash = kA ^ path.size();
  const char* at = path.data();
  size_t left = path.size();
  for (; left >= 16; at += 16, left -= 16) hash = mix(load(at, 8) ^ kA, load(at + 8, 8) ^ hash);
  if (left >= 8) {
    hash = mix(load(at, 8) ^ kA, hash ^ kB);
    at += 8;
    left -= 8;
  }
  if (left > 0) hash = mix(load(at, left) ^ kB, hash ^ kA);
  return mix(hash ^ kB, kA);
}

bool NodeTable::is(const Node* node, std::string_view path) {
  size_t end = path.size();
  for (; node->parent() != nullptr; node = node->parent()) {
    std::string_view name = node->name();
    if (end <= name.size() || path[end - name.size() - 1] != '/' ||
        std::memcmp(path.data() + end - name.size(), name.data(), name.size()) != 0)
      return false;
    end -= name.size() + 1;
  }
  return end == 0;
}

Node* NodeTable::find(std::string_view path, uint64_t hash) const {
  if (nodes_.empty()) return nullptr;
  size_t mask = nodes_.size() - 1;
  uint32_t wanted = short_hash(hash);
  for (size_t slot = wanted & mask; nodes_[slot] != nullptr; slot = (slot + 1) & mask)
    if (hashes_[slot] == wanted && is(nodes_[slot], path)) return nodes_[slot];
  return nullptr;
}

void NodeTable::insert(Node* node, uint64_t hash) {
  if ((size_ + 1) * 4 > nodes_.size() * 3) grow();
  size_t mask = nodes_.size() - 1;
  size_t slot = short_hash(hash) & mask;
  while (nodes_[slot] != nullptr) slot = (slot + 1) & mask;
  nodes_[slot] = node;
  hashes_[slot] = short_hash(hash);
  ++size_;
}

void NodeTable::remove(const Node* node, uint64_t hash) {
  OTTLA_CHECK(!nodes_.empty());
  size_t mask = nodes_.size() - 1;
  size_t slot = short_hash(hash) & mask;
  for (; nodes_[slot] != node; slot = (slot + 1) & mask) OTTLA_CHECK(nodes_[slot] != nullptr);
  // Closes the gap: whoever sits behind it and could have sat in it moves up.
  for (size_t next = (slot + 1) & mask; nodes_[next] != nullptr; next = (next + 1) & mask) {
    size_t home = hashes_[next] & mask;
    if (((next - home) & mask) >= ((next - slot) & mask)) {
      nodes_[slot] = nodes_[next];
      hashes_[slot] = hashes_[next];
      slot = next;
    }
  }
  nodes_[slot] = nullptr;
  --size_;
}

void NodeTable::clear() {
  nodes_.clear();
  hashes_.clear();
  size_ = 0;
}

void NodeTable::grow() {
  std::vector<Node*> nodes = std::move(nodes_);
  std::vector<uint32_t> hashes = std::move(hashes_);
  size_t capacity = nodes.empty() ? 64 : nodes.size() * 2;
  nodes_.assign(capacity, nullptr);
  hashes_.assign(capacity, 0);
  size_t mask = capacity - 1;
  for (size_t i = 0; i < nodes.size(); ++i) {
    if (nodes[i] == nullptr) continue;
    size_t slot = hashes[i] & mask;
    while (nodes_[slot] != nullptr) slot = (slot + 1) & mask;
    nodes_[slot] = nodes[i];
    hashes_[slot] = hashes[i];
  }
}

}  // namespace ottla::zk
