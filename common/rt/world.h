// The physical world, as servers see it. Servers are event-driven: they are called on their loop,
// never block on the network, and touch nothing that is not reached through a World. Implemented by
// common/rt_asio (real) and common/rt_sim (virtual time, one seed); named only by mains and tests.
//
// Threads: everything here belongs to the loop's thread, but Loop::post, which any thread may call.
// Callbacks: never called from inside the call that takes them; after the owning object
// (Connection, Timer, Listener, File with a pending sync) is destroyed they are not called at all.
// Why callbacks and not coroutines: docs/decisions/0002-callbacks.md.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "common/base/bytes.h"
#include "common/base/fn.h"
#include "common/base/result.h"
#include "common/base/time.h"

namespace ottla::rt {

// ------------------------------------------------------------------------------------------- time

class Timer {
 public:
  virtual ~Timer() = default;           // cancels
  virtual void arm_at(Instant at) = 0;  // re-arms if armed; a past instant fires in the next turn
  virtual void cancel() = 0;
  virtual bool armed() const = 0;
};

class Loop {
 public:
  virtual ~Loop() = default;
  virtual Instant now() const = 0;      // monotonic; constant within one callback is allowed
  virtual int64_t wall_ms() const = 0;  // Unix milliseconds; may jump either way
  // Runs `work` on the loop after what is queued already. The only call that other threads may
  // make.
  virtual void post(Fn<void()> work) = 0;
  virtual std::unique_ptr<Timer> make_timer(Fn<void()> on_fire) = 0;
};

// ------------------------------------------------------------------------------------------- disk

class File;

// A run of bytes of a file, for Connection::send: the kernel copies it from the page cache.
struct FileSlice {
  std::shared_ptr<File> file;
  uint64_t offset = 0;
  uint64_t length = 0;
};

class File {
 public:
  virtual ~File() = default;
  virtual const std::string& path() const = 0;
  virtual uint64_t size() const = 0;
  // Fills as much of `into` as the file holds from `offset`; short only at the end of the file.
  virtual Result<size_t> read_at(uint64_t offset, MutBytes into) = 0;
  // All of the pieces, one after the other, or an error (then any part may have been written).
  // Visible to reads at once; durable only after a sync.
  virtual Result<void> write_at(uint64_t offset, std::span<const Bytes> pieces) = 0;
  Result<void> write_at(uint64_t offset, Bytes piece) { return write_at(offset, {&piece, 1}); }
  // Makes every write, truncate and allocate that returned before this call durable, off the loop,
  // and then calls `done` on the loop. After an error the file's unsynced content is unknown: never
  // retry, give the file up.
  virtual void sync(Fn<void(Result<void>)> done) = 0;
  // The same, blocking: for start, shutdown and roll alone.
  virtual Result<void> sync_now() = 0;
  virtual Result<void> truncate(uint64_t size) = 0;
  // Grows the file to `size` with zeros, reserving space; never shrinks.
  virtual Result<void> allocate(uint64_t size) = 0;
};

enum class OpenMode {
  read,        // must exist
  read_write,  // must exist
  create,      // read and write; made when missing
  create_new,  // read and write; must not exist
};

struct FileInfo {
  bool is_directory = false;
  uint64_t size = 0;
  int64_t modified_wall_ms = 0;
};

struct Space {
  uint64_t total_bytes = 0;
  uint64_t free_bytes = 0;  // for this user
};

// Held as long as the object lives; another process (or simulated node) cannot take it meanwhile.
class DirLock {
 public:
  virtual ~DirLock() = default;
};

// Paths are absolute or relative to the process; separators '/'. Names created, renamed and removed
// are durable only after sync_dir of their directory.
class Disk {
 public:
  virtual ~Disk() = default;
  virtual Result<std::shared_ptr<File>> open(const std::string& path, OpenMode mode) = 0;
  virtual Result<void> rename(const std::string& from, const std::string& to) = 0;  // replaces `to`
  virtual Result<void> remove(const std::string& path) = 0;       // a file or an empty directory
  virtual Result<void> remove_tree(const std::string& path) = 0;  // missing is success
  virtual Result<void> make_dirs(const std::string& path) = 0;    // existing is success
  virtual Result<void> sync_dir(const std::string& path) = 0;     // blocking
  virtual Result<std::vector<std::string>> list(const std::string& path) = 0;  // names, sorted
  virtual Result<FileInfo> stat(const std::string& path) = 0;  // Errc::not_found when missing
  // `path` is a lock file, made when missing, or a directory. Errc::in_use when held elsewhere.
  virtual Result<std::unique_ptr<DirLock>> lock(const std::string& path) = 0;
  virtual Result<Space> space(const std::string& path) = 0;  // of the volume that `path` is on
  // Runs `work` on the disk pool (it may block and may call File and Disk), then `done` on the
  // loop. The simulator runs both on the node, `done` later in virtual time.
  virtual void run_blocking(Fn<void()> work, Fn<void()> done) = 0;
};

// Whole-file helpers over Disk (world.cc).
Result<std::string> read_file(Disk& disk, const std::string& path, uint64_t max_bytes = 64 << 20);
// Writes path + ".tmp", syncs it, renames it to path and syncs the directory: after a crash the
// file is the old one or the new one, whole.
Result<void> replace_file(Disk& disk, const std::string& path, Bytes content);
// make_dirs, and then a sync of the parent of each directory made: it is there after a crash.
Result<void> make_dirs_durable(Disk& disk, const std::string& path);
std::string parent_of(const std::string& path);

// -------------------------------------------------------------------------------------------- net

struct Endpoint {
  std::string host;  // a name or a literal address; empty for listen: all addresses
  uint16_t port = 0;
  bool operator==(const Endpoint&) const = default;
};
std::string to_string(const Endpoint& endpoint);  // "host:port", "[v6]:port"

using SharedBuffer = std::shared_ptr<const Buffer>;
using OutPiece = std::variant<Buffer, SharedBuffer, FileSlice>;

class Connection {
 public:
  virtual ~Connection() = default;  // closes at once; what was not sent is dropped
  // One read at a time. `done` gets the number of bytes put into `into` (at least 1), 0 at the end
  // of the stream, or an error; `into` must live until then.
  virtual void read(MutBytes into, Fn<void(Result<size_t>)> done) = 0;
  // Queues the pieces behind what is queued and returns at once; they are sent in order, batched
  // with whatever else is queued in this turn of the loop. After an error or close they are
  // dropped.
  virtual void send(std::vector<OutPiece> pieces) = 0;
  void send(Buffer piece) {
    std::vector<OutPiece> pieces;
    pieces.emplace_back(std::move(piece));
    send(std::move(pieces));
  }
  // Bytes queued and not yet given to the network: what backpressure looks at.
  virtual uint64_t unsent_bytes() const = 0;
  // Called after each time that unsent_bytes() fell to zero. Set once; may be empty.
  virtual void on_drained(Fn<void()> drained) = 0;
  // Called once when a send failed (a broken connection is also seen by the pending read).
  virtual void on_send_error(Fn<void(Error)> failed) = 0;
  virtual void close() = 0;  // pending read ends with Errc::closed; queued pieces are dropped
  // Closes when all queued pieces are sent; reads nothing more. A pending read ends with
  // Errc::closed once that is over: the sign that the object may be destroyed without cutting the
  // reply off.
  virtual void close_after_send() = 0;
  virtual Endpoint local() const = 0;
  virtual Endpoint peer() const = 0;  // numeric address
};

class Listener {
 public:
  virtual ~Listener() = default;  // stops accepting; accepted connections live on
  virtual uint16_t port() const = 0;
};

class Net {
 public:
  virtual ~Net() = default;
  // Accepts until the listener is destroyed. Port 0 picks a free one. Errc::in_use, permission.
  virtual Result<std::unique_ptr<Listener>> listen(
      const Endpoint& at, Fn<void(std::unique_ptr<Connection>)> on_accept) = 0;
  // Resolves and connects; tries each address. `done` is called once unless the returned handle is
  // destroyed first, which gives the attempt up.
  class Attempt {
   public:
    virtual ~Attempt() = default;
  };
  virtual std::unique_ptr<Attempt> connect(const Endpoint& to,
                                           Fn<void(Result<std::unique_ptr<Connection>>)> done) = 0;
};

// ------------------------------------------------------------------------------------------ others

class Entropy {
 public:
  virtual ~Entropy() = default;
  virtual void fill(
      MutBytes into) = 0;  // cryptographically strong in production, seeded in simulation
  uint64_t u64() {
    uint8_t bytes[8];
    fill(bytes);
    uint64_t value;
    std::memcpy(&value, bytes, sizeof value);
    return value;
  }
};

struct World {
  Loop& loop;
  Net& net;
  Disk& disk;
  Entropy& entropy;
};

}  // namespace ottla::rt
