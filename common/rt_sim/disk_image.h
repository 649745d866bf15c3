// A machine's disk: what programs see now, and what would be there after a power failure.
//
// Data: a file has its current bytes and its durable bytes, and the 512-byte sectors in which they
// differ in history. A crash decides for each such sector alone: kept, lost, torn, or its unsynced
// bytes garbled; and for the size alone: old, new, or between. Bytes that were synced and not
// written since always survive. Sectors of a failed sync are in limbo: a later sync does not save
// them. Names: creations, removals and renames form a journal. Syncing a directory makes its
// changes (and what they depend on) durable; at a crash, of each directory's other changes a prefix
// survives, a rename between directories wholly or not at all. A file's sync does not make its name
// durable.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/base/prng.h"
#include "common/base/result.h"
#include "common/rt/world.h"

namespace ottla::sim {

struct DiskOptions;
struct Decayed;

constexpr uint64_t kSector = 512;

struct Inode {
  bool is_directory = false;
  int64_t modified_wall_ms = 0;

  std::string bytes;         // current
  std::string durable;       // after the last successful syncs
  std::set<uint64_t> dirty;  // sectors written since
  std::set<uint64_t> limbo;  // of them, those that a failed sync gave up
  bool resized = false;      // size changed since
  // Syncs overlap: what a later one made durable, one that began before and ends after leaves.
  uint64_t syncs_begun = 0, size_synced_by = 0;
  std::map<uint64_t, uint64_t> synced_by;  // sector -> the number of the sync

  std::map<std::string, std::shared_ptr<Inode>> entries;  // current
  std::map<std::string, std::shared_ptr<Inode>> durable_entries;

  void write(uint64_t offset, Bytes from);
  void resize(uint64_t size);
};
using InodePtr = std::shared_ptr<Inode>;

// The content that a sync started on; becomes durable when the sync ends.
struct SyncImage {
  uint64_t number = 0;
  std::map<uint64_t, std::string> sectors;
  uint64_t size = 0;
};
SyncImage begin_sync(Inode& file);
void finish_sync(Inode& file, const SyncImage& image);
void fail_sync(Inode& file, const SyncImage& image);

class DiskImage {
 public:
  DiskImage();

  InodePtr find(const std::string& path) const;  // null when missing
  // The directory that holds `path`, and its last name; null when missing.
  std::pair<InodePtr, std::string> place(const std::string& path) const;
  void link(const InodePtr& directory, const std::string& name, const InodePtr& inode);
  void unlink(const InodePtr& directory, const std::string& name);
  void rename(const InodePtr& from, const std::string& from_name, const InodePtr& to,
              const std::string& to_name);
  void sync_directory(const InodePtr& directory);
  uint64_t used_bytes() const;
  // Every file, in the order of paths.
  std::vector<std::pair<std::string, InodePtr>> files() const;
  std::optional<Decayed> decay(Prng& prng, const std::string& path_part);
  // Power fails. Old inodes are no longer part of the disk.
  void crash(Prng& prng, const DiskOptions& options);

 private:
  // Removes old_name from old_directory and/or sets new_name of new_directory, together.
  struct NameChange {
    InodePtr old_directory, new_directory;
    std::string old_name, new_name;
    InodePtr inode;
  };
  static void make_durable(const NameChange& change);
  static InodePtr survivor(const InodePtr& inode, Prng& prng, const DiskOptions& options);

  InodePtr root_;
  std::vector<NameChange> journal_;
};

}  // namespace ottla::sim
