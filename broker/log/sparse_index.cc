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
    exists_ = true;
  } else if (opened.error().code != Errc::not_found) {
    return std::unexpected(opened.error());
  }
  loaded_ = true;
  return {};
}

Result<std::shared_ptr<rt::File>> SparseIndex::file() {
  OTTLA_TRY(load());
  if (!file_) {
    OTTLA_ASSIGN(file_, disk_.open(path_, rt::OpenMode::create));
    exists_ = true;
  }
  return file_;
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
  OTTLA_ASSIGN(auto file, this->file());
  OTTLA_ASSIGN(size_t got, file->read_at(at * entry_size_, into.first(entry_size_)));
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
  if (exists_) return {};
  OTTLA_ASSIGN(auto made, file());
  (void)made;
  return {};
}

Result<void> SparseIndex::save() {
  OTTLA_TRY(load());
  if (exists_ && fresh_.empty()) return {};
  OTTLA_ASSIGN(auto file, this->file());
  dirty_ = true;
  if (fresh_.empty()) return {};
  OTTLA_TRY(file->write_at(saved_ * entry_size_, fresh_));
  saved_ += fresh_.size() / entry_size_;
  fresh_.clear();
  return {};
}

Result<void> SparseIndex::truncate(uint64_t count) {
  OTTLA_ASSIGN(uint64_t have, this->count());
  if (exists_) {
    OTTLA_ASSIGN(auto file, this->file());
    if (count < saved_ || file->size() != saved_ * entry_size_) {
      saved_ = std::min(saved_, count);
      OTTLA_TRY(file->truncate(saved_ * entry_size_));
      dirty_ = true;
    }
  }
  if (count < have) fresh_.resize_uninitialized(static_cast<size_t>(count - saved_) * entry_size_);
  return {};
}

Result<Buffer> SparseIndex::all() {
  OTTLA_TRY(load());
  Buffer content(static_cast<size_t>(saved_) * entry_size_);
  if (exists_) {
    OTTLA_ASSIGN(auto file, this->file());
    OTTLA_ASSIGN(size_t got, file->read_at(0, content.mutable_bytes()));
    content.resize_uninitialized(got);
  }
  content.append(fresh_.bytes());
  return content;
}

}  // namespace ottla::broker
