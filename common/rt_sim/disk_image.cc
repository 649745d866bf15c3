#include "common/rt_sim/disk_image.h"

#include <algorithm>

#include "common/rt_sim/simulator.h"

namespace ottla::sim {

namespace {

std::vector<std::string> split(const std::string& path) {
  std::vector<std::string> names;
  size_t at = 0;
  while (at < path.size()) {
    size_t end = std::min(path.find('/', at), path.size());
    std::string name = path.substr(at, end - at);
    if (name == ".." && !names.empty())
      names.pop_back();
    else if (!name.empty() && name != "." && name != "..")
      names.push_back(std::move(name));
    at = end + 1;
  }
  return names;
}

// The bytes of a sector, cut where the content ends.
std::string sector_of(const std::string& bytes, uint64_t sector) {
  uint64_t from = sector * kSector;
  return from >= bytes.size() ? std::string() : bytes.substr(from, kSector);
}

void put_sector(std::string& bytes, uint64_t sector, const std::string& content) {
  uint64_t from = sector * kSector;
  if (bytes.size() < from + content.size()) bytes.resize(from + content.size(), '\0');
  bytes.replace(from, content.size(), content);
}

// What a crash leaves of one unsynced sector, both given at full length.
std::string crashed_sector(const std::string& old_bytes, const std::string& new_bytes, Prng& prng,
                           const DiskOptions& options) {
  if (prng.chance(options.sector_lost)) return old_bytes;
  if (prng.chance(options.sector_torn)) {
    size_t cut = prng.below(kSector);
    return new_bytes.substr(0, cut) + old_bytes.substr(cut);
  }
  std::string result = new_bytes;
  if (prng.chance(options.sector_garbled))
    for (size_t i = 0; i < kSector; ++i)
      if (old_bytes[i] != new_bytes[i]) result[i] = static_cast<char>(prng.next());
  return result;
}

std::string crashed_content(const Inode& file, Prng& prng, const DiskOptions& options) {
  std::string result = file.durable;
  for (uint64_t sector : file.dirty) {
    std::string was = sector_of(file.durable, sector), is = sector_of(file.bytes, sector);
    was.resize(kSector, '\0');
    is.resize(kSector, '\0');
    put_sector(result, sector, crashed_sector(was, is, prng, options));
  }
  uint64_t low = std::min(file.durable.size(), file.bytes.size());
  uint64_t high = std::max(file.durable.size(), file.bytes.size());
  uint64_t size = file.durable.size();
  if (file.resized) {
    switch (prng.below(3)) {
      case 0:
        size = file.durable.size();
        break;
      case 1:
        size = file.bytes.size();
        break;
      default:
        size = low + prng.below(high - low + 1);
    }
  }
  result.resize(size, '\0');
  return result;
}

}  // namespace

void Inode::write(uint64_t offset, Bytes from) {
  if (from.empty()) return;
  if (offset + from.size() > bytes.size()) resize(offset + from.size());
  bytes.replace(offset, from.size(), as_text(from));
  for (uint64_t sector = offset / kSector; sector <= (offset + from.size() - 1) / kSector;
       ++sector) {
    dirty.insert(sector);
    limbo.erase(sector);
  }
}

void Inode::resize(uint64_t size) {
  if (size == bytes.size()) return;
  // Both the bytes that are cut off and the zeros that are added are unsynced.
  uint64_t low = std::min<uint64_t>(size, bytes.size()),
           high = std::max<uint64_t>(size, bytes.size());
  for (uint64_t sector = low / kSector; sector <= (high - 1) / kSector; ++sector)
    dirty.insert(sector);
  bytes.resize(size, '\0');
  resized = true;
}

SyncImage begin_sync(Inode& file) {
  SyncImage image;
  image.number = ++file.syncs_begun;
  image.size = file.bytes.size();
  for (uint64_t sector : file.dirty)
    if (!file.limbo.contains(sector)) image.sectors.emplace(sector, sector_of(file.bytes, sector));
  return image;
}

void finish_sync(Inode& file, const SyncImage& image) {
  bool newest = image.number > file.size_synced_by;
  uint64_t size = newest ? image.size : file.durable.size();
  if (newest) file.size_synced_by = image.number;
  file.durable.resize(size, '\0');
  for (const auto& [sector, content] : image.sectors) {
    uint64_t& synced_by = file.synced_by[sector];
    if (synced_by > image.number) continue;
    synced_by = image.number;
    std::string whole = content;
    if (sector * kSector < size)
      whole.resize(std::min(kSector, size - sector * kSector), '\0');
    else
      whole.clear();
    put_sector(file.durable, sector, whole);
    if (sector_of(file.bytes, sector) == content) file.dirty.erase(sector);
  }
  file.durable.resize(size, '\0');
  file.resized = file.durable.size() != file.bytes.size();
}

void fail_sync(Inode& file, const SyncImage& image) {
  for (const auto& [sector, content] : image.sectors)
    if (sector_of(file.bytes, sector) == content) file.limbo.insert(sector);
}

// ------------------------------------------------------------------------------------------- names

DiskImage::DiskImage() : root_(std::make_shared<Inode>()) { root_->is_directory = true; }

InodePtr DiskImage::find(const std::string& path) const {
  InodePtr at = root_;
  for (const std::string& name : split(path)) {
    if (!at->is_directory) return nullptr;
    auto entry = at->entries.find(name);
    if (entry == at->entries.end()) return nullptr;
    at = entry->second;
  }
  return at;
}

std::pair<InodePtr, std::string> DiskImage::place(const std::string& path) const {
  std::vector<std::string> names = split(path);
  if (names.empty()) return {nullptr, {}};
  std::string last = names.back();
  names.pop_back();
  std::string parent;
  for (const std::string& name : names) parent += "/" + name;
  InodePtr directory = find(parent);
  if (directory && !directory->is_directory) directory = nullptr;
  return {directory, last};
}

void DiskImage::link(const InodePtr& directory, const std::string& name, const InodePtr& inode) {
  directory->entries[name] = inode;
  journal_.push_back({nullptr, directory, {}, name, inode});
}

void DiskImage::unlink(const InodePtr& directory, const std::string& name) {
  directory->entries.erase(name);
  journal_.push_back({directory, nullptr, name, {}, nullptr});
}

void DiskImage::rename(const InodePtr& from, const std::string& from_name, const InodePtr& to,
                       const std::string& to_name) {
  InodePtr inode = from->entries.at(from_name);
  from->entries.erase(from_name);
  to->entries[to_name] = inode;
  journal_.push_back({from, to, from_name, to_name, inode});
}

void DiskImage::make_durable(const NameChange& change) {
  if (change.old_directory) change.old_directory->durable_entries.erase(change.old_name);
  if (change.new_directory) change.new_directory->durable_entries[change.new_name] = change.inode;
}

void DiskImage::sync_directory(const InodePtr& directory) {
  // From the newest back: a change is needed if it touches a directory of a later needed one.
  std::set<const Inode*> touched{directory.get()};  // only asked for membership
  std::vector<bool> needed(journal_.size());
  for (size_t i = journal_.size(); i-- > 0;) {
    const NameChange& change = journal_[i];
    if (!touched.contains(change.old_directory.get()) &&
        !touched.contains(change.new_directory.get()))
      continue;
    needed[i] = true;
    if (change.old_directory) touched.insert(change.old_directory.get());
    if (change.new_directory) touched.insert(change.new_directory.get());
  }
  std::vector<NameChange> left;
  for (size_t i = 0; i < journal_.size(); ++i) {
    if (needed[i])
      make_durable(journal_[i]);
    else
      left.push_back(std::move(journal_[i]));
  }
  journal_ = std::move(left);
}

namespace {
uint64_t bytes_below(const Inode& inode) {
  uint64_t total = inode.bytes.size();
  for (const auto& [name, entry] : inode.entries) total += bytes_below(*entry);
  return total;
}
}  // namespace

namespace {
void collect(const std::string& path, const InodePtr& inode,
             std::vector<std::pair<std::string, InodePtr>>& into) {
  if (!inode->is_directory) return into.emplace_back(path, inode), void();
  for (const auto& [name, entry] : inode->entries) collect(path + "/" + name, entry, into);
}
}  // namespace

std::vector<std::pair<std::string, InodePtr>> DiskImage::files() const {
  std::vector<std::pair<std::string, InodePtr>> found;
  collect("", root_, found);
  return found;
}

std::optional<Decayed> DiskImage::decay(Prng& prng, const std::string& path_part) {
  auto all = files();
  std::erase_if(all, [&](const auto& file) {
    return file.first.find(path_part) == std::string::npos || file.second->durable.empty() ||
           file.second->durable.size() != file.second->bytes.size();
  });
  for (int tries = 0; tries < 20 && !all.empty(); ++tries) {
    auto& [path, inode] = all[prng.below(all.size())];
    uint64_t at = prng.below(inode->durable.size());
    if (inode->dirty.contains(at / kSector) || inode->durable[at] != inode->bytes[at]) continue;
    auto flip = static_cast<char>(1 << prng.below(8));
    inode->durable[at] = inode->bytes[at] = static_cast<char>(inode->bytes[at] ^ flip);
    return Decayed{path, at};
  }
  return std::nullopt;
}

uint64_t DiskImage::used_bytes() const { return bytes_below(*root_); }

InodePtr DiskImage::survivor(const InodePtr& inode, Prng& prng, const DiskOptions& options) {
  auto copy = std::make_shared<Inode>();
  copy->is_directory = inode->is_directory;
  copy->modified_wall_ms = inode->modified_wall_ms;
  if (!inode->is_directory) {
    copy->bytes = copy->durable = crashed_content(*inode, prng, options);
    return copy;
  }
  for (const auto& [name, entry] : inode->durable_entries)
    copy->entries.emplace(name, survivor(entry, prng, options));
  copy->durable_entries = copy->entries;
  return copy;
}

void DiskImage::crash(Prng& prng, const DiskOptions& options) {
  std::set<const Inode*> stopped;  // only asked for membership
  for (const NameChange& change : journal_) {
    bool lost = stopped.contains(change.old_directory.get()) ||
                stopped.contains(change.new_directory.get()) || !prng.chance(options.name_kept);
    if (!lost) {
      make_durable(change);
      continue;
    }
    if (change.old_directory) stopped.insert(change.old_directory.get());
    if (change.new_directory) stopped.insert(change.new_directory.get());
  }
  journal_.clear();
  root_ = survivor(root_, prng, options);
}

}  // namespace ottla::sim
