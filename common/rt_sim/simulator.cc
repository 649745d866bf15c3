#include "common/rt_sim/simulator.h"

#include <fmt/core.h>

#include <utility>

#include "common/rt_sim/core.h"

namespace ottla::sim {

Simulator::Simulator(uint64_t seed, Options options)
    : core_(std::make_unique<Core>(seed, options)) {
  core_->outside = std::make_unique<Host>();
  core_->outside->name = "(test)";
  core_->outside->index = SIZE_MAX;
}
Simulator::~Simulator() = default;

// ------------------------------------------------------------------------------------------- nodes

rt::World Simulator::add_node(const std::string& name) {
  for (const auto& host : core_->hosts) OTTLA_CHECK(host->name != name, "one node of this name");
  auto host = std::make_unique<Host>();
  host->name = name;
  host->index = core_->hosts.size();
  host->address = fmt::format("10.0.0.{}", host->index + 1);
  host->disk_options = core_->options.disk;
  host->clock_origin = {core_->prng.between(1, 1'000'000) * 1'000'000};
  core_->hosts.push_back(std::move(host));
  return restart(name);
}

rt::World Simulator::restart(const std::string& name) {
  Host& host = core_->host(name);
  OTTLA_CHECK(host.life == nullptr, "the node is down");
  core_->trace(&host, "start");
  host.paused_until = {};
  core_->lives.push_back(std::make_unique<Life>(*core_, host));
  host.life = core_->lives.back().get();
  return host.life->world();
}

void Simulator::crash(const std::string& name) {
  Host& host = core_->host(name);
  core_->trace(&host, "crash");
  core_->end_life(host);
  host.disk.crash(core_->prng, host.disk_options);
}

void Simulator::kill(const std::string& name) {
  Host& host = core_->host(name);
  core_->trace(&host, "kill");
  core_->end_life(host);
}

bool Simulator::is_up(const std::string& name) const { return core_->host(name).life != nullptr; }

rt::World Simulator::world(const std::string& name) {
  Host& host = core_->host(name);
  OTTLA_CHECK(host.life != nullptr, "the node is up");
  return host.life->world();
}

void Simulator::set_wall_skew(const std::string& name, int64_t ms) {
  core_->host(name).wall_skew_ms = ms;
}

void Simulator::set_clock_drift(const std::string& name, int64_t ppm) {
  Host& host = core_->host(name);
  core_->trace(&host, "clock drift", std::to_string(ppm));
  host.clock_base_ns = host.elapsed_ns(core_->now);
  host.clock_since = core_->now;
  host.drift_ppm = ppm;
}

void Simulator::pause(const std::string& name, int64_t ns) {
  Host& host = core_->host(name);
  core_->trace(&host, "pause", std::to_string(ns));
  host.paused_until = std::max(host.paused_until, core_->now + ns);
}

bool Simulator::is_paused(const std::string& name) const {
  return core_->host(name).paused_until > core_->now;
}

// -------------------------------------------------------------------------------------------- time

bool Simulator::step() { return core_->step(); }

bool Simulator::run_until(Fn<bool()> done, int64_t limit_ns) {
  bool over = false;
  after(limit_ns, [&over] { over = true; });
  EventId end{core_->now + limit_ns, core_->next_order - 1};
  bool reached;
  while (!(reached = done()) && !over) core_->step();
  if (!over) core_->outside->queue.erase(end);
  return reached;
}

void Simulator::run_for(int64_t ns) {
  run_until([] { return false; }, ns);
}

Instant Simulator::now() const { return core_->now; }

void Simulator::after(int64_t ns, Fn<void()> work) {
  core_->schedule(*core_->outside, nullptr, core_->now + ns, "test", std::move(work));
}

// ----------------------------------------------------------------------------------------- network

void Simulator::cut(const std::string& from, const std::string& to) {
  core_->trace(nullptr, "cut", from + ">" + to);
  core_->link(core_->host(from), core_->host(to)).is_cut = true;
}

void Simulator::partition(const std::string& a, const std::string& b) {
  cut(a, b);
  cut(b, a);
}

void Simulator::isolate(const std::string& name) {
  for (const auto& host : core_->hosts)
    if (host->name != name) partition(name, host->name);
}

void Simulator::heal() {
  core_->trace(nullptr, "heal");
  for (auto& [ends, link] : core_->links) core_->release(*core_->hosts[ends.first], link);
}

void Simulator::heal(const std::string& a, const std::string& b) {
  core_->trace(nullptr, "heal", a + "," + b);
  Host &one = core_->host(a), &other = core_->host(b);
  core_->release(one, core_->link(one, other));
  core_->release(other, core_->link(other, one));
}

void Simulator::clog(const std::string& from, const std::string& to, int64_t delay_ns) {
  core_->link(core_->host(from), core_->host(to)).clog_ns = delay_ns;
}

void Simulator::reset_connections(const std::string& a, const std::string& b) {
  Host& one = core_->host(a);
  Host& other = core_->host(b);
  core_->trace(nullptr, "reset", a + "," + b);
  if (one.life == nullptr) return;
  for (auto& weak : std::vector(one.life->sockets))
    if (auto socket = weak.lock(); socket && &peer_host(*socket) == &other)
      reset_socket(*socket, "reset by the network");
}

// -------------------------------------------------------------------------------------------- disk

void Simulator::inject(const std::string& name, DiskFault fault) {
  core_->host(name).faults.push_back(std::move(fault));
}
void Simulator::clear_faults(const std::string& name) { core_->host(name).faults.clear(); }
uint64_t Simulator::disk_calls(const std::string& name) const {
  return core_->host(name).disk_calls;
}
uint64_t Simulator::disk_faults_hit(const std::string& name) const {
  return core_->host(name).disk_faults_hit;
}
std::optional<Decayed> Simulator::decay(const std::string& name, const std::string& path_part) {
  Host& host = core_->host(name);
  auto found = host.disk.decay(core_->prng, path_part);
  if (found)
    core_->trace(&host, "decay", fmt::format("{} at {}", found->path, found->offset));
  return found;
}
std::vector<DiskFault> Simulator::exchange_faults(const std::string& name,
                                                  std::vector<DiskFault> plan) {
  return std::exchange(core_->host(name).faults, std::move(plan));
}
DiskOptions& Simulator::disk_options(const std::string& name) {
  return core_->host(name).disk_options;
}
NetOptions& Simulator::net_options() { return core_->options.net; }

// ------------------------------------------------------------------------------------- determinism

Prng& Simulator::prng() { return core_->prng; }
uint64_t Simulator::trace_hash() const { return core_->hash; }
uint64_t Simulator::events() const { return core_->events; }
void Simulator::note(std::string_view text) { core_->trace(nullptr, "note", text); }
void Simulator::on_trace(Fn<void(std::string_view line)> sink) {
  core_->trace_sink = std::move(sink);
}

}  // namespace ottla::sim
