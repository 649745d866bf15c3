#include "zk-ensemble/txnlog/snapshot_writer.h"

#include <fmt/core.h>

#include <utility>

namespace ottla::zk {
namespace {
constexpr std::string_view kEndMark("\0\0\0\1/", 5);

void put_file_header(wire::Writer& out) {
  out.i32(kSnapshotMagic);
  out.i32(kFormatVersion);
  out.i64(kSnapshotDbId);
}
}  // namespace

SnapshotWriter::SnapshotWriter(rt::World world, std::string directory, DataTree& tree,
                               const SnapshotOptions& options, Fn<void(Result<Done>)> done)
    : world_(world),
      directory_(std::move(directory)),
      path_(directory_ + "/" + snapshot_name(tree.last_zxid()) +
            std::string(snapshot_extension(options.coding))),
      tree_(tree),
      options_(options),
      done_(std::move(done)),
      cursor_(std::make_unique<SnapshotCursor>(tree)),
      encoder_(SnapshotEncoder::make(options.coding)) {
  result_.zxid = tree.last_zxid();
  // Sessions and ACLs are those of the named zxid; the file comes in the next turn.
  put_file_header(out_);
  cursor_->write_header(out_);
  later(&SnapshotWriter::begin);
}

SnapshotWriter::~SnapshotWriter() { *alive_ = false; }

void SnapshotWriter::later(void (SnapshotWriter::*step)()) {
  world_.loop.post([this, step, alive = alive_] {
    if (*alive) (this->*step)();
  });
}

void SnapshotWriter::fail_with(Error error) {
  cursor_.reset();
  // At once, and not on the pool: of a full disk it holds the room that the log needs for its next record.
  if (std::exchange(file_, nullptr)) (void)world_.disk.remove(path_ + ".tmp");
  done_(std::unexpected(std::move(error)));
}

void SnapshotWriter::begin() {
  auto opened = world_.disk.open(path_ + ".tmp", rt::OpenMode::create);
  if (!opened) return fail_with(std::move(opened).error());
  file_ = std::move(*opened);
  if (file_->size() != 0) {
    if (auto cut = file_->truncate(0); !cut) return fail_with(std::move(cut).error());
  }
  slice();
}

void SnapshotWriter::slice() {
  bool more = cursor_->write_nodes(out_, options_.slice_bytes);
  if (!more) encode_tail();
  if (auto flushed = flush(); !flushed) return fail_with(std::move(flushed).error());
  if (more) return later(&SnapshotWriter::slice);
  auto rest = encoder_->finish();
  auto written = rest ? write(std::move(*rest)) : Result<void>(std::unexpected(rest.error()));
  if (!written) return fail_with(std::move(written).error());
  cursor_.reset();
  finish();
}

void SnapshotWriter::encode_tail() {
  out_.raw(kEndMark);
  seal();
  int64_t last_zxid = tree_.last_zxid();
  if (options_.digest) {
    // A tree that no transaction has touched yet has no digest to compare: Apache writes zeros.
    out_.i64(last_zxid);
    out_.i32(kDigestVersion);
    out_.u64(last_zxid > 0 ? tree_.digest() : 0);
    seal();
  }
  if (options_.last_zxid) {
    out_.i64(last_zxid);
    seal();
  }
}

void SnapshotWriter::sum() {
  checksum_ = adler32(checksum_, out_.bytes().subspan(summed_));
  summed_ = out_.size();
}

void SnapshotWriter::seal() {
  sum();
  out_.i64(checksum_);
  out_.raw(kEndMark);
}

Result<void> SnapshotWriter::flush() {
  sum();
  Buffer bytes = out_.take();
  summed_ = 0;
  OTTLA_ASSIGN(Buffer encoded, encoder_->add(std::move(bytes)));
  return write(std::move(encoded));
}

Result<void> SnapshotWriter::write(Buffer bytes) {
  if (bytes.empty()) return {};
  OTTLA_TRY(file_->write_at(result_.bytes, bytes.bytes()));
  result_.bytes += bytes.size();
  return {};
}

void SnapshotWriter::finish() {
  auto outcome = std::make_shared<Result<void>>();
  auto work = [file = file_, &disk = world_.disk, directory = directory_, path = path_,
               name = snapshot_name(result_.zxid), outcome] {
    *outcome = file->sync_now();
    if (*outcome) *outcome = disk.rename(path + ".tmp", path);
    if (*outcome) *outcome = disk.sync_dir(directory);
    if (!*outcome) return;
    // The same snapshot as another snapshot.compression.method had it written.
    for (SnapshotCoding coding : {SnapshotCoding::plain, SnapshotCoding::gz, SnapshotCoding::snappy}) {
      std::string other = fmt::format("{}/{}{}", directory, name, snapshot_extension(coding));
      if (other != path) (void)disk.remove(other);
    }
  };
  auto done = [this, alive = alive_, outcome] {
    if (!*alive) return;
    if (!*outcome) return fail_with(outcome->error());
    result_.path = path_;
    done_(result_);
  };
  world_.disk.run_blocking(std::move(work), std::move(done));
}

}  // namespace ottla::zk
