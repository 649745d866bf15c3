// Single operations with good, borderline and wrong arguments.
#include "common/wire/writer.h"
#include "fmt/core.h"
#include "test/differential/generator.h"

namespace ottla::differential {

using jute::OpCode;

// ------------------------------------------------------------------------------------- arguments

std::string Generator::plain_path() {
  std::string out = fmt::format("/d{}", prng_.below(6));
  if (one_in(8)) return out;
  out += fmt::format("/n{}", prng_.below(8));
  if (one_in(3)) out += fmt::format("/x{}", prng_.below(3));
  return out;
}

Generator::Text Generator::odd_path() {
  static const std::string kOdd[] = {"",
                                     "/",
                                     "x",
                                     "x/y",
                                     "/a/",
                                     "//x",
                                     "/a//b",
                                     "/./a",
                                     "/../a",
                                     "/a/.",
                                     "/a/..",
                                     "/.",
                                     "/a.b/..c",
                                     "/zookeeper",
                                     "/zookeeper/quota",
                                     "/zookeeper/config",
                                     "/zookeeper/none",
                                     "/zookeeper/config/x",
                                     std::string("/a\0b", 4),
                                     "/a\x01",
                                     "/a\x7f",
                                     "/\xc2\x80",
                                     "/\xc2\x9f",
                                     "/\xc3\xbc",
                                     "/\xee\x80\x80",
                                     "/\xef\xa3\xbf",
                                     "/\xef\xa4\x80",
                                     "/\xef\xbf\xb0",
                                     "/\xef\xbf\xbd",
                                     "/d0/ ",
                                     "/ ",
                                     "/d0/\xc3\xbc",
                                     std::string("\0", 1),
                                     "/d0//",
                                     "///",
                                     "/zookeeper/",
                                     "/d0/\t"};
  if (one_in(12)) return std::nullopt;
  if (one_in(30)) return "/" + std::string(3000, 'l');
  return kOdd[prng_.below(std::size(kOdd))];
}

Generator::Text Generator::path() {
  uint64_t dice = prng_.below(100);
  if (dice < 55 && !alive_.empty()) return alive_[prng_.below(alive_.size())];
  if (dice < 93) return plain_path();
  if (dice < 96 && !alive_.empty())
    return fmt::format("{}/x{}", alive_[prng_.below(alive_.size())], prng_.below(3));
  return odd_path();
}

Generator::Text Generator::data() {
  if (one_in(15)) return std::nullopt;
  if (one_in(30)) return std::string(prng_.below(5000), static_cast<char>('a' + prng_.below(26)));
  return std::string(prng_.below(30), static_cast<char>('a' + prng_.below(26)));
}

int32_t Generator::version() {
  if (!one_in(3)) return -1;
  constexpr int32_t kWrong[] = {99, -2, INT32_MAX, INT32_MIN};
  return one_in(3) ? kWrong[prng_.below(4)] : static_cast<int32_t>(prng_.below(4));
}

std::optional<std::vector<jute::ACL>> Generator::acl() {
  struct Known {
    int32_t perms;
    const char* scheme;
    const char* id;
  };
  static constexpr Known kGood[] = {{31, "world", "anyone"},
                                    {1, "world", "anyone"},
                                    {31, "digest", "u1:fpT/y03U+EjItKZOSLGvjnJlyng="},
                                    {5, "world", "anyone"},
                                    {31, "ip", "127.0.0.1"},
                                    {31, "digest", "u2:o9NxcCGDPOlcV7JVhmKHOf5ctVE="},
                                    {31, "auth", ""},
                                    {15, "ip", "127.0.0.0/8"},
                                    {3, "digest", "u3:Im5xY/YYc2xRYjWcy4eAeBEG1fk="},
                                    {16, "ip", "10.0.0.0/8"},
                                    {31, "auth", "ignored"},
                                    {12, "world", "anyone"},
                                    {31, "ip", "127.0.0.1/32"},
                                    {31, "ip", "0.0.0.0/0"},
                                    {-1, "world", "anyone"},
                                    {0, "world", "anyone"},
                                    {64, "digest", "u1:x"}};
  static constexpr Known kWrong[] = {{31, "world", "someone"},
                                     {31, "nothing", "x"},
                                     {31, "digest", "u1"},
                                     {31, "digest", ":y"},
                                     {31, "digest", "x:"},
                                     {31, "ip", "1.2.3"},
                                     {31, "ip", "1.2.3.4/33"},
                                     {31, "ip", "1.2.3.4/-1"},
                                     {31, "ip", "::1"},
                                     {31, "super", "x"},
                                     {31, "ip", ""},
                                     {31, "digest", "a:b:c"},
                                     {31, "", ""},
                                     {31, "ip", "256.1.1.1"},
                                     {31, "ip", "1.2.3.4/"},
                                     {31, "ip", "host"},
                                     {31, "ip", "1.2.3.4/0x8"},
                                     {31, "ip", "+1.2.3.4"},
                                     {31, "world", ""},
                                     {31, "digest", ":"},
                                     {31, "x509", "CN=a"},
                                     {31, "sasl", "joe"}};
  if (!one_in(5)) {
    jute::ACL open;
    open.perms = 31;
    open.id.scheme = "world";
    open.id.id = "anyone";
    return std::vector{open};
  }
  if (one_in(25)) return std::nullopt;
  std::vector<jute::ACL> list(prng_.below(4) + (one_in(10) ? 0 : 1));
  bool wrong = one_in(4);
  for (jute::ACL& one : list) {
    const Known& known = wrong && one_in(2) ? kWrong[prng_.below(std::size(kWrong))]
                                            : kGood[prng_.below(std::size(kGood))];
    one.perms = known.perms;
    one.id.scheme = known.scheme;
    one.id.id = known.id;
    if (wrong && one_in(10)) one.id.id.reset();
    if (wrong && one_in(20)) one.id.scheme.reset();
    null_in_acl_ = null_in_acl_ || !one.id.id || !one.id.scheme;
  }
  return list;
}

jute::CreateRequest Generator::create_request(bool odd_flags) {
  jute::CreateRequest ask;
  ask.path = path();
  // What no Java string holds; it never gets as far as a name that is told back (docs/compat.md).
  static const std::string kForeign[] = {"/\xff",     "/a\xc3",
                                         "/\xc0\x80", "/\xed\xa0\x80",
                                         "/d0/\x80x", "/\xf0\x9f\x98\x80",
                                         "/\xe2\x82", "/\xf8\x88\x80\x80\x80"};
  if (one_in(200)) ask.path = kForeign[prng_.below(std::size(kForeign))];
  ask.data = data();
  ask.acl = acl();
  if (!one_in(3)) ask.flags = static_cast<int32_t>(prng_.below(4));
  if (odd_flags && one_in(20)) {
    constexpr int32_t kOdd[] = {4, 5, 6, 7, -1, 100, INT32_MIN};
    ask.flags = kOdd[prng_.below(7)];
  }
  if ((ask.flags == 2 || ask.flags == 3) && ask.path && ask.path->size() > 50)
    ask.path = plain_path();
  if ((ask.flags == 2 || ask.flags == 3) && ask.path && one_in(3))
    *ask.path += one_in(2) ? "/" : "-";
  return ask;
}

// A flag without TTL gets a TTL of at least 0: Apache logs the others and dies of them.
jute::CreateTTLRequest Generator::ttl_request() {
  jute::CreateRequest plain = create_request(false);
  constexpr int64_t kTtls[] = {1, 1000, 0xff'ffff'ffff, 0x100'0000'0000,
                               0, -1,   INT64_MAX,      INT64_MIN};
  jute::CreateTTLRequest ask;
  ask.path = plain.path;
  ask.data = plain.data;
  ask.acl = plain.acl;
  ask.flags =
      one_in(8) ? static_cast<int32_t>(prng_.below(9)) : 5 + static_cast<int32_t>(prng_.below(2));
  ask.ttl = one_in(2) ? 1'000'000 : kTtls[prng_.below(8)];
  if (ask.flags != 5 && ask.flags != 6 && ask.ttl < 0) ask.ttl = 10;
  return ask;
}

// ------------------------------------------------------------------------------------- operations

Step Generator::operation(int place, int64_t last_zxid, bool& ends_batch) {
  Step step = one_in(2) ? read(place, last_zxid) : write(place, ends_batch);
  if (one_in(60)) step = garbage(place, std::move(step));
  return step;
}

Step Generator::read(int place, int64_t last_zxid) {
  bool watch = one_in(3);
  auto with_watch = [&](OpCode type) {
    jute::GetDataRequest ask;
    ask.path = path();
    ask.watch = watch;
    return request(place, type, encoded(ask));
  };
  auto with_path = [&](OpCode type) {
    jute::SyncRequest ask;
    ask.path = path();
    return request(place, type, encoded(ask));
  };
  switch (prng_.below(22)) {
    case 0:
    case 1:
    case 2:
      return with_watch(OpCode::exists);
    case 3:
    case 4:
    case 5:
      return with_watch(OpCode::get_data);
    case 6:
    case 7:
      return with_watch(OpCode::get_children);
    case 8:
    case 9:
      return with_watch(OpCode::get_children2);
    case 10:
    case 11:
      return with_path(OpCode::get_acl);
    case 12:
      return with_path(OpCode::sync);
    case 13:
      return with_path(OpCode::get_all_children_number);
    case 14: {
      jute::GetEphemeralsRequest ask;
      ask.prefix_path = one_in(2) ? Text(one_in(2) ? "/" : "/d1") : one_in(3) ? Text(" ") : path();
      return request(place, OpCode::get_ephemerals, encoded(ask));
    }
    case 15:
      return request(place, OpCode::who_am_i, "");
    case 16:
      return request(place, OpCode::multi_read, multi_body(true));
    case 17: {
      Step step = request(place, OpCode::ping, "");
      if (one_in(2)) step.xid = -2;
      return step;
    }
    case 18:
      if (!options_.as_38) {
        jute::AddWatchRequest ask;
        ask.path = path().value_or("/none");  // docs/compat.md
        ask.mode = one_in(10) ? static_cast<int32_t>(prng_.below(5)) - 2
                              : static_cast<int32_t>(prng_.below(2));
        return request(place, OpCode::add_watch, encoded(ask));
      }
      [[fallthrough]];
    case 19:
    case 20: {
      if (options_.as_38) return with_watch(OpCode::exists);
      jute::CheckWatchesRequest ask;
      ask.path = path();
      ask.type = one_in(10) ? static_cast<int32_t>(prng_.below(9)) - 2
                            : static_cast<int32_t>(prng_.between(1, 5));
      return request(place, one_in(2) ? OpCode::check_watches : OpCode::remove_watches,
                     encoded(ask));
    }
    default:
      return watch_list(place, last_zxid);
  }
}

Step Generator::watch_list(int place, int64_t last_zxid) {
  jute::SetWatches2 ask;
  ask.relative_zxid = one_in(4) ? 0 : last_zxid - static_cast<int64_t>(prng_.below(300));
  auto list = [&]() -> std::optional<std::vector<std::string>> {
    if (one_in(40)) return std::nullopt;
    std::vector<std::string> paths;
    for (size_t i = prng_.below(4); i > 0; --i) paths.push_back(path().value_or("/none"));
    return paths;
  };
  ask.data_watches = list();
  ask.exist_watches = list();
  ask.child_watches = list();
  ask.persistent_watches = list();
  ask.persistent_recursive_watches = list();
  Step step = request(place, OpCode::set_watches2, encoded(ask));
  if (options_.as_38 || one_in(2)) {
    jute::SetWatches old{ask.relative_zxid, ask.data_watches, ask.exist_watches, ask.child_watches};
    step.type = static_cast<int32_t>(OpCode::set_watches);
    step.body = encoded(old);
  }
  if (one_in(2)) step.xid = -8;
  return step;
}

Step Generator::create(int place) {
  if (one_in(10)) return request(place, OpCode::create_ttl, encoded(ttl_request()));
  jute::CreateRequest ask = create_request(true);
  if (one_in(10)) {
    if (!one_in(5)) ask.flags = 4;
    return request(place, OpCode::create_container, encoded(ask));
  }
  return request(place, one_in(2) ? OpCode::create : OpCode::create2, encoded(ask));
}

Step Generator::write(int place, bool& ends_batch) {
  uint64_t crowd = alive_.size() > 300 ? 8 : 0;
  switch (prng_.below(20 + crowd)) {
    case 0:
    case 1:
    case 2:
    case 3:
    case 4:
    case 5: {
      Step step = create(place);
      // While it is not applied, Apache takes a createContainer's flags for what it made; later,
      // its type.
      ends_batch = step.type == static_cast<int32_t>(OpCode::create_container) &&
                   !step.body.ends_with('\x04');
      return step;
    }
    case 6:
    case 7:
    case 8:
    case 9: {
      jute::SetDataRequest ask;
      ask.path = path();
      ask.data = data();
      ask.version = version();
      return request(place, OpCode::set_data, encoded(ask));
    }
    case 10: {
      // What comes behind an unapplied setACL is checked against the old list, or not: a race in
      // Apache.
      ends_batch = true;
      jute::SetACLRequest ask;
      ask.path = path();
      if (ask.path == "/" || ask.path == "" || (ask.path && ask.path->starts_with("/zookeeper")))
        ask.path = "/none";
      ask.acl = acl();
      ask.version = version();
      return request(place, OpCode::set_acl, encoded(ask));
    }
    case 11:
    case 12:
    case 13: {
      // A multi that Apache answers with -5 is not rolled back before it is applied: what comes
      // behind it is judged by changes that never happen, or not.
      null_in_acl_ = false;
      std::string body = multi_body(false);
      ends_batch = ends_batch || null_in_acl_;
      return request(place, OpCode::multi, std::move(body));
    }
    case 14: {
      if (options_.as_38) break;
      jute::DeleteRequest ask;
      ask.path = path();
      std::string body = encoded(ask);
      return request(place, OpCode::delete_container, body.substr(0, body.size() - 4));
    }
    default:
      break;
  }
  jute::DeleteRequest ask;
  ask.path = path();
  ask.version = version();
  return request(place, OpCode::remove, encoded(ask));
}

namespace {
std::optional<std::vector<jute::ACL>> sound_acl(std::optional<std::vector<jute::ACL>> list) {
  if (!list) list.emplace();
  std::erase_if(*list, [](const jute::ACL& acl) { return !acl.id.id || !acl.id.scheme; });
  return list;
}
}  // namespace

std::string Generator::multi_body(bool reads) {
  std::string body;
  jute::MultiHeader header;
  header.err = static_cast<jute::ZkError>(-1);
  Text common = path();
  // 3.8 answers what does not decode otherwise, and trips over nulls before it takes a zxid.
  auto sound = [&](Text text) { return options_.as_38 ? Text(text.value_or("/none")) : text; };
  auto some_path = [&] { return sound(one_in(2) ? common : path()); };
  for (size_t i = prng_.below(one_in(10) ? 40 : 6); i > 0; --i) {
    bool this_reads = reads != (!options_.as_38 && one_in(150));
    std::string one;
    if (this_reads) {
      header.type = one_in(2) ? OpCode::get_data : OpCode::get_children;
      jute::GetDataRequest ask;
      ask.path = some_path();
      ask.watch = one_in(3);
      one = encoded(ask);
    } else {
      switch (prng_.below(8)) {
        case 0:
        case 1:
        case 2: {
          jute::CreateRequest ask = create_request(!options_.as_38 && one_in(20));
          if (one_in(2)) ask.path = common && one_in(2) ? Text(*common + "/m") : common;
          ask.path = sound(ask.path);
          if (options_.as_38) ask.acl = sound_acl(std::move(ask.acl));
          header.type = one_in(2) ? OpCode::create : OpCode::create2;
          if (one_in(8)) {
            ask.flags = 4;
            header.type = OpCode::create_container;
          }
          one = encoded(ask);
          break;
        }
        case 3: {
          header.type = OpCode::create_ttl;
          jute::CreateTTLRequest ask = ttl_request();
          ask.path = sound(ask.path);
          if (options_.as_38) {
            ask.acl = sound_acl(std::move(ask.acl));
            ask.flags = 5;
          }
          one = encoded(ask);
          break;
        }
        case 4: {
          jute::DeleteRequest ask;
          ask.path = some_path();
          ask.version = version();
          header.type = OpCode::remove;
          one = encoded(ask);
          break;
        }
        case 5: {
          jute::CheckVersionRequest ask;
          ask.path = some_path();
          ask.version = version();
          header.type = OpCode::check;
          one = encoded(ask);
          break;
        }
        default: {
          jute::SetDataRequest ask;
          ask.path = some_path();
          ask.data = data();
          ask.version = version();
          header.type = OpCode::set_data;
          one = encoded(ask);
          break;
        }
      }
      if (!options_.as_38 && one_in(200)) {
        constexpr int32_t kForeign[] = {7, 9, 14, 22, 20, 0, 99, -11, -10, 101};
        header.type = static_cast<OpCode>(kForeign[prng_.below(10)]);
      }
    }
    body += encoded(header) + one;
  }
  header.type = OpCode::error;
  header.done = true;
  return body + encoded(header);
}

// A body that is cut, longer than it need be, or anything. A write that does not decode is answered
// with another zxid by 3.8.
Step Generator::garbage(int place, Step step) {
  (void)place;
  auto type = static_cast<OpCode>(step.type);
  bool is_write = type == OpCode::create || type == OpCode::create2 || type == OpCode::create_ttl ||
                  type == OpCode::create_container || type == OpCode::remove ||
                  type == OpCode::set_data || type == OpCode::set_acl || type == OpCode::multi ||
                  type == OpCode::delete_container;
  if (one_in(3)) {
    step.body += std::string(1 + prng_.below(5), static_cast<char>(prng_.below(256)));
    return step;
  }
  if (is_write && options_.as_38) return step;
  // The TTL of a cut body could become one that Apache dies of; cut bodies do not decode at all.
  if (!step.body.empty()) step.body.resize(prng_.below(step.body.size()));
  if (type == OpCode::create_ttl) return step;
  if (one_in(3))
    for (size_t i = 0; i < step.body.size(); ++i)
      if (one_in(4)) step.body[i] = static_cast<char>(prng_.below(256));
  return step;
}

}  // namespace ottla::differential
