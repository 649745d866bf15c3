// The simulated world: nodes with a loop, a network and a disk each, in virtual time, on one
// thread, from one seed. The same program and the same seed give the same events, and so the same
// trace hash. Named only by tests.
//
// Order: events run in the order of their virtual time. At one instant, the events of a node keep
// their order, and the seed chooses among nodes. Computing takes no virtual time. What is modelled,
// and what is not: README.md.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/base/prng.h"
#include "common/rt/world.h"

namespace ottla::sim {

struct NetOptions {
  int64_t latency_min_ns = 50'000;
  int64_t latency_max_ns = 500'000;
  double partial_read = 0.1;  // chance that a read gives 1..n of the n bytes there are
  double reset = 0;           // chance, for each segment sent, that it breaks its connection
  uint64_t buffer_bytes = 128 << 10;  // sent and not yet read by the peer; then backpressure
  int64_t connect_timeout_ns = 20'000'000'000;  // through a partition
};

struct DiskOptions {
  int64_t sync_min_ns = 100'000;
  int64_t sync_max_ns = 3'000'000;
  double sync_stall = 0;  // chance that a sync takes stall_ns more
  int64_t stall_ns = 500'000'000;
  uint64_t capacity = UINT64_MAX;
  bool lying_sync = false;  // syncs report success and do nothing: a test of the tests
  // What a crash does to a sector that was written and not synced: kept, or else one of these.
  double sector_lost = 0.4;
  double sector_torn = 0.15;     // a part of the new bytes, then old ones
  double sector_garbled = 0.05;  // unsynced bytes of it become random
  double name_kept = 0.5;        // for each unsynced name change, in order, until the first loss
};

struct Options {
  NetOptions net;
  DiskOptions disk;
  int64_t wall_origin_ms = 1'700'000'000'000;
};

enum class DiskCall {
  any,
  open,
  read,
  write,
  truncate,  // and allocate
  sync,
  sync_dir,
  rename,
  remove,
  make_dir,
  list,
  stat,
};

// Fails calls of a node's disk. `skip` of them pass first, then `count` fail, each with `chance`. Of
// a write that fails, any part may have been written.
struct DiskFault {
  // misdirect (writes alone): the bytes land at another sector of this or another file, and the
  // call succeeds.
  enum class Defect { fail, misdirect };

  DiskCall call = DiskCall::any;
  std::string path_part;  // only paths that contain it
  Errc code = Errc::io;
  uint64_t skip = 0;
  uint64_t count = UINT64_MAX;
  double chance = 1;
  Defect defect = Defect::fail;
};

// Where a synced byte went bad.
struct Decayed {
  std::string path;
  uint64_t offset = 0;
};

struct Core;

class Simulator {
 public:
  explicit Simulator(uint64_t seed, Options options = {});
  ~Simulator();
  Simulator(const Simulator&) = delete;
  Simulator& operator=(const Simulator&) = delete;

  // -- nodes. A World stays valid until the simulator's end; what was made through the world of a
  // node that is down refuses everything, and may be destroyed at any later time.
  rt::World add_node(const std::string& name);  // gets the address 10.0.0.N
  // Power fails: unsynced disk content is lost or torn, peers see resets.
  void crash(const std::string& name);
  // The process is killed, the machine stays: all written content survives. Also the end of a clean
  // shutdown, after the test has destroyed its objects.
  void kill(const std::string& name);
  rt::World restart(const std::string& name);
  bool is_up(const std::string& name) const;
  rt::World world(const std::string& name);  // of a node that is up

  // -- time
  bool step();  // runs one event; false when there is none
  // Runs events until `done`, for at most `limit_ns` of virtual time; whether it got there.
  bool run_until(Fn<bool()> done, int64_t limit_ns);
  void run_for(int64_t ns);
  Instant now() const;
  // Calls `work` when so much time has passed, as no node: for fault schedules of tests.
  void after(int64_t ns, Fn<void()> work);
  void set_wall_skew(const std::string& name, int64_t ms);  // nodes start with none
  // From here on both clocks of the node run by so many millionths faster (or slower).
  void set_clock_drift(const std::string& name, int64_t ppm);
  // The process stands still for so long (SIGSTOP): its timers, reads and syncs come late, all at
  // once. Its machine goes on: connections are accepted into the backlog, bytes are buffered.
  void pause(const std::string& name, int64_t ns);
  bool is_paused(const std::string& name) const;

  // -- network. A cut is one-way: bytes are held (as by a TCP that retransmits) until it is healed,
  // and new connections time out.
  void cut(const std::string& from, const std::string& to);
  void partition(const std::string& a, const std::string& b);  // both ways
  void isolate(const std::string& name);                       // from all others, both ways
  void heal();                                                 // all cuts and clogs
  void heal(const std::string& a, const std::string& b);
  void clog(const std::string& from, const std::string& to, int64_t delay_ns);  // added latency
  void reset_connections(const std::string& a, const std::string& b);

  // -- disk
  void inject(const std::string& name, DiskFault fault);
  void clear_faults(const std::string& name);
  // The plan, taken away for a while: for a test that looks at the disk itself.
  std::vector<DiskFault> exchange_faults(const std::string& name, std::vector<DiskFault> plan);
  // Calls to the disk that a fault could have hit, since the node was made.
  uint64_t disk_calls(const std::string& name) const;
  // How often a fault of the node hit, since the node was made.
  uint64_t disk_faults_hit(const std::string& name) const;
  // Bit rot: one byte that was synced, of a random file among those whose path contains the part,
  // is another from now on. None when there is no such byte.
  std::optional<Decayed> decay(const std::string& name, const std::string& path_part);
  DiskOptions& disk_options(const std::string& name);
  NetOptions& net_options();

  // -- determinism
  Prng& prng();
  uint64_t trace_hash() const;
  uint64_t events() const;
  void note(std::string_view text);  // into the trace and its hash
  void on_trace(Fn<void(std::string_view line)> sink);

 private:
  std::unique_ptr<Core> core_;
};

}  // namespace ottla::sim
