#include "zk-ensemble/server/client_port.h"

#include <fmt/core.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "common/base/endian.h"
#include "common/base/log.h"

namespace ottla::zk {
namespace {

constexpr log::Room kLog{"zk.client_port"};
constexpr size_t kFirstReadBytes = 4 << 10;
constexpr size_t kReadBytes = 64 << 10;
// What one connection may take of a turn of the loop before the others get theirs: so many frames, no
// more begun after so long. What they caused is given out then, which bounds the answers that pile up.
constexpr int kFramesATurn = 64;
constexpr int64_t kTurnNs = 1'000'000;
// A connection that has this much unsent is not read from; at the second it is closed, because events
// of its watches pile up without any request of its own.
constexpr uint64_t kMaxUnsentBytes = 1 << 20;
constexpr uint64_t kMaxPiledBytes = 256 << 20;
constexpr size_t kWordBytes = 4;
constexpr size_t kTraceMaskBytes = 8;

constexpr std::string_view kWords[] = {"conf", "cons", "crst", "dirs", "dump", "envi", "gtmk",
                                       "hash", "isro", "mntr", "ruok", "srst", "srvr", "stat",
                                       "stmk", "wchc", "wchp", "wchs", "\xff\xf4\xff\xfd"};

}  // namespace

bool is_known_word(std::string_view four_bytes) {
  return std::find(std::begin(kWords), std::end(kWords), four_bytes) != std::end(kWords);
}

struct ClientPort::Client {
  ConnId id = 0;
  std::unique_ptr<rt::Connection> connection;
  rt::Endpoint peer;
  Instant opened;
  // Input: bytes [begin, end) of `in` are received and not yet handed over.
  Buffer in;
  size_t begin = 0;
  size_t end = 0;
  bool fresh = true;     // nothing was handed over: a word may still come
  bool reading = false;
  bool parsing = false;
  bool held = false;     // in held_
  Instant held_since;    // of the frame that waits; 0: none does
  bool choked = false;   // waits for its own output to drain
  bool resting = false;  // in resting_: had its part of the turn
  bool closing = false;  // closes when its output is sent
  Instant closing_since;
  bool pipeline_knows = true;
  uint64_t given = 0;  // bytes, to the connection
  uint64_t taken = 0;  // of those, by the network, when takes_in() last looked

