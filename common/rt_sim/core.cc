#include "common/rt_sim/core.h"

#include <fmt/core.h>

namespace ottla::sim {

namespace {

class SeededEntropy final : public rt::Entropy {
 public:
  explicit SeededEntropy(uint64_t seed) : prng_(seed) {}
  void fill(MutBytes into) override {
    for (uint8_t& byte : into) byte = static_cast<uint8_t>(prng_.next() >> 32);
  }

 private:
  Prng prng_;
};

}  // namespace

Life::Life(Core& in, Host& on)
    : core(in),
      host(on),
      loop(make_loop(*this)),
      net(make_net(*this)),
      disk(make_disk(*this)),
      entropy(std::make_unique<SeededEntropy>(in.prng.next())) {}
Life::~Life() = default;

rt::World Life::world() const { return {*loop, *net, *disk, *entropy}; }

Core::~Core() {
  // Callables before lives: what they own looks at whether its life has ended.
  for (auto& host : hosts) host->life = nullptr;
  links.clear();
  for (auto& host : hosts) {
    auto queue = std::exchange(host->queue, {});
    auto listeners = std::exchange(host->listeners, {});
  }
  if (outside) outside->queue.clear();
}

EventId Core::schedule(Host& host, const Life* life, Instant at, const char* what, Fn<void()> run) {
  EventId id{std::max(at, now), next_order++};
  host.queue.emplace(id, Event{life, what, std::move(run)});
  return id;
}

int64_t Host::elapsed_ns(Instant now) const {
  int64_t since = now - clock_since;
  return clock_base_ns + since + static_cast<int64_t>(__int128{since} * drift_ppm / 1'000'000);
}

Instant Host::virtual_time(Instant local) const {
  int64_t ahead = local - clock_origin - clock_base_ns;
  if (drift_ppm == 0) return clock_since + ahead;
  // Never before the clock shows it.
  return clock_since + (static_cast<int64_t>(__int128{ahead} * 1'000'000 / (1'000'000 + drift_ppm)) + 1);
}

// A paused process runs nothing; its machine does.
std::map<EventId, Event>::iterator Host::next_event(Instant& at) {
  auto best = queue.end();
  for (auto event = queue.begin(); event != queue.end(); ++event) {
    Instant due = event->second.life == nullptr ? event->first.at
                                                : std::max(event->first.at, paused_until);
    if (best == queue.end() || due < at) {
      best = event;
      at = due;
    }
    if (event->first.at >= paused_until || due == event->first.at) break;
  }
  return best;
}

bool Core::step() {
  // The earliest instant, and the hosts that have an event then.
  std::vector<Host*> ready;
  Instant first_at;
  auto look = [&](Host& host) {
    Instant at;
    if (host.queue.empty() || host.next_event(at) == host.queue.end()) return;
    if (!ready.empty() && at > first_at) return;
    if (!ready.empty() && at < first_at) ready.clear();
    first_at = at;
    ready.push_back(&host);
  };
  for (auto& host : hosts) look(*host);
  if (outside) look(*outside);
  if (ready.empty()) return false;
  Host& host = *ready[ready.size() == 1 ? 0 : prng.below(ready.size())];
  Instant at;
  auto first = host.next_event(at);
  at_this_instant = at == now ? at_this_instant + 1 : 0;
  OTTLA_CHECK(at_this_instant < 10'000'000, "virtual time stands still: a loop of posts");
  now = at;
  Event event = std::move(first->second);
  host.queue.erase(first);
  ++events;
  trace(&host, event.what);
  event.run();
  return true;
}

void Core::end_life(Host& host) {
  OTTLA_CHECK(host.life != nullptr, "the node is up");
  Life* life = std::exchange(host.life, nullptr);
  // Taken out before they are destroyed: their destructors may cancel others.
  std::vector<Event> dropped;
  for (auto at = host.queue.begin(); at != host.queue.end();) {
    if (at->second.life == life) {
      dropped.push_back(std::move(at->second));
      at = host.queue.erase(at);
    } else {
      ++at;
    }
  }
  auto listeners = std::exchange(host.listeners, {});
  host.locks.clear();
  for (auto& weak : std::exchange(life->sockets, {}))
    if (auto socket = weak.lock()) reset_socket(*socket, "node went down");
}

Host& Core::host(const std::string& name) {
  for (auto& host : hosts)
    if (host->name == name) return *host;
  check_failed(__FILE__, __LINE__, "known node", name);
}

Host* Core::resolve(Host& from, const std::string& name) {
  if (name == "localhost" || name == "127.0.0.1" || name == "::1" || name.empty()) return &from;
  for (auto& host : hosts)
    if (host->name == name || host->address == name) return host.get();
  return nullptr;
}

Link& Core::link(const Host& from, const Host& to) { return links[{from.index, to.index}]; }

void Core::transmit(Host& from, Message message) {
  Link& way = link(from, *message.to);
  if (way.is_cut) {
    way.held.push_back(std::move(message));
    return;
  }
  int64_t latency = message.to == &from
                        ? prng.between(5'000, 20'000)
                        : prng.between(options.net.latency_min_ns, options.net.latency_max_ns);
  Instant at = std::max(now + latency + way.clog_ns, *message.fifo);
  *message.fifo = at;
  if (message.life != nullptr && !message.life->alive()) return;
  schedule(*message.to, message.life, at, message.what, std::move(message.deliver));
}

void Core::release(Host& from, Link& way) {
  way.is_cut = false;
  way.clog_ns = 0;
  for (Message& message : std::exchange(way.held, {})) transmit(from, std::move(message));
}

// FNV-1a by bytes would do; by words it costs less, and nobody attacks it.
void Core::mix(uint64_t value) {
  hash = (hash ^ value) * 0x100000001b3;
  hash ^= hash >> 29;
}

void Core::mix(std::string_view text) {
  for (char c : text) hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001b3;
  mix(text.size());
}

void Core::trace(const Host* host, const char* what, std::string_view detail) {
  mix(static_cast<uint64_t>(now.ns));
  mix(host == nullptr ? ~uint64_t{0} : host->index);
  mix(std::string_view(what));
  if (!detail.empty()) mix(detail);
  if (trace_sink)
    trace_sink(fmt::format("{:>14.6f} {} {}{}{}", static_cast<double>(now.ns) / 1e6,
                           host == nullptr ? "-" : host->name, what, detail.empty() ? "" : " ",
                           detail));
}

}  // namespace ottla::sim
