#include "test/interop/differential_kafka/run.h"

#include <fmt/core.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>

#include "broker/record/batch_view.h"
#include "broker/record/record_reader.h"
#include "common/base/endian.h"
#include "proto/kafka/api_key.h"
#include "proto/kafka/headers.h"

namespace ottla::differential {
namespace {

constexpr int kLateMs = 60'000;    // for one server, when the other has answered
constexpr int kSilentMs = 30'000;  // for both
constexpr int kBarrierConn = -1;
constexpr const char* kServerNames[] = {"apache", "ottla"};

int64_t now_us() {
  using namespace std::chrono;
  return duration_cast<microseconds>(steady_clock::now().time_since_epoch()).count();
}
int64_t now_ms() { return now_us() / 1000; }

std::string cut(std::string text, size_t limit = 3000) {
  if (text.size() > limit) text = text.substr(0, limit) + "...";
  for (char& c : text)
    if (static_cast<unsigned char>(c) >= 127) c = '?';
  return text;
}

// What describe() shows only by size.
struct RecordsText : wire::Walker {
  std::string text;
  void records(const wire::FieldInfo&, Bytes& bytes, bool& is_null) override {
    if (!is_null) text += "\n    " + path() + ": " + describe_records(bytes);
  }
};
std::string describe_request(Message& request, int16_t version) {
  RecordsText sets;
  request.walk_fields(sets, version);
  return request.describe() + sets.text;
}

// What may let a JoinGroup or SyncGroup go that waits.
bool may_unpark(int16_t key) {
  auto api = static_cast<kmsg::ApiKey>(key);
  return api == kmsg::ApiKey::join_group || api == kmsg::ApiKey::sync_group ||
         api == kmsg::ApiKey::leave_group || api == kmsg::ApiKey::delete_groups;
}

std::string name_of(int16_t key, int16_t version) {
  return fmt::format("{} v{}", kmsg::api_name(static_cast<kmsg::ApiKey>(key)), version);
}

}  // namespace

std::string Reply::describe() const {
  switch (kind) {
    case Kind::closed:
      return "closes the connection";
    case Kind::silent:
      return "no answer";
    case Kind::answered:
      break;
  }
  return body ? cut(body->describe()) : cut("bytes " + to_hex(frame.bytes()), 600);
}

// Adds the life of a scope to a row of the times.
class Stopwatch {
 public:
  Stopwatch(Run& run, const std::string& row) : row_(run.spent_[row]), began_us_(now_us()) {
    ++row_.count;
  }
  ~Stopwatch() { row_.us += now_us() - began_us_; }