  // True when it took something in since this was last asked.
  bool takes_in() {
    uint64_t now_taken = given - connection->unsent_bytes();
    return std::exchange(taken, now_taken) != now_taken;
  }
};

ClientPort::ClientPort(rt::World world, const ClientPortOptions& options, Host& host)
    : world_(world), options_(options), host_(host) {
  sweep_timer_ = world_.loop.make_timer([this] { sweep(); });
}

ClientPort::~ClientPort() { *alive_ = false; }

Result<void> ClientPort::start() {
  OTTLA_ASSIGN(listener_, world_.net.listen(options_.listen_at,
                                            [this](std::unique_ptr<rt::Connection> connection) {
                                              accept(std::move(connection));
                                            }));
  sweep_timer_->arm_at(after_ms(world_.loop.now(), options_.sessionless_timeout_ms));
  return {};
}

uint16_t ClientPort::port() const { return listener_ ? listener_->port() : 0; }

ClientPort::Client* ClientPort::find(ConnId id) {
  auto found = clients_.find(id);
  return found == clients_.end() ? nullptr : found->second.get();
}

void ClientPort::accept(std::unique_ptr<rt::Connection> connection) {
  if (stopped_) return;
  rt::Endpoint peer = connection->peer();
  int32_t& of_address = per_address_[peer.host];
  bool too_many = (options_.per_address_max > 0 && of_address >= options_.per_address_max) ||
                  (options_.total_max > 0 &&
                   clients_.size() >= static_cast<size_t>(options_.total_max));
  if (too_many) {
    if (of_address == 0) per_address_.erase(peer.host);
    ++stats_.rejected;
    log::warn(kLog, "connection refused: too many; raise maxClientCnxns or maxCnxns", "address={}",
              peer.host);
    return;
  }
  ++of_address;
  ++stats_.accepted;
  auto owned = std::make_unique<Client>();
  Client& client = *owned;
  client.id = ++last_id_;
  client.connection = std::move(connection);
  client.peer = std::move(peer);
  client.opened = world_.loop.now();
  client.in.resize_uninitialized(kFirstReadBytes);
  client.connection->on_send_error([this, id = client.id](const Error&) { drop(id); });
  client.connection->on_drained([this, id = client.id] { on_drained(id); });
  clients_.emplace(client.id, std::move(owned));
  host_.on_client_open(client.id, client.peer.host);
  read(client);
}

// Room for the rest of the frame that has begun, but never more than twice what has arrived of it: a
// length alone allocates nothing.
void ClientPort::read(Client& client) {
  if (client.reading || client.closing || stopped_) return;
  if (client.held || client.choked || client.resting) return;
  size_t held = client.end - client.begin;
  size_t wanted = std::max(client.in.size(), kFirstReadBytes);
  if (held == 0 && client.in.size() > kReadBytes) wanted = kReadBytes;
  if (held == client.in.size()) wanted = std::max(kReadBytes, 2 * held);
  if (wanted != client.in.size()) {
    Buffer next(wanted);
    std::memcpy(next.data(), client.in.data() + client.begin, held);
    client.in = std::move(next);
  } else if (client.begin != 0 && held != 0) {
    std::memmove(client.in.data(), client.in.data() + client.begin, held);
  }
  client.begin = 0;
  client.end = held;
  client.reading = true;
  client.connection->read(client.in.mutable_bytes().subspan(client.end),
                          [this, id = client.id](Result<size_t> got) { on_read(id, std::move(got)); });
}

void ClientPort::on_read(ConnId id, Result<size_t> got) {
  Client* client = find(id);
  if (client == nullptr) return;
  client->reading = false;
  if (client->closing || !got || *got == 0) return drop(id);
  client->end += *got;
  stats_.bytes_received += static_cast<int64_t>(*got);
  // A read that filled the first, small buffer: this one talks a lot.
  bool filled = client->end == client->in.size();
  parse(*client);
  client = find(id);
  if (client == nullptr || client->closing || client->held || client->choked || client->resting) return;
  if (filled && client->in.size() < kReadBytes) {
    Buffer next(kReadBytes);
    std::memcpy(next.data(), client->in.data() + client->begin, client->end - client->begin);
    client->end -= client->begin;
    client->begin = 0;
    client->in = std::move(next);
  }
  read(*client);
}

// Hands over every whole frame, or stops where the connection or the server has had enough, or the turn.
void ClientPort::parse(Client& client) {
  if (client.parsing || client.resting) return;
  client.parsing = true;
  ConnId id = client.id;
  int handed_over = 0;
  Instant began = world_.loop.now();
  while (!client.closing && !stopped_ && client.end - client.begin >= kWordBytes) {
    if (client.fresh && take_word(client)) break;
    const uint8_t* at = client.in.data() + client.begin;
    int32_t length = load_be<int32_t>(at);
    if (length < 0 || static_cast<size_t>(length) > options_.frame_max_bytes) {
      log::debug(kLog, "frame length out of bounds, closing", "address={} length={}",
                 client.peer.host, length);
      client.parsing = false;
      return drop(id);
    }
    if (!host_.accepts_length(static_cast<size_t>(length))) {
      log::warn(kLog, "large request rejected, closing; see largeRequestMaxBytes", "address={} length={}",
                client.peer.host, length);
      client.parsing = false;
      return drop(id);
    }
    if (client.end - client.begin - kWordBytes < static_cast<size_t>(length)) {
      client.held_since = {};  // what comes from here on has not waited
      break;
    }
    if (client.connection->unsent_bytes() > kMaxUnsentBytes) break;
    if (!host_.accepts_frames(id)) {
      if (!client.held) held_.push_back(id);
      if (client.held_since == Instant{}) client.held_since = world_.loop.now();
      client.held = true;
      break;
    }
    if (handed_over == kFramesATurn || (handed_over > 0 && world_.loop.now() - began > kTurnNs)) {
      rest(client);
      host_.on_frames_done();
      if (find(id) == nullptr) return;
      break;
    }
    ++handed_over;
    client.fresh = false;
    client.begin += kWordBytes + static_cast<size_t>(length);
    int64_t waited_ns = client.held_since == Instant{} ? 0 : world_.loop.now() - client.held_since;
    host_.on_client_frame(id, Bytes(at + kWordBytes, static_cast<size_t>(length)), waited_ns / 1'000'000);
    if (find(id) == nullptr) return;  // it lies in the graveyard
  }
  if (client.begin == client.end) client.held_since = {};
  client.parsing = false;
  if (client.connection->unsent_bytes() > kMaxUnsentBytes) client.choked = true;
}

// Its next frames are handed over in the next turn of the loop.
void ClientPort::rest(Client& client) {
  client.resting = true;
  bool posted = !resting_.empty();
  resting_.push_back(client.id);
  if (posted) return;
  world_.loop.post([this, alive = alive_] {
    if (*alive) go_on();
  });
}

void ClientPort::go_on() {
  std::vector<ConnId> rested;
  rested.swap(resting_);
  for (ConnId id : rested) {
    Client* client = find(id);
    if (client == nullptr) continue;
    client->resting = false;
    if (!client->choked) parse(*client);
    if (Client* still = find(id)) read(*still);
  }
}

bool ClientPort::take_word(Client& client) {
  Bytes bytes = client.in.bytes().subspan(client.begin, client.end - client.begin);
  std::string word(as_text(bytes.first(kWordBytes)));
  if (!is_known_word(word)) return false;
  size_t argument = word == "stmk" ? kTraceMaskBytes : 0;
  if (bytes.size() < kWordBytes + argument) return true;  // more is to come
  answer_word(client, word, bytes.subspan(kWordBytes, argument));
  return true;
}

void ClientPort::answer_word(Client& client, std::string_view word, Bytes argument) {
  ConnId id = client.id;
  std::string answer = host_.on_word(id, word, argument);
  if (find(id) == nullptr) return;
  send(id, Buffer(as_bytes(answer)), true);
}

void ClientPort::send(ConnId id, Buffer bytes, bool close) {
  Client* client = find(id);
  if (client == nullptr || client->closing) return;
  if (!bytes.empty()) {
    stats_.bytes_sent += static_cast<int64_t>(bytes.size());
    client->given += bytes.size();
    client->connection->send(std::move(bytes));
  }
  if (client->connection->unsent_bytes() > kMaxPiledBytes) {
    ++stats_.dropped_slow;
    log::warn(kLog, "connection closed: it does not read its answers and events", "address={}",
              client->peer.host);
    return drop(id);
  }
  if (!close) return;
  client->closing = true;
  client->closing_since = world_.loop.now();
  client->pipeline_knows = false;
  host_.on_client_closed(id);
  client->connection->close_after_send();
  // The connection lingers until the peer has read everything; the read says when that is over.
  if (client->reading) return;
  client->reading = true;
  client->connection->read(client->in.mutable_bytes(),
                           [this, id](Result<size_t> got) { on_read(id, std::move(got)); });
}

void ClientPort::on_drained(ConnId id) {
  Client* client = find(id);
  if (client == nullptr) return;
  if (client->closing || !client->choked) return;
  client->choked = false;
  parse(*client);
  host_.on_frames_done();
  client = find(id);
  if (client != nullptr) read(*client);
}

void ClientPort::resume() {
  if (held_.empty()) return;
  std::vector<ConnId> waiting;
  waiting.swap(held_);
  for (ConnId id : waiting) {
    Client* client = find(id);
    if (client == nullptr) continue;
    client->held = false;
    parse(*client);
    client = find(id);
    if (client != nullptr) read(*client);
  }
}

void ClientPort::drop(ConnId id) {
  auto found = clients_.find(id);
  if (found == clients_.end()) return;
  std::unique_ptr<Client> client = std::move(found->second);
  clients_.erase(found);
  auto of_address = per_address_.find(client->peer.host);
  if (--of_address->second == 0) per_address_.erase(of_address);
  bool told = !client->pipeline_knows;
  client->closing = true;
  if (graveyard_.empty()) {
    world_.loop.post([this, alive = alive_] {
      if (*alive) graveyard_.clear();
    });
  }
  graveyard_.push_back(std::move(client));
  if (!told) host_.on_client_closed(id);
}

void ClientPort::close_all() {
  while (!clients_.empty()) drop(clients_.begin()->first);
}

std::vector<ConnId> ClientPort::unheard() {
  std::vector<ConnId> found;
  for (const auto& [id, client] : clients_)
    if (!client->closing && (client->held || (client->choked && client->takes_in())))
      found.push_back(id);
  return found;
}

// Connections that never asked for a session, and those that no longer read their last bytes.
void ClientPort::sweep() {
  Instant now = world_.loop.now();
  int64_t timeout_ns = ms_to_ns(options_.sessionless_timeout_ms);
  std::vector<ConnId> old;
  for (ConnId id : host_.without_session()) {
    Client* client = find(id);
    if (client == nullptr || now - client->opened < timeout_ns) continue;
    ++stats_.sessionless_expired;
    old.push_back(id);
  }
  for (const auto& [id, client] : clients_)
    if (client->closing && !client->takes_in() && now - client->closing_since >= timeout_ns)
      old.push_back(id);
  for (ConnId id : old) drop(id);
  sweep_timer_->arm_at(after_ms(now, options_.sessionless_timeout_ms));
}

std::string ClientPort::address_of(ConnId id) const {
  auto found = clients_.find(id);
  if (found == clients_.end()) return "/0.0.0.0:0";
  return fmt::format("/{}", rt::to_string(found->second->peer));
}

uint64_t ClientPort::unsent_bytes() const {
  uint64_t sum = 0;
  for (const auto& [id, client] : clients_) sum += client->connection->unsent_bytes();
  return sum;
}

}  // namespace ottla::zk
