// Inside of the simulator: the scheduler, hosts, and lives. A host is a machine with an address and
// a disk; a life is one run of its process, with the World that it sees. Lives are kept to the end,
// so that objects of a dead one can still ask whether they are dead.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "common/rt_sim/disk_image.h"
#include "common/rt_sim/simulator.h"

namespace ottla::sim {

struct Host;
struct Life;

// ------------------------------------------------------------------------------------- scheduling

struct EventId {
  Instant at;
  uint64_t order = 0;
  auto operator<=>(const EventId&) const = default;
};

struct Event {
  const Life* life = nullptr;  // dropped when it ends; null: the machine's own
  const char* what = "";
  Fn<void()> run;
};

// ---------------------------------------------------------------------------------------- network

class SimSocket;
struct Listening {
  Life* life = nullptr;
  uint16_t port = 0;
  Fn<void(std::unique_ptr<rt::Connection>)> on_accept;
  bool closed = false;
  bool calling = false;
};

// Keeps messages of one direction of one connection in order.
using Fifo = std::shared_ptr<Instant>;

struct Message {
  Host* to = nullptr;
  const Life* life = nullptr;
  const char* what = "";
  Fifo fifo;
  Fn<void()> deliver;
};

struct Link {
  bool is_cut = false;
  int64_t clog_ns = 0;
  std::vector<Message> held;
};

// ------------------------------------------------------------------------------------------ nodes

struct Host {
  std::string name;
  std::string address;
  size_t index = 0;
  std::map<EventId, Event> queue;
  DiskImage disk;
  DiskOptions disk_options;
  std::vector<DiskFault> faults;
  uint64_t disk_calls = 0, disk_faults_hit = 0;
  std::set<std::string> locks;
  std::map<uint16_t, std::shared_ptr<Listening>> listeners;
  uint16_t next_port = 40'000;
  int64_t wall_skew_ms = 0;
  // The node's monotonic clock: at virtual time clock_since it stood at clock_origin + clock_base,
  // and goes (1 + drift_ppm / 1e6) as fast.
  Instant clock_origin, clock_since;
  int64_t clock_base_ns = 0, drift_ppm = 0;
  int64_t elapsed_ns(Instant now) const;     // what the clock counted since the start
  Instant virtual_time(Instant local) const;  // when the clock will show that
  Instant paused_until;
  Life* life = nullptr;  // null: down
  std::map<EventId, Event>::iterator next_event(Instant& at);  // end() when there is none
};

struct Life {
  Life(Core& in, Host& on);
  ~Life();
  rt::World world() const;
  bool alive() const { return host.life == this; }

  Core& core;
  Host& host;
  std::unique_ptr<rt::Loop> loop;
  std::unique_ptr<rt::Net> net;
  std::unique_ptr<rt::Disk> disk;
  std::unique_ptr<rt::Entropy> entropy;
  std::vector<std::weak_ptr<SimSocket>> sockets;
};

struct Core {
  Core(uint64_t seed, Options with) : prng(seed), options(with) {}
  ~Core();

  EventId schedule(Host& host, const Life* life, Instant at, const char* what, Fn<void()> run);
  bool step();
  void end_life(Host& host);
  Host& host(const std::string& name);
  Host* resolve(Host& from, const std::string& name);  // a name, an address, or localhost
  Link& link(const Host& from, const Host& to);
  void transmit(Host& from, Message message);
  void release(Host& from, Link& link);
  void mix(std::string_view text);
  void mix(uint64_t value);
  void trace(const Host* host, const char* what, std::string_view detail = {});

  Prng prng;
  Options options;
  Instant now{0};
  uint64_t next_order = 0;
  uint64_t events = 0;
  uint64_t at_this_instant = 0;
  uint64_t hash = 0x9e3779b97f4a7c15;
  Fn<void(std::string_view)> trace_sink;
  std::vector<std::unique_ptr<Host>> hosts;
  std::unique_ptr<Host> outside;  // whose queue Simulator::after uses
  std::map<std::pair<size_t, size_t>, Link> links;
  std::vector<std::unique_ptr<Life>> lives;
};

std::unique_ptr<rt::Loop> make_loop(Life& life);
std::unique_ptr<rt::Net> make_net(Life& life);
std::unique_ptr<rt::Disk> make_disk(Life& life);
void reset_socket(SimSocket& socket, const std::string& why);
Host& peer_host(SimSocket& socket);

}  // namespace ottla::sim