 private:
  Run::Spent& row_;
  int64_t began_us_;
};

Run::Run(const Settings& settings) : prng(settings.seed), settings_(settings) {}

Run::Pair& Run::pair(int conn) {
  Pair& found = pairs_[conn];
  if (found.client_id.empty()) found.client_id = fmt::format("client{}", conn);
  Typed<kmsg::ApiVersionsRequest> hello;
  for (int s = 0; s < kServers; ++s) {
    if (!found.link[s]) found.link[s] = std::make_unique<Link>(settings_.ports[s]);
    if (!found.link[s]->open()) continue;
    // Apache's takes connections in a thread of its own: what is sent first on a new one is in no
    // order with what others send, until the first answer.
    found.link[s]->send_frame(encode(s, hello, kmsg::ApiVersionsRequest::kApiKey, 0, found));
    (void)wait_reply(*found.link[s], kLateMs);
  }
  return found;
}

const std::string& Run::client_id(int conn) const { return pairs_.at(conn).client_id; }

void Run::drop_connection(int conn) {
  for (auto& link : pairs_[conn].link)
    if (link) link->close();
  std::erase_if(parked_, [&](const Parked& p) { return p.conn == conn; });
}

bool Run::is_parked(int conn) const {
  for (const Parked& p : parked_)
    if (p.conn == conn) return true;
  return false;
}

Buffer Run::encode(int server, Message& request, int16_t key, int16_t version, const Pair& pair) {
  wire::Writer w;
  const kmsg::ApiInfo& api = *kmsg::find_api(key);
  kmsg::RequestHeader header;
  header.request_api_key = key;
  header.request_api_version = version;
  header.correlation_id = correlation_;
  header.client_id = pair.client_id;
  OTTLA_CHECK(header.encode(w, kmsg::request_header_version(api, version)).has_value());
  std::unique_ptr<Message> concrete = request.clone();
  symbols.make_concrete(server, *concrete, version);
  if (auto done = concrete->encode(w, version); !done) {
    fmt::print(stderr, "a step made a request that cannot be sent: {} {}: {}\n",
               name_of(key, version), done.error().context, concrete->describe());
    std::exit(4);
  }
  return w.take();
}

Reply Run::wait_reply(Link& link, int timeout_ms) {
  Reply reply;
  int64_t end = now_ms() + timeout_ms;
  for (;;) {
    link.read_available();
    if (auto frame = link.take_frame()) {
      reply.kind = Kind::answered;
      reply.frame = std::move(*frame);
      return reply;
    }
    if (link.closed()) {
      reply.kind = Kind::closed;
      return reply;
    }
    int64_t left = end - now_ms();
    if (left <= 0) return reply;
    Link* one = &link;
    wait_readable(&one, 1, static_cast<int>(left));
  }
}

void Run::decode(int server, Reply& reply, int16_t key, int16_t version) {
  if (reply.kind != Kind::answered) return;
  (void)server;
  const kmsg::ApiInfo& api = *kmsg::find_api(key);
  wire::Reader r(reply.frame.bytes());
  kmsg::ResponseHeader header;
  if (!header.decode(r, kmsg::response_header_version(api, version))) return;
  auto body = make_message(key, false);
  if (body->decode(r, version) && r.at_end()) reply.body = std::move(body);
}

void Run::note(const std::string& kind, const std::string& text) {
  ++differences_;
  auto [at, is_new] = kinds_.try_emplace(kind, 0, position_);
  ++at->second.first;
  if (!is_new) return;
  fmt::print("\nDIFFERENCE seed {} position {}: {}\n{}repeat: {}\n", settings_.seed, position_,
             kind, text, settings_.command);
  std::fflush(stdout);
}

void Run::judge(int16_t key, int16_t version, Message* asked,
                const std::function<std::string()>& request, Reply (&reply)[kServers]) {
  for (int s = 0; s < kServers; ++s) decode(s, reply[s], key, version);
  auto both = [&] {
    return fmt::format("  request {}\n  apache  {}\n  ottla   {}\n", cut(request()),
                       reply[0].describe(), reply[1].describe());
  };
  std::string api = name_of(key, version);
  std::string plain_api(kmsg::api_name(static_cast<kmsg::ApiKey>(key)));
  if (reply[0].kind == Kind::silent && reply[1].body &&
      is_never_answered(version, *reply[1].body)) {
    ++excused_["never answered by Apache's"];
    return;
  }
  if (reply[0].kind == Kind::closed && reply[1].body && closes_midway(version, *reply[1].body)) {
    ++excused_["a batch of zstd behind more than is converted at once"];
    return;
  }
  if (reply[0].kind != reply[1].kind || (reply[0].body == nullptr) != (reply[1].body == nullptr)) {
    auto word = [](const Reply& r) -> std::string {
      if (r.kind != Kind::answered) return r.describe();
      return r.body ? "answers" : "answers what does not decode";
    };
    note(fmt::format("{}: apache {}, ottla {}", plain_api, word(reply[0]), word(reply[1])), both());
    return;
  }
  if (!reply[0].body) {
    if (as_text(reply[0].frame) != as_text(reply[1].frame)) note(api + ": bytes", both());
    return;
  }
  symbols.learn(key, *reply[0].body, *reply[1].body);
  bool same = as_text(reply[0].frame) == as_text(reply[1].frame);
  for (int s = 0; s < kServers; ++s) symbols.make_symbolic(s, *reply[s].body, version);
  if (same) return;
  auto found = compare(key, version, *reply[0].body, *reply[1].body);
  if (found.empty()) return;
  auto first_at = [&](const std::string& topic, int32_t partition, int64_t timestamp) {
    return first_record_at(topic, partition, timestamp);
  };
  std::string_view why = excuse(asked, *reply[0].body, *reply[1].body, first_at);
  if (!why.empty()) {
    found = compare(key, version, *reply[0].body, *reply[1].body);
    if (found.empty()) {
      ++excused_[why];
      return;
    }
  }
  std::string list;
  for (const Difference& d : found) {
    // From a little before the place where they part.
    size_t at = 0;
    while (at < d.apache.size() && at < d.ours.size() && d.apache[at] == d.ours[at]) ++at;
    at = at < 200 ? 0 : at - 150;
    list += fmt::format("  {}: apache {} ottla {}\n", d.path, cut(d.apache.substr(at), 1000),
                        cut(d.ours.substr(at), 1000));
  }
  const Difference& first = found[0];
  bool number = first.pattern.ends_with("error_code");
  note(number ? fmt::format("{} {}: {} / {}", plain_api, first.pattern, first.apache, first.ours)
              : fmt::format("{} {}", plain_api, first.pattern),
       "  " + api + "\n" + list + both());
}

Message* Run::call(int conn, Message& request, int16_t key, int16_t version, const Expect& expect) {
  Pair& to = pair(conn);
  ++position_;
  ++sent_;
  ++correlation_;
  Stopwatch watch(*this, std::string(kmsg::api_name(static_cast<kmsg::ApiKey>(key))));
  if (settings_.trace)
    fmt::print("{} conn {} {} {}\n", position_, conn, name_of(key, version),
               cut(describe_request(request, version), 1500));
  for (int s = 0; s < kServers; ++s) to.link[s]->send_frame(encode(s, request, key, version, to));
  if (expect.no_answer) {
    last_[0].body.reset();
    return nullptr;
  }
  Reply reply[kServers];
  auto here = [&](int s) { return reply[s].kind != Kind::silent; };
  if (expect.may_park) {
    for (int s = 0; s < kServers && expect.patience_ms > 0; ++s)
      reply[s] = wait_reply(*to.link[s], expect.patience_ms);
    for (int round = 0; round < 2 && !(here(0) && here(1)); ++round) {
      barrier();
      for (int s = 0; s < kServers; ++s)
        if (!here(s)) reply[s] = wait_reply(*to.link[s], 0);
    }
    if (!here(0) && !here(1)) {
      ++parks_;
      parked_.push_back({conn, key, version, request.describe(), position_, {}});
      collect_parked();
      return nullptr;
    }
  }
  int64_t started = now_ms();
  for (int s = 0; s < kServers; ++s) {
    if (here(s)) continue;
    int patience = here(1 - s) ? kLateMs : kSilentMs;
    reply[s] = wait_reply(*to.link[s], patience);
  }
  if (!here(0) && here(1)) reply[0] = wait_reply(*to.link[0], kLateMs);
  if (settings_.trace && now_ms() - started > 200) fmt::print("  took {} ms\n", now_ms() - started);
  if (expect.settling) {
    // One may be done where the other is not yet.
    for (int tries = 0; tries < 12'000; ++tries) {
      bool again = false;
      for (int s = 0; s < kServers; ++s) {
        decode(s, reply[s], key, version);
        if (!reply[s].body || !expect.settling(*reply[s].body)) continue;
        again = true;
        ::usleep(5000);
        to.link[s]->send_frame(encode(s, request, key, version, to));
        reply[s] = wait_reply(*to.link[s], kLateMs);
      }
      if (!again) break;
    }
  }
  if (!parked_.empty() && may_unpark(key)) {
    barrier();
    learn_parked();
  }
  judge(key, version, &request, [&] { return describe_request(request, version); }, reply);
  bool lost = false;
  for (int s = 0; s < kServers; ++s) {
    if (reply[s].kind == Kind::closed) ++closes_, lost = true;
    if (reply[s].kind == Kind::silent) ++silences_, lost = true;
    last_[s] = std::move(reply[s]);
  }
  if (lost) drop_connection(conn);
  if (!parked_.empty() && may_unpark(key)) collect_parked();
  return last_[0].body.get();
}

// After this, what was sent before has been taken up by both servers: each reads all sockets that
// have something before it answers what it read.
void Run::barrier() {
  Stopwatch watch(*this, "(barrier)");
  Typed<kmsg::ApiVersionsRequest> probe;
  Pair& to = pair(kBarrierConn);
  ++correlation_;
  for (int s = 0; s < kServers; ++s) to.link[s]->send_frame(encode(s, probe, 18, 0, to));
  for (int s = 0; s < kServers; ++s) (void)wait_reply(*to.link[s], kLateMs);
}

// A JoinGroup or SyncGroup that was overtaken, or whose member was removed: ours says so.
bool Run::is_left_alone(int16_t key, int16_t version, Reply& ours) {
  decode(1, ours, key, version);
  auto overtaken = [](kmsg::ErrorCode code) {
    return code == kmsg::ErrorCode::unknown_member_id ||
           code == kmsg::ErrorCode::rebalance_in_progress;
  };
  if (auto* sync = body_of<kmsg::SyncGroupResponse>(ours.body.get()))
    return overtaken(sync->error_code);
  if (auto* join = body_of<kmsg::JoinGroupResponse>(ours.body.get()))
    return overtaken(join->error_code);
  return false;
}

void Run::poll_parked(Parked& p, int s, int timeout_ms) {
  if (p.reply[s]) return;
  Reply reply = wait_reply(*pairs_[p.conn].link[s], timeout_ms);
  if (reply.kind == Kind::silent) return;
  p.reply[s] = std::make_unique<Reply>(std::move(reply));
}

// The answers of one rebalance name each other's members.
void Run::learn_parked() {
  for (Parked& p : parked_) {
    for (int s = 0; s < kServers; ++s) poll_parked(p, s, 0);
    if (!p.reply[0] && !p.reply[1]) continue;
    for (int s = 0; s < kServers; ++s)
      if (!(p.reply[1] && !p.reply[0] && is_left_alone(p.key, p.version, *p.reply[1])))
        poll_parked(p, s, kLateMs);
    if (!p.reply[0] || !p.reply[1]) continue;
    for (int s = 0; s < kServers; ++s) decode(s, *p.reply[s], p.key, p.version);
    if (p.reply[0]->body && p.reply[1]->body)
      symbols.learn(p.key, *p.reply[0]->body, *p.reply[1]->body);
  }
}

void Run::collect_parked() {
  learn_parked();
  for (size_t i = 0; i < parked_.size();) {
    Parked& p = parked_[i];
    auto poll = [&](int s, int timeout_ms) { poll_parked(p, s, timeout_ms); };
    for (int s = 0; s < kServers; ++s) poll(s, 0);
    if (!p.reply[0] && !p.reply[1]) {
      ++i;
      continue;
    }
    if (!p.reply[0] && is_left_alone(p.key, p.version, *p.reply[1])) {
      barrier();
      poll(0, 30);
      if (!p.reply[0]) {
        // Apache leaves it without an answer for ever: docs/compat.md.
        int gone = p.conn;
        unparked_.push_back({gone, p.key, nullptr});
        drop_connection(gone);
        return collect_parked();
      }
    }
    for (int s = 0; s < kServers; ++s) poll(s, kLateMs);
    Reply reply[kServers];
    for (int s = 0; s < kServers; ++s)
      if (p.reply[s]) reply[s] = std::move(*p.reply[s]);
    judge(
        p.key, p.version, nullptr,
        [&] { return fmt::format("(of position {}) {}", p.position, p.request); }, reply);
    bool lost = reply[0].kind != Kind::answered || reply[1].kind != Kind::answered;
    Unparked done{p.conn, p.key, std::move(reply[0].body)};
    int conn = p.conn;
    parked_.erase(parked_.begin() + static_cast<ptrdiff_t>(i));
    unparked_.push_back(std::move(done));
    if (lost) drop_connection(conn);
  }
}

std::vector<Run::Unparked> Run::take_unparked() { return std::move(unparked_); }

void Run::call_frame(int conn, Bytes frame, std::string_view what) {
  Pair& to = pair(conn);
  ++position_;
  ++sent_;
  Stopwatch watch(*this, "frames: " + std::string(what));
  if (settings_.trace) fmt::print("{} conn {} {} {}\n", position_, conn, what, to_hex(frame));
  for (int s = 0; s < kServers; ++s) to.link[s]->send_frame(frame);
  int16_t key = frame.size() >= 4 ? load_be<int16_t>(frame.data()) : int16_t{-1};
  int16_t version = frame.size() >= 4 ? load_be<int16_t>(frame.data() + 2) : int16_t{-1};
  const kmsg::ApiInfo* api = kmsg::find_api(key);
  const bool known = api && version >= api->min && version <= api->max;
  Reply reply[kServers];
  reply[1] = wait_reply(*to.link[1], kSilentMs);
  if (known) decode(1, reply[1], key, version);
  bool hopeless = reply[1].body && is_never_answered(version, *reply[1].body);
  reply[0] = wait_reply(*to.link[0], hopeless ? 500 : kLateMs);
  std::string request = fmt::format("{}: {}", what, to_hex(frame));
  if (known) {
    // What it asks for, when it can still be read.
    auto asked = make_message(key, true);
    wire::Reader r(frame);
    kmsg::RequestHeader header;
    bool readable =
        header.decode(r, kmsg::request_header_version(*api, version)) && asked->decode(r, version);
    judge(key, version, readable ? asked.get() : nullptr, [&] { return request; }, reply);
  } else if (reply[0].kind != reply[1].kind || as_text(reply[0].frame) != as_text(reply[1].frame)) {
    // ApiVersions of a version too new, in the body of version 0: the same code, key 18's range.
    bool same = reply[0].kind == reply[1].kind && reply[0].frame.size() == reply[1].frame.size();
    if (!same)
      note(fmt::format("frame: {}", what),
           fmt::format("  request {}\n  apache  {}\n  ottla   {}\n", cut(request),
                       reply[0].describe(), reply[1].describe()));
  }
  for (int s = 0; s < kServers; ++s) {
    if (reply[s].kind == Kind::closed) ++closes_;
    if (reply[s].kind == Kind::silent) ++silences_;
    if (reply[s].kind != Kind::answered) drop_connection(conn);
  }
}

void Run::call_raw(Bytes bytes, std::string_view what) {
  constexpr int kRawConn = -2;
  Pair& to = pair(kRawConn);
  ++position_;
  ++sent_;
  Stopwatch watch(*this, "bytes: " + std::string(what));
  for (int s = 0; s < kServers; ++s) to.link[s]->send_raw(bytes);
  Reply reply[kServers];
  for (int s = 0; s < kServers; ++s) reply[s] = wait_reply(*to.link[s], 300);
  for (int s = 0; s < kServers; ++s)
    if (reply[s].kind == Kind::silent && reply[1 - s].kind != Kind::silent)
      reply[s] = wait_reply(*to.link[s], kLateMs);
  if (reply[0].kind != reply[1].kind)
    note(fmt::format("bytes: {}", what),
         fmt::format("  bytes   {}\n  apache  {}\n  ottla   {}\n", to_hex(bytes),
                     reply[0].describe(), reply[1].describe()));
  drop_connection(kRawConn);
}

Reply Run::quiet_reply(int server, Message& request, int16_t key, int16_t version) {
  constexpr int kQuietConn = -3;
  Pair& to = pair(kQuietConn);
  ++correlation_;
  to.link[server]->send_frame(encode(server, request, key, version, to));
  Reply reply = wait_reply(*to.link[server], kLateMs);
  decode(server, reply, key, version);
  if (!reply.body) {
    fmt::print(stderr, "{} does not answer {}\n", kServerNames[server], name_of(key, version));
    std::exit(3);
  }
  return reply;
}

std::unique_ptr<Message> Run::ask_quietly(int server, Message& request, int16_t key,
                                          int16_t version) {
  return std::move(quiet_reply(server, request, key, version).body);
}

std::optional<std::pair<int64_t, int64_t>> Run::first_record_at(const std::string& topic,
                                                                int32_t partition,
                                                                int64_t timestamp) {
  std::optional<std::pair<int64_t, int64_t>> found;
  Typed<kmsg::ListOffsetsRequest> earliest;
  auto& asked = earliest.body.topics.emplace_back();
  asked.name = topic;
  asked.partitions.emplace_back().partition_index = partition;
  asked.partitions[0].timestamp = -2;
  auto start = ask_quietly(0, earliest, kmsg::ListOffsetsRequest::kApiKey, 5);
  const int64_t log_start =
      body_of<kmsg::ListOffsetsResponse>(start.get())->topics.at(0).partitions.at(0).offset;
  for (int64_t at = log_start; !found;) {
    Typed<kmsg::FetchRequest> fetch;
    fetch.body.max_wait_ms = 0;
    fetch.body.max_bytes = 50'000'000;
    auto& from = fetch.body.topics.emplace_back();
    from.topic = topic;
    auto& p = from.partitions.emplace_back();
    p.partition = partition;
    p.fetch_offset = at;
    p.partition_max_bytes = 50'000'000;
    Reply reply = quiet_reply(0, fetch, kmsg::FetchRequest::kApiKey, 11);
    const auto& records =
        body_of<kmsg::FetchResponse>(reply.body.get())->responses.at(0).partitions.at(0).records;
    int64_t next = at;
    broker::BatchCursor cursor(records.bytes);
    while (auto batch = cursor.next()) {
      next = broker::BatchView(batch->bytes).last_offset() + 1;
      (void)broker::each_record(*batch, [&](const broker::Record& r) {
        bool is = r.timestamp >= timestamp && r.offset >= log_start && !found;
        if (is) found = {r.offset, r.timestamp};
        return !found;
      });
    }
    if (next == at) break;
    at = next;
  }
  return found;
}

std::string Run::state_of_group(const std::string& group, int server) {
  Typed<kmsg::DescribeGroupsRequest> request;
  request.body.groups = {group};
  auto reply = ask_quietly(server, request, kmsg::DescribeGroupsRequest::kApiKey, 0);
  const auto& known = body_of<kmsg::DescribeGroupsResponse>(reply.get())->groups.at(0);
  if (known.group_state == "Dead") return "Empty";
  if (known.group_state == "Empty") return "Empty";
  return known.group_state + (known.members.empty() ? " without members" : "");
}

void Run::wait_until(std::string_view what, const std::function<bool(int server)>& done) {
  Stopwatch watch(*this, "(until) " + std::string(what.substr(0, what.find(" of "))));
  for (int s = 0; s < kServers; ++s) {
    int64_t end = now_ms() + 60'000;
    while (!done(s)) {
      if (now_ms() > end) {
        note(fmt::format("{} is not there after 60 s: {}", kServerNames[s], what), "");
        break;
      }
      ::usleep(2000);
    }
  }
}

void Run::report() const {
  fmt::print("seed {}: {} requests, {} differences, {} closed, {} unanswered, {} parked\n",
             settings_.seed, sent_, differences_, closes_ / 2, silences_ / 2, parks_);
  for (const auto& [why, count] : excused_) fmt::print("  {:6} x excused: {}\n", count, why);
  for (const auto& [kind, count] : kinds_)
    fmt::print("  {:6} x {} (first at {})\n", count.first, kind, count.second);
  if (settings_.times)
    for (const auto& [row, spent] : spent_)
      fmt::print("  {:6} {:6} ms {}\n", spent.count, spent.us / 1000, row);
}

}  // namespace ottla::differential
