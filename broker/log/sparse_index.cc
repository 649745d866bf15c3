#include "broker/log/sparse_index.h"

namespace ottla::broker {
namespace {
constexpr size_t kFreshBytesMax = 4096;  // then the run goes to the file
}

Result<void> SparseIndex::load() {
  if (loaded_) return {};
  auto opened = disk_.open(path_, rt::OpenMode::read_write);
  if (opened) {
    file_ = std::move(*opened);
    saved_ = file_->size() / entry_size_;
  } else if (opened.error().code != Errc::not_found) {
    return std::unexpected(opened.error());
  }
  loaded_ = true;
  return {};
}

Result<uint64_t> SparseIndex::count() {
  OTTLA_TRY(load());
  return saved_ + fresh_.size() / entry_size_;
}

Result<void> SparseIndex::get(uint64_t at, MutBytes into) {
  OTTLA_TRY(load());
  if (at >= saved_) {
    OTTLA_CHECK((at - saved_ + 1) * entry_size_ <= fresh_.size());
    std::memcpy(into.data(), fresh_.data() + (at - saved_) * entry_size_, entry_size_);
    return {};
  }
  OTTLA_ASSIGN(size_t got, file_->read_at(at * entry_size_, into.first(entry_size_)));
  if (got != entry_size_) return fail(Errc::corrupt, path_ + " is shorter than it was");
  return {};
}

Result<void> SparseIndex::append(Bytes entry) {
  OTTLA_CHECK(entry.size() == entry_size_);
  OTTLA_TRY(load());
  fresh_.append(entry);
  return fresh_.size() >= kFreshBytesMax ? save() : Result<void>{};
}

Result<void> SparseIndex::create_missing() {
  OTTLA_TRY(load());
  if (file_) return {};
  OTTLA_ASSIGN(file_, disk_.open(path_, rt::OpenMode::create));
  return {};
}

Result<void> SparseIndex::save() {
  OTTLA_TRY(load());
  if (!file_) {
    OTTLA_ASSIGN(file_, disk_.open(path_, rt::OpenMode::create));
    dirty_ = true;
  }
  if (fresh_.empty()) return {};
  OTTLA_TRY(file_->write_at(saved_ * entry_size_, fresh_));
  saved_ += fresh_.size() / entry_size_;
  fresh_.clear();
  dirty_ = true;
  return {};
}

Result<void> SparseIndex::truncate(uint64_t count) {
  OTTLA_ASSIGN(uint64_t have, this->count());
  if (count < saved_ || (file_ && file_->size() != saved_ * entry_size_)) {
    saved_ = std::min(saved_, count);
    OTTLA_TRY(file_->truncate(saved_ * entry_size_));
    dirty_ = true;
  }
  if (count < have) fresh_.resize_uninitialized(static_cast<size_t>(count - saved_) * entry_size_);
  return {};
}

Result<void> SparseIndex::sync_now() {
  OTTLA_TRY(save());
  OTTLA_TRY(file_->sync_now());
  dirty_ = false;
  return {};
}

Result<Buffer> SparseIndex::all() {
  OTTLA_TRY(load());
  Buffer content(static_cast<size_t>(saved_) * entry_size_);
  if (file_) {
    OTTLA_ASSIGN(size_t got, file_->read_at(0, content.mutable_bytes()));
    content.resize_uninitialized(got);
  }
  content.append(fresh_.bytes());
  return content;
}

}  // namespace ottla::broker
