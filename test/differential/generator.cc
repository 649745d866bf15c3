// Which scenario comes next, and what is learnt from its answers.
#include "test/differential/generator.h"

#include "fmt/core.h"
#include "test/differential/player.h"

namespace ottla::differential {

using jute::OpCode;

namespace {
constexpr int kPlaces = 7;  // 0 is the superuser's
constexpr const char* kQuotaRoots[] = {"/q0", "/q1", "/q0/in"};

jute::ACL acl_of(int32_t perms, const char* scheme, const char* id) {
  jute::ACL acl;
  acl.perms = perms;
  acl.id.scheme = scheme;
  acl.id.id = id;
  return acl;
}
std::vector<jute::ACL> open_acl() { return {acl_of(31, "world", "anyone")}; }
}  // namespace

Step Generator::request(int place, OpCode type, std::string body) {
  Step step;
  step.session = place;
  step.xid = next_xid();
  step.type = static_cast<int32_t>(type);
  step.body = std::move(body);
  return step;
}

Step Generator::sealed(Step step) {
  step.alone = step.last = true;
  return step;
}

std::vector<Step> Generator::next(const Player& player) {
  if (!queued_.empty()) {
    std::vector<Step> batch = std::move(queued_.front());
    queued_.pop_front();
    return batch;
  }
  int place = static_cast<int>(prng_.below(kPlaces));
  if (!player.has_connection(place)) return session_life(place, player);
  uint64_t dice = prng_.below(1000);
  if (dice < 25) return session_life(place, player);
  if (dice < 80) return lone_request(place);
  if (dice < 120) return quota_step(place);
  if (dice < 122 && options_.huge) return huge_step(place);
  return requests(place, player);
}

std::vector<Step> Generator::requests(int place, const Player& player) {
  size_t wanted = one_in(4) ? 1 + prng_.below(3) : 1 + prng_.below(150);
  std::vector<Step> batch;
  bool ends = false;
  while (batch.size() < wanted && !ends)
    batch.push_back(operation(place, player.last_zxid(), ends));
  batch.back().last = true;
  return batch;
}

// ---------------------------------------------------------------------------------------- sessions

std::vector<Step> Generator::connect(int place) {
  Step step;
  step.verb = Verb::connect;
  step.session = place;
  constexpr int32_t kTimeouts[] = {0, -1, 1, 600'000, 1'000'000, 6'000'000, INT32_MAX, INT32_MIN};
  step.number = kTimeouts[prng_.below(std::size(kTimeouts))];
  step.flag = static_cast<int>(prng_.below(3)) - 1;
  step.last = true;
  return {step};
}

std::vector<Step> Generator::session_life(int place, const Player& player) {
  Step step = connect(place).front();
  bool super = place == 0;
  auto auth = [&](std::string secret) {
    jute::AuthPacket packet;
    packet.scheme = "digest";
    packet.auth = std::move(secret);
    Step one = request(place, OpCode::auth, encoded(packet));
    one.xid = -4;
    return sealed(one);
  };
  if (!player.has_session(place)) {
    if (one_in(10)) {
      step.verb = Verb::ahead;
      step.xid = one_in(2) ? 1000 : 1'000'000;
      return {step};
    }
    places_[place] = {};
  } else if (!player.has_connection(place)) {
    step.verb = Verb::resume;
    places_[place] = {};
  } else {
    switch (prng_.below(6)) {
      case 0:
      case 1: {
        Step close = request(place, OpCode::close_session, one_in(5) ? "more" : "");
        return {sealed(close)};
      }
      case 2:
        step.verb = Verb::drop;
        return {step};
      case 3:
        step.verb = Verb::intrude;
        step.body = one_in(2)   ? std::string(16, 'x')
                    : one_in(2) ? std::string()
                                : std::string(15, '\0');
        return {step};
      case 4: {  // events in flight when the session's connection is replaced
        step.verb = Verb::resume;
        places_[place] = {};
        break;
      }
      default: {
        Step again = request(place, OpCode::create_session, std::string("\0\x4c\x4b\x40", 4));
        return {sealed(again)};
      }
    }
  }
  // With `many_ids` off nobody gets a second id, so that `auth` expands to one.
  if (super || one_in(2)) places_[place].ids = 1;
  if (super)
    queued_.push_back({auth("super:test")});
  else if (places_[place].ids != 0)
    queued_.push_back({auth(fmt::format("u{}:p{}", place % 3 + 1, place % 3 + 1))});
  return {step};
}

// What Apache decides beside its pipeline, or what ends the connection.
std::vector<Step> Generator::lone_request(int place) {
  switch (prng_.below(9)) {
    case 0: {
      if (places_[place].ids > 0 && !options_.many_ids) return requests_or_ping(place);
      constexpr const char* kSecrets[] = {"u1:p1",   "u2:p2", "u3:p3", "u1:other",
                                          "nocolon", ":",     "a:b:c", ""};
      jute::AuthPacket packet;
      packet.type = one_in(5) ? 7 : 0;
      packet.scheme = "digest";
      packet.auth = kSecrets[options_.many_ids ? prng_.below(8) : prng_.below(3)];
      ++places_[place].ids;
      Step step = request(place, OpCode::auth, encoded(packet));
      step.xid = one_in(5) ? 77 : -4;
      return {sealed(step)};
    }
    case 1: {
      jute::AuthPacket packet;
      constexpr const char* kSchemes[] = {"ip",      "world", "auth",  "x509",
                                          "nothing", "",      "super", "DIGEST"};
      packet.scheme = kSchemes[prng_.below(8)];
      packet.auth = one_in(2) ? "127.0.0.1" : "";
      Step step = request(place, OpCode::auth, encoded(packet));
      step.xid = -4;
      return {sealed(step)};
    }
    case 2: {
      constexpr int32_t kUnknown[] = {0,  10, 23,   24,        99,        108,
                                      -1, -2, 1000, INT32_MIN, INT32_MAX, 13};
      Step step =
          request(place, static_cast<OpCode>(kUnknown[prng_.below(options_.as_38 ? 11 : 12)]),
                  one_in(2) ? "" : std::string(8, '\0'));
      return {sealed(step)};
    }
    case 3: {
      Step step = request(place, OpCode::ping, "");
      step.verb = Verb::raw_frame;
      step.body = std::string(prng_.below(9), static_cast<char>(prng_.below(3)));
      if (step.body.size() == 8 && options_.as_38) step.body.pop_back();
      return {sealed(step)};
    }
    case 4: {
      Step step;
      step.verb = Verb::raw_first;
      step.last = true;
      switch (prng_.below(4)) {
        case 0:
          step.body = std::string("\x7f\xff\xff\xff", 4);
          break;
        case 1:
          step.body = std::string("\xff\xff\xff\xff", 4);
          break;
        case 2:
          step.body = std::string("\0\0\0\4abcd", 8);
          break;
        default:
          step.body = std::string("\0\x10\0\0", 4);
          break;  // one over jute.maxbuffer
      }
      return {step};
    }
    case 5: {
      jute::GetSASLRequest token;
      token.token = "token";
      if (one_in(4)) token.token.reset();
      return {sealed(request(place, OpCode::sasl, encoded(token)))};
    }
    case 6: {
      jute::ReconfigRequest ask;
      ask.joining_servers = "server.1=localhost:1:2;3";
      ask.cur_config_id = -1;
      return {sealed(request(place, OpCode::reconfig, encoded(ask)))};
    }
    default:
      return requests_or_ping(place);
  }
}

std::vector<Step> Generator::requests_or_ping(int place) {
  Step step = request(place, OpCode::ping, "");
  step.xid = one_in(2) ? -2 : step.xid;
  return {sealed(step)};
}

// ------------------------------------------------------------------------------------------ quotas

// Alone: Apache looks at the applied tree, so a write behind another would be a race.
std::vector<Step> Generator::quota_step(int place) {
  std::string root = kQuotaRoots[prng_.below(3)];
  std::string limits = "/zookeeper/quota" + root + "/zookeeper_limits";
  std::string stats = "/zookeeper/quota" + root + "/zookeeper_stats";
  auto make = [&](const std::string& path, std::string data) {
    jute::CreateRequest ask;
    ask.path = path;
    ask.data = std::move(data);
    ask.acl = open_acl();
    return sealed(request(place, OpCode::create2, encoded(ask)));
  };
  auto set = [&](const std::string& path, std::string data) {
    jute::SetDataRequest ask;
    ask.path = path;
    ask.data = std::move(data);
    ask.version = -1;
    return sealed(request(place, OpCode::set_data, encoded(ask)));
  };
  constexpr const char* kLimits[] = {"count=5,bytes=100",
                                     "count=-1,bytes=-1=;byteHardLimit=200;countHardLimit=6",
                                     "count=3,bytes=-1=;countHardLimit=4",
                                     "count=-1,bytes=50=;byteHardLimit=60",
                                     "count=1,bytes=1",
                                     "",
                                     "count=2,bytes=3=;byteHardLimit=;countHardLimit=-1"};
  std::string limit = kLimits[prng_.below(std::size(kLimits))];
  std::string child = fmt::format("{}/c{}", root, prng_.below(8));
  switch (prng_.below(12)) {
    case 0: {
      queued_.push_back({make("/zookeeper/quota/q0", "")});
      queued_.push_back({make("/zookeeper/quota" + root, "")});
      queued_.push_back({make(limits, limit)});
      queued_.push_back({make(stats, "count=0,bytes=0")});
      return {make(root, "")};
    }
    case 1:
      return {set(limits, limit)};
    case 2: {
      jute::DeleteRequest ask;
      ask.path = one_in(2) ? limits : stats;
      ask.version = -1;
      return {sealed(request(place, OpCode::remove, encoded(ask)))};
    }
    case 3:
    case 4: {
      jute::GetDataRequest ask;
      ask.path = one_in(3) ? limits : stats;
      return {sealed(request(place, OpCode::get_data, encoded(ask)))};
    }
    case 5:
    case 6:
      return {set(one_in(3) ? root : child, std::string(prng_.below(80), 'q'))};
    case 7: {
      jute::DeleteRequest ask;
      ask.path = child;
      ask.version = -1;
      return {sealed(request(place, OpCode::remove, encoded(ask)))};
    }
    case 8: {
      std::string body;
      jute::MultiHeader header;
      for (int i = 0; i < 2; ++i) {
        header.type = OpCode::create2;
        header.err = static_cast<jute::ZkError>(-1);
        jute::CreateRequest ask;
        ask.path = fmt::format("{}/c{}", root, prng_.below(8));
        ask.data = std::string(prng_.below(40), 'm');
        ask.acl = open_acl();
        ask.flags = static_cast<int32_t>(prng_.below(3));
        body += encoded(header) + encoded(ask);
      }
      header.type = OpCode::error;
      header.done = true;
      return {sealed(request(place, OpCode::multi, body + encoded(header)))};
    }
    default:
      return {make(child, std::string(prng_.below(40), 'c'))};
  }
}

// -------------------------------------------------------------------------------------------- huge

std::vector<Step> Generator::huge_step(int place) {
  constexpr size_t kMaxBuffer = 1048575;
  jute::CreateRequest ask;
  ask.path = "/big";
  ask.acl = open_acl();
  ask.data = "";
  size_t rest = encoded(ask).size() + 8;
  size_t over = prng_.below(3);  // a byte below, exactly, a byte above
  ask.data = std::string(kMaxBuffer - rest - 1 + over, 'b');
  jute::GetDataRequest read;
  read.path = "/big";
  jute::DeleteRequest remove;
  remove.path = "/big";
  remove.version = -1;
  if (over < 2) {
    queued_.push_back({sealed(request(place, OpCode::get_data, encoded(read)))});
    queued_.push_back({sealed(request(place, OpCode::remove, encoded(remove)))});
  }
  return {sealed(request(place, OpCode::create, encoded(ask)))};
}

// ------------------------------------------------------------------------------------------- learn

void Generator::seen(const std::string& path) {
  if (path == "/" || path.starts_with("/q") || path.starts_with("/zookeeper") ||
      path.starts_with("/big"))
    return;
  if (alive_at_.emplace(path, alive_.size()).second) alive_.push_back(path);
}

void Generator::gone(const std::string& path) {
  auto it = alive_at_.find(path);
  if (it == alive_at_.end()) return;
  size_t at = it->second;
  alive_at_.erase(it);
  if (at + 1 != alive_.size()) {
    alive_[at] = alive_.back();
    alive_at_[alive_[at]] = at;
  }
  alive_.pop_back();
}

void Generator::learn(const std::vector<Step>& batch, const std::vector<std::string>& answers) {
  for (size_t i = 0; i < batch.size() && i < answers.size(); ++i) {
    if (batch[i].verb != Verb::request) continue;
    wire::Reader in(as_bytes(answers[i]));
    jute::ReplyHeader header;
    if (!header.decode(in)) continue;
    wire::Reader asked(as_bytes(batch[i].body));
    auto type = static_cast<OpCode>(batch[i].type);
    auto created = [&](wire::Reader& from) {
      jute::CreateResponse one;
      if (one.decode(from) && one.path) seen(*one.path);
    };
    jute::DeleteRequest removed;
    if (type == OpCode::remove && removed.decode(asked) && removed.path) {
      int32_t error = static_cast<int32_t>(header.err);
      if (error == 0 || error == -101) gone(*removed.path);
    }
    if (static_cast<int32_t>(header.err) != 0) {
      jute::GetDataRequest about;
      if (static_cast<int32_t>(header.err) == -101 &&
          (type == OpCode::exists || type == OpCode::get_data) && about.decode(asked) && about.path)
        gone(*about.path);
      continue;
    }
    if (type == OpCode::create || type == OpCode::create2 || type == OpCode::create_ttl ||
        type == OpCode::create_container)
      created(in);
    if (type != OpCode::multi) continue;
    for (jute::MultiHeader one; one.decode(in) && !one.done;) {
      jute::Stat stat;
      if (one.type == OpCode::create || one.type == OpCode::create2) created(in);
      if (one.type == OpCode::create2 || one.type == OpCode::set_data) stat.decode(in);
      if (one.type == OpCode::error) (void)in.i32();
    }
  }
}

}  // namespace ottla::differential
