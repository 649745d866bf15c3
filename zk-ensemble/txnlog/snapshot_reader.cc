#include "zk-ensemble/txnlog/snapshot_reader.h"

#include <fmt/core.h>

#include <algorithm>

#include "zk-ensemble/txnlog/snapshot_stream.h"
#include "zk-ensemble/txnlog/txn_format.h"

namespace ottla::zk {
namespace {

constexpr size_t kChunkBytes = 1 << 20;
constexpr uint8_t kSealText[] = {0, 0, 0, 1, '/'};

// Sticky-error reading of a file front to back, with the running checksum of what was read.
class Stream {
 public:
  explicit Stream(std::shared_ptr<rt::File> file) : source_(SnapshotSource::open(std::move(file))) {}

  bool ok() const { return ok_; }
  uint64_t offset() const { return base_ + at_; }
  uint64_t left_at_most() const { return source_->left_at_most() + (chunk_.size() - at_); }
  // What is left, but no more than `most`.
  size_t left(size_t most) {
    (void)fill(most);
    return std::min(most, chunk_.size() - at_);
  }
  uint32_t checksum() {
    checksum_ = adler32(checksum_, chunk_.bytes().subspan(summed_, at_ - summed_));
    summed_ = at_;
    return checksum_;
  }

  // The next `count` bytes, valid until the next call.
  Bytes take(size_t count) {
    if (!ok_ || count > left_at_most() || !fill(count)) {
      ok_ = false;
      return {};
    }
    Bytes taken = chunk_.bytes().subspan(at_, count);
    at_ += count;
    return taken;
  }
  int32_t i32() {
    Bytes b = take(4);
    return ok_ ? load_be<int32_t>(b.data()) : 0;
  }
  int64_t i64() {
    Bytes b = take(8);
    return ok_ ? load_be<int64_t>(b.data()) : 0;
  }
  std::string_view text() {
    int32_t length = i32();
    if (length < 0) ok_ = false;
    return as_text(take(static_cast<size_t>(std::max(length, 0))));
  }
  // A count of things that take at least `least` bytes each.
  int32_t count(size_t least) {
    int32_t value = i32();
    if (value < 0 || static_cast<uint64_t>(value) > left_at_most() / least) ok_ = false;
    return ok_ ? value : 0;
  }

 private:
  // Memory is taken as bytes appear, not as lengths promise them.
  bool fill(size_t count) {
    while (chunk_.size() - at_ < count) {
      (void)checksum();
      size_t kept = chunk_.size() - at_;
      Buffer next(std::max(std::min(count, 2 * kept), kept + kChunkBytes));
      if (kept != 0) std::memcpy(next.data(), chunk_.data() + at_, kept);
      auto got = source_->read(next.mutable_bytes().subspan(kept));
      if (!got || *got == 0) return false;
      next.resize_uninitialized(kept + *got);
      base_ += at_;
      chunk_ = std::move(next);
      at_ = summed_ = 0;
    }
    return true;
  }

