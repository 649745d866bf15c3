#include "zk-ensemble/tree/overlay.h"

#include "common/base/check.h"

namespace ottla::zk {

bool Overlay::lookup(std::string_view path, ChangeRecord& into) const {
  if (path == "/") path = {};
  if (auto it = latest_.find(path); it != latest_.end()) {
    into = records_[it->second - first_number_];
    return into.exists;
  }
  const Node* node = tree_.find(path);
  if (node == nullptr) return false;
  into.zxid = -1;
  into.path = path;
  into.exists = true;
  into.stat = node->persisted();
  into.children = node->children();
  into.data_size = static_cast<int32_t>(node->data().size());
  into.digest_prefix = node->digest_prefix();
  into.acls = tree_.acls_of(*node);
  return true;
}

void Overlay::set_latest(std::string_view path, size_t number) {
  // The key must be the text of the record it leads to: the old record goes first.
  if (auto it = latest_.find(path); it != latest_.end()) {
    auto handle = latest_.extract(it);
    handle.key() = path;
    handle.mapped() = number;
    latest_.insert(std::move(handle));
  } else {
    latest_.emplace(path, number);
  }
}

void Overlay::add(ChangeRecord record) {
  OTTLA_DCHECK(records_.empty() || record.zxid >= records_.back().zxid);
  auto it = latest_.find(record.path);
  record.hidden = it == latest_.end() ? SIZE_MAX : it->second;
  records_.push_back(std::move(record));
  set_latest(records_.back().path, first_number_ + records_.size() - 1);
}

void Overlay::applied(int64_t zxid) {
  for (; !records_.empty() && records_.front().zxid <= zxid;
       records_.pop_front(), ++first_number_) {
    auto it = latest_.find(records_.front().path);
    if (it->second == first_number_) latest_.erase(it);
  }
}

void Overlay::roll_back(int64_t zxid) {
  for (; !records_.empty() && records_.back().zxid == zxid; records_.pop_back()) {
    const ChangeRecord& last = records_.back();
    // What it hid may have been applied meanwhile; then the tree itself is what shows again.
    if (last.hidden != SIZE_MAX && last.hidden >= first_number_)
      set_latest(records_[last.hidden - first_number_].path, last.hidden);
    else
      latest_.erase(last.path);
  }
}

void Overlay::check_invariants() const {
  for (size_t i = 0; i < records_.size(); ++i) {
    auto it = latest_.find(records_[i].path);
    OTTLA_CHECK(it != latest_.end() && it->second >= first_number_ + i);
    OTTLA_CHECK(i == 0 || records_[i].zxid >= records_[i - 1].zxid);
  }
  for (const auto& [path, number] : latest_) {
    const ChangeRecord& record = records_[number - first_number_];
    OTTLA_CHECK(record.path == path && record.path.data() == path.data());
  }
}

}  // namespace ottla::zk
