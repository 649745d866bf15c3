// Steps played on both servers.
#include "test/differential/player.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <thread>

#include "common/wire/writer.h"
#include "fmt/core.h"

namespace ottla::differential {

namespace {

using Clock = std::chrono::steady_clock;
constexpr auto kPatience = std::chrono::seconds(30);
constexpr int32_t kPingXid = -2;

std::string payload(const Step& step) {
  if (step.verb == Verb::raw_frame) return step.body;
  wire::Writer out;
  out.i32(step.xid);
  out.i32(step.type);
  return to_string(out.bytes()) + step.body;
}

Step probe(int place) {
  Step step;
  step.session = place;
  step.xid = kPingXid;
  step.type = static_cast<int32_t>(jute::OpCode::ping);
  return step;
}

// An answer that Apache closes the connection behind, in its own time: a ping may still slip
// through.
bool is_farewell(const Step& step, std::string_view answer) {
  wire::Reader in(as_bytes(answer));
  jute::ReplyHeader header;
  if (!header.decode(in)) return false;
  if (header.zxid == -1 && header.err == jute::ZkError::unimplemented) return true;
  if (step.verb != Verb::request) return false;  // a raw frame's type is in its bytes
  auto type = static_cast<jute::OpCode>(step.type);
  return type == jute::OpCode::close_session ||
         (type == jute::OpCode::auth && header.err == jute::ZkError::auth_failed);
}

template <class Record>
std::string encoded(const Record& record) {
  wire::Writer out;
  record.encode(out);
  return to_string(out.bytes());
}

}  // namespace

Player::Player(int reference_port, int subject_port, Rules rules)
    : sides_{Side("reference", reference_port, rules), Side("subject", subject_port, rules)} {}

bool Player::has_connection(int place) const {
  return sides_[0].places[static_cast<size_t>(place)].link->is_open();
}
bool Player::has_session(int place) const {
  return sides_[0].places[static_cast<size_t>(place)].session != 0;
}

void Player::forget_connection(int place) {
  for (Side& side : sides_) side.places[static_cast<size_t>(place)].link->close();
}

void Player::pump_all(Link* extra_a, Link* extra_b) {
  std::vector<Link*> links = sides_[0].links();
  for (Link* link : sides_[1].links()) links.push_back(link);
  if (extra_a != nullptr) links.push_back(extra_a);
  if (extra_b != nullptr) links.push_back(extra_b);
  pump(links, 100);
}

bool Player::play(const std::vector<Step>& batch) {
  answers_.clear();
  steps_ += static_cast<int64_t>(batch.size());
  const Step& first = batch.front();
  switch (first.verb) {
    case Verb::request:
    case Verb::raw_frame:
      return !has_connection(first.session) || play_requests(batch);
    case Verb::words:
      return compare_words();
    case Verb::raw_first:
      return play_first_bytes(first);
    case Verb::drop: {
      if (!has_connection(first.session)) return true;
      bool same = play_requests({probe(first.session)});  // what was to come has come
      forget_connection(first.session);
      return same;
    }
    default:
      return play_connection(first);
  }
}

// -------------------------------------------------------------------------------------- requests

// Moves what arrived into lines; true once all of the batch is answered.
bool Player::take(Side& side, const std::vector<Step>& batch, size_t& replies, Lines& lines) {
  Link& link = *side.places[static_cast<size_t>(batch.front().session)].link;
  while (replies < batch.size() && !link.frames.empty()) {
    std::string frame = std::move(link.frames.front());
    link.frames.pop_front();
    if (Side::is_event(frame)) {
      lines.push_back(side.event(frame));
      continue;
    }
    lines.push_back(side.reply(batch[replies], frame));
    ++replies;
    if (&side == &sides_[0]) answers_.push_back(std::move(frame));
  }
  return replies == batch.size();
}

bool Player::wait_for_replies(const std::vector<Step>& batch, Lines (&lines)[2], bool (&ended)[2]) {
  size_t replies[2] = {};
  bool done[2] = {};
  auto began = Clock::now();
  auto deadline = began + kPatience;
  while (!done[0] || !done[1]) {
    pump_all(nullptr, nullptr);
    for (size_t i = 0; i < 2; ++i) {
      if (done[i]) continue;
      Link& link = *sides_[i].places[static_cast<size_t>(batch.front().session)].link;
      bool gone = link.ended();
      done[i] = take(sides_[i], batch, replies[i], lines[i]);
      if (done[i]) waited_[i] += Clock::now() - began;
      if (!done[i] && gone) {
        lines[i].push_back("the connection ended");
        done[i] = ended[i] = true;
      }
    }
    if (Clock::now() > deadline) {
      for (size_t i = 0; i < 2; ++i)
        if (!done[i]) lines[i].push_back("no answer");
      return false;
    }
  }
  return true;
}

bool Player::play_requests(const std::vector<Step>& batch) {
  int place = batch.front().session;
  for (Side& side : sides_)
    for (const Step& step : batch)
      side.places[static_cast<size_t>(place)].link->send_frame(payload(step));
  Lines lines[2];
  bool ended[2] = {};
  wait_for_replies(batch, lines, ended);
  std::vector<Step> asked = batch;
  if (batch.back().alone && !ended[0] && !ended[1] && is_farewell(batch.back(), answers_.back())) {
    for (size_t i = 0; i < 2; ++i)
      ended[i] =
          wait_for_end(sides_[i], *sides_[i].places[static_cast<size_t>(place)].link, lines[i]);
  } else if (batch.back().alone && !ended[0] && !ended[1]) {
    // Does the connection live? Every answer before has been read, so a reset destroys nothing.
    std::vector<Step> ping = {probe(place)};
    for (Side& side : sides_)
      side.places[static_cast<size_t>(place)].link->send_frame(payload(ping[0]));
    wait_for_replies(ping, lines, ended);
    asked.push_back(ping[0]);
  }
  if (batch.back().type == static_cast<int32_t>(jute::OpCode::close_session) && !answers_.empty()) {
    wire::Reader in(as_bytes(answers_.back()));
    jute::ReplyHeader header;
    if (header.decode(in)) closes_.insert(header.zxid);
  }
  bool same = compare(asked, lines);
  if (ended[0] || ended[1]) forget_connection(place);
  const Step& last = batch.back();
  if (last.type == static_cast<int32_t>(jute::OpCode::close_session) && last.verb == Verb::request)
    for (Side& side : sides_) side.places[static_cast<size_t>(place)].session = 0;
  return same;
}

// The ephemerals of a session that ends go in any order, and so do their events.
void Player::sort_events_of_closes(Lines& lines) const {
  auto close_of = [&](const std::string& line) -> int64_t {
    if (!line.starts_with("event ")) return 0;
    size_t at = line.find(" zxid=");
    if (at == std::string::npos) return -1;  // 3.8 does not say
    int64_t zxid = std::atoll(line.c_str() + at + 6);
    return closes_.contains(zxid) ? zxid : 0;
  };
  for (size_t from = 0; from < lines.size();) {
    int64_t zxid = close_of(lines[from]);
    size_t to = from + 1;
    while (zxid != 0 && to < lines.size() && close_of(lines[to]) == zxid) ++to;
    std::sort(lines.begin() + static_cast<ptrdiff_t>(from),
              lines.begin() + static_cast<ptrdiff_t>(to));
    from = to;
  }
}

bool Player::compare(const std::vector<Step>& batch, Lines (&lines)[2]) {
  for (Lines& side : lines) sort_events_of_closes(side);
  if (lines[0] == lines[1]) return true;
  size_t at = 0, replies = 0;
  while (at < lines[0].size() && at < lines[1].size() && lines[0][at] == lines[1][at]) {
    if (!lines[0][at].starts_with("event ")) ++replies;
    ++at;
  }
  difference_ =
      fmt::format("step {} of its batch of {}: {}\n", std::min(replies, batch.size() - 1) + 1,
                  batch.size(), describe(batch[std::min(replies, batch.size() - 1)]));
  for (size_t i = at > 3 ? at - 3 : 0; i < at; ++i) difference_ += "  both: " + lines[0][i] + "\n";
  for (size_t side = 0; side < 2; ++side)
    for (size_t i = at; i < std::min(at + 3, lines[side].size()); ++i)
      difference_ += fmt::format("  {}: {}\n", sides_[side].name, lines[side][i]);
  return false;
}

// ----------------------------------------------------------------------------------- connections

// Reads until the peer ends the connection; events that still came are compared.
bool Player::wait_for_end(Side& side, Link& link, Lines& lines) {
  auto deadline = Clock::now() + kPatience;
  while (!link.ended()) {
    pump({&link}, 100);
    if (Clock::now() > deadline) {
      lines.push_back("the connection did not end");
      return false;
    }
  }
  for (const std::string& frame : link.frames)
    lines.push_back(Side::is_event(frame) ? side.event(frame) : "an answer");
  lines.push_back("the connection ended");
  return true;
}

bool Player::play_connection(const Step& step) {
  auto place_number = static_cast<size_t>(step.session);
  bool comes_back = step.verb == Verb::resume || step.verb == Verb::intrude;
  if (comes_back != has_session(step.session)) return true;  // a cut script
  // The old connection will be closed, and Apache loses what its threads have not yet sent on it.
  if (comes_back && has_connection(step.session) && !play_requests({probe(step.session)}))
    return false;
  std::unique_ptr<Link> fresh[2];
  Lines lines[2];
  for (size_t i = 0; i < 2; ++i) {
    Side& side = sides_[i];
    Side::Place& place = side.places[place_number];
    fresh[i] = std::make_unique<Link>();
    if (!fresh[i]->open(side.port)) lines[i].push_back("refused");
    jute::ConnectRequest ask;
    ask.last_zxid_seen = step.verb == Verb::ahead ? side.last_zxid + step.xid
                         : comes_back             ? side.last_zxid
                                                  : 0;
    ask.time_out = step.number;
    ask.session_id = comes_back ? place.session : 0;
    ask.passwd = step.verb == Verb::resume ? place.password : std::string(16, '\0');
    if (step.verb == Verb::intrude) ask.passwd = step.body;
    ask.read_only.reset();
    if (step.flag >= 0) ask.read_only = step.flag == 1;
    fresh[i]->send_frame(encoded(ask));
  }
  auto deadline = Clock::now() + kPatience;
  while ((fresh[0]->frames.empty() && !fresh[0]->ended()) ||
         (fresh[1]->frames.empty() && !fresh[1]->ended())) {
    pump_all(fresh[0].get(), fresh[1].get());
    if (Clock::now() > deadline) break;
  }
  bool alive = true;
  for (size_t i = 0; i < 2; ++i) {
    Side::Place& place = sides_[i].places[place_number];
    if (!fresh[i]->frames.empty()) {
      lines[i].push_back(sides_[i].connected(fresh[i]->frames.front(), place));
      fresh[i]->frames.pop_front();
    } else {
      lines[i].push_back(fresh[i]->ended() ? "the connection ended" : "no answer");
    }
    bool accepted = (step.verb == Verb::connect || step.verb == Verb::resume) &&
                    lines[i].back().starts_with("connected") &&
                    lines[i].back().find(" session=0 ") == std::string::npos;
    if (!accepted) wait_for_end(sides_[i], *fresh[i], lines[i]);
    if (comes_back && place.link->is_open()) wait_for_end(sides_[i], *place.link, lines[i]);
    alive = alive && accepted;
  }
  bool same = compare({step}, lines);
  if (step.verb == Verb::ahead) return same;
  for (size_t i = 0; i < 2; ++i) {
    Side::Place& place = sides_[i].places[place_number];
    if (alive)
      place.link = std::move(fresh[i]);
    else
      place.link->close();
  }
  return same;
}

bool Player::play_first_bytes(const Step& step) {
  Lines lines[2];
  for (size_t i = 0; i < 2; ++i) {
    Link link;
    if (!link.open(sides_[i].port)) {
      lines[i].push_back("refused");
      continue;
    }
    link.send_raw(step.body);
    wait_for_end(sides_[i], link, lines[i]);
  }
  return compare({step}, lines);
}

// A connection that was cut is noticed in its own time: asked again until both say the same.
bool Player::compare_words() {
  for (const char* which :
       {"srvr", "mntr", "wchs", "wchp", "wchc", "dump", "cons", "isro", "ruok"}) {
    auto deadline = Clock::now() + std::chrono::seconds(5);
    std::string said[2];
    for (;;) {
      for (size_t i = 0; i < 2; ++i) said[i] = sides_[i].word(which);
      if (said[0] == said[1]) break;
      if (Clock::now() > deadline) {
        difference_ = fmt::format("{}\n--- reference\n{}--- subject\n{}", which, said[0], said[1]);
        return false;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
  }
  return true;
}

}  // namespace ottla::differential
