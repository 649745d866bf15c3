#include "zk-ensemble/tree/overlay.h"

#include <algorithm>
#include <unordered_set>

#include "common/base/check.h"

namespace ottla::zk {

const ChangeRecord* Overlay::find(std::string_view path) const {
  if (path == "/") path = {};
  auto it = latest_.find(path);
  return it == latest_.end() ? nullptr : &records_[it->second - first_number_];
}

bool Overlay::lookup(std::string_view path, ChangeRecord& into) const {
  if (path == "/") path = {};
  if (const ChangeRecord* record = find(path)) {
    into = *record;
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
  record.data_peak = record.data_size;
  if (record.hidden != SIZE_MAX)
    record.data_peak =
        std::max(record.data_peak, records_[record.hidden - first_number_].data_peak);
  records_.push_back(std::move(record));
  const ChangeRecord& added = records_.back();
  size_t number = first_number_ + records_.size() - 1;
  if (is_created(added)) created_[added.stat.ephemeral_owner].push_back(number);
  set_latest(added.path, number);
}

std::vector<std::string> Overlay::created_by(int64_t session) const {
  std::vector<std::string> paths;
  auto of = created_.find(session);
  if (of == created_.end()) return paths;
  std::unordered_set<std::string_view> seen;
  for (size_t number : of->second) {
    const ChangeRecord& made = records_[number - first_number_];
    const ChangeRecord& latest = records_[latest_.find(made.path)->second - first_number_];
    // Not what was deleted, or deleted and made again, since.
    bool lasts = latest.exists && latest.stat.ephemeral_owner == session &&
                 latest.stat.czxid == made.stat.czxid;
    if (lasts && seen.insert(made.path).second) paths.push_back(made.path);
  }
  return paths;
}

void Overlay::applied(int64_t zxid) {
  for (; !records_.empty() && records_.front().zxid <= zxid;
       records_.pop_front(), ++first_number_) {
    const ChangeRecord& first = records_.front();
    if (is_created(first)) {
      auto of = created_.find(first.stat.ephemeral_owner);
      of->second.pop_front();
      if (of->second.empty()) created_.erase(of);
    }
    auto it = latest_.find(first.path);
    if (it->second == first_number_) latest_.erase(it);
  }
}

void Overlay::roll_back(int64_t zxid) {
  for (; !records_.empty() && records_.back().zxid == zxid; records_.pop_back()) {
    const ChangeRecord& last = records_.back();
    if (is_created(last)) {
      auto of = created_.find(last.stat.ephemeral_owner);
      of->second.pop_back();
      if (of->second.empty()) created_.erase(of);
    }
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
  size_t created = 0;
  for (const ChangeRecord& record : records_) created += is_created(record) ? 1 : 0;
  for (const auto& [owner, numbers] : created_) {
    created -= numbers.size();
    for (size_t number : numbers)
      OTTLA_CHECK(records_[number - first_number_].stat.ephemeral_owner == owner);
  }
  OTTLA_CHECK(created == 0);
  for (const auto& [path, number] : latest_) {
    const ChangeRecord& record = records_[number - first_number_];
    OTTLA_CHECK(record.path == path && record.path.data() == path.data());
  }
}

}  // namespace ottla::zk