  std::unique_ptr<SnapshotSource> source_;
  Buffer chunk_ = Buffer(size_t{0});
  uint64_t base_ = 0;  // of chunk_ in the uncompressed stream
  size_t at_ = 0;
  size_t summed_ = 0;
  uint32_t checksum_ = 1;
  bool ok_ = true;
};

bool read_seal(Stream& in) {
  uint32_t expected = in.checksum();
  int64_t written = in.i64();
  return in.text() == "/" && in.ok() && written == static_cast<int64_t>(expected);
}

const char* read_head(Stream& in, DataTree& tree) {
  if (in.i32() != kSnapshotMagic) return "not a snapshot (its first bytes are wrong)";
  in.i32();
  in.i64();
  int32_t sessions = in.count(12);
  for (int32_t i = 0; i < sessions; ++i) {
    int64_t id = in.i64();
    tree.load_session(id, in.i32());
  }
  int32_t acls = in.count(12);
  for (int32_t i = 0; i < acls && in.ok(); ++i) {
    int64_t ref = in.i64();
    int32_t length = in.count(12);
    AclList list;
    for (int32_t k = 0; k < length && in.ok(); ++k) {
      Acl acl;
      acl.perms = in.i32();
      acl.id.scheme = in.text();
      acl.id.id = in.text();
      list.push_back(std::move(acl));
    }
    if (in.ok()) tree.load_acl(ref, std::move(list));
  }
  return in.ok() ? nullptr : "sessions or ACLs are cut short";
}

const char* read_nodes(Stream& in, DataTree& tree) {
  std::string path, data;
  for (;;) {
    path = in.text();
    if (!in.ok()) return "the tree is cut short";
    if (path == "/") return nullptr;
    std::optional<Bytes> bytes;
    int32_t length = in.i32();
    if (length >= 0) {
      data = as_text(in.take(static_cast<size_t>(length)));
      bytes = as_bytes(data);
    } else if (length != -1) {
      return "a node's data has a negative length";
    }
    int64_t acl_ref = in.i64();
    StatPersisted stat;
    for (int64_t* field : {&stat.czxid, &stat.mzxid, &stat.ctime, &stat.mtime}) *field = in.i64();
    for (int32_t* field : {&stat.version, &stat.cversion, &stat.aversion}) *field = in.i32();
    stat.ephemeral_owner = in.i64();
    stat.pzxid = in.i64();
    if (!in.ok()) return "a node is cut short";
    if (!tree.load_node(path, bytes, acl_ref, stat)) return "a node has no parent";
  }
}

struct Sections {
  std::optional<DataTree::DigestAt> digest;
  std::optional<int64_t> last_zxid;
};

// The sections after the first seal. Which there are shows in their length: the writer may have had
// another digest.enabled or serializeLastProcessedZxid.enabled than this server, or be an older one.
const char* read_sections(Stream& in, Sections& sections) {
  constexpr size_t kSealBytes = 8 + sizeof kSealText;
  constexpr size_t kLastBytes = 8 + kSealBytes, kDigestBytes = 20 + kSealBytes;
  size_t left = in.left(kDigestBytes + kLastBytes);
  if (left != 0 && left != kLastBytes) {
    DataTree::DigestAt at;
    at.zxid = in.i64();
    at.version = in.i32();
    at.digest = static_cast<uint64_t>(in.i64());
    if (!read_seal(in)) return "the digest section's seal is broken";
    if (at.version == kDigestVersion && at.zxid > 0) sections.digest = at;
  }
  if (in.left(1) != 0) {
    int64_t zxid = in.i64();
    if (!read_seal(in)) return "the last section's seal is broken";
    sections.last_zxid = zxid;
  }
  return nullptr;
}

Result<Sections> read_all(rt::Disk& disk, const std::string& path, DataTree& tree) {
  OTTLA_ASSIGN(std::shared_ptr<rt::File> file, disk.open(path, rt::OpenMode::read));
  Stream in(std::move(file));
  Sections sections;
  tree.load_begin();
  const char* wrong = read_head(in, tree);
  if (wrong == nullptr) wrong = read_nodes(in, tree);
  if (wrong == nullptr && !read_seal(in)) wrong = "the tree's checksum does not match";
  if (wrong == nullptr) wrong = read_sections(in, sections);
  if (wrong != nullptr)
    return fail(Errc::corrupt, fmt::format("{}: {} at byte {}", path, wrong, in.offset()));
  return sections;
}

}  // namespace

Result<void> read_snapshot(rt::Disk& disk, const std::string& path, int64_t zxid, DataTree& tree) {
  OTTLA_ASSIGN(Sections sections, read_all(disk, path, tree));
  if (sections.digest && sections.digest->zxid < zxid) sections.digest.reset();
  tree.load_end(zxid, sections.digest);
  return {};
}

Result<int64_t> read_exported_snapshot(rt::Disk& disk, const std::string& path, DataTree& tree) {
  OTTLA_ASSIGN(Sections sections, read_all(disk, path, tree));
  if (!sections.last_zxid)
    return fail(Errc::corrupt, path + ": does not say its last zxid (serializeLastProcessedZxid.enabled=false?)");
  tree.load_end(*sections.last_zxid, std::nullopt);
  return *sections.last_zxid;
}

Result<bool> snapshot_seems_whole(rt::Disk& disk, const std::string& path) {
  OTTLA_ASSIGN(std::shared_ptr<rt::File> file, disk.open(path, rt::OpenMode::read));
  if (file->size() < 10) return false;
  // Compressed ones show it only when they are read.
  uint8_t magic[4] = {};
  OTTLA_TRY(file->read_at(0, magic));
  if ((magic[0] == 0x1f && magic[1] == 0x8b) || (magic[0] == 0x82 && magic[1] == 'S')) return true;
  uint8_t last[sizeof kSealText];
  OTTLA_ASSIGN(size_t got, file->read_at(file->size() - sizeof last, last));
  return got == sizeof last && std::equal(std::begin(last), std::end(last), kSealText);
}

}  // namespace ottla::zk
