// Answers as text without what may differ.
#include "test/differential/side.h"

#include <algorithm>
#include <set>
#include <sstream>

#include "common/wire/reader.h"
#include "fmt/core.h"

namespace ottla::differential {

using jute::OpCode;

std::string shown(const std::optional<std::string>& text) {
  if (!text) return "null";
  std::string out = "'";
  size_t limit = text->size() > 120 ? 40 : text->size();
  for (size_t i = 0; i < limit; ++i) {
    char c = (*text)[i];
    if (c >= ' ' && c < 127)
      out += c;
    else
      out += fmt::format("\\x{:02x}", static_cast<uint8_t>(c));
  }
  out += "'";
  if (limit == text->size()) return out;
  uint64_t hash = 0xcbf29ce484222325;
  for (char c : *text) hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001b3;
  return fmt::format("{}... {} bytes, hash {:x}", out, text->size(), hash);
}

namespace {

size_t utf8_length(std::string_view text) {
  auto first = static_cast<uint8_t>(text[0]);
  size_t length = first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 0;
  if (length == 0 || length > text.size()) return 0;
  for (size_t i = 1; i < length; ++i)
    if ((static_cast<uint8_t>(text[i]) & 0xc0) != 0x80) return 0;
  return length;
}

// Strings go through Java's, where bytes that are no UTF-8 become U+FFFD, or ? on the way out; ours
// stay as they are. All of them become one ?.
std::string without_foreign_bytes(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    size_t length = utf8_length(text);
    std::string_view unit = text.substr(0, std::max<size_t>(length, 1));
    bool foreign = length == 0 || unit == "\xef\xbf\xbd" || unit == "?";
    if (!foreign || !out.ends_with('?')) out += foreign ? "?" : unit;
    text.remove_prefix(unit.size());
  }
  return out;
}

std::string shown_string(const std::optional<std::string>& text) {
  return text ? shown(without_foreign_bytes(*text)) : shown(text);
}

}  // namespace

bool Side::is_event(std::string_view frame) {
  return frame.size() >= 16 && frame.substr(0, 4) == "\xff\xff\xff\xff";
}

std::vector<Link*> Side::links() {
  std::vector<Link*> all;
  for (Place& place : places)
    if (place.link->is_open()) all.push_back(place.link.get());
  return all;
}

std::string Side::session_name(int64_t id) const {
  if (id == 0) return "0";
  auto it = session_names_.find(id);
  return it == session_names_.end() ? fmt::format("unknown session") : it->second;
}

// A transaction has one time, whoever tells it.
const char* Side::time(int64_t zxid, int64_t ms) {
  if (zxid == 0) return ms == 0 ? "" : " (a time without a transaction)";
  auto [it, fresh] = times_.emplace(zxid, ms);
  return fresh || it->second == ms ? "" : " (another time than said before)";
}

std::string Side::stat(wire::Reader& in) {
  jute::Stat s;
  if (!s.decode(in)) return " (no stat)";
  return fmt::format(" stat{{c={}{} m={}{} v={} cv={} av={} owner={} len={} children={} p={}}}",
                     s.czxid, time(s.czxid, s.ctime), s.mzxid, time(s.mzxid, s.mtime), s.version,
                     s.cversion, s.aversion, session_name(s.ephemeral_owner), s.data_length,
                     s.num_children, s.pzxid);
}

std::string Side::acls(const std::optional<std::vector<jute::ACL>>& list) const {
  if (!list) return " null";
  std::vector<std::string> each;
  for (const jute::ACL& acl : *list)
    each.push_back(
        fmt::format("{}:{}:{}", acl.perms, shown_string(acl.id.scheme), shown_string(acl.id.id)));
  if (rules_.acls_are_sets) std::ranges::sort(each);
  std::string out;
  for (const std::string& one : each) out += " " + one;
  return out;
}

std::string Side::event(std::string_view frame) {
  wire::Reader in(as_bytes(frame));
  jute::ReplyHeader header;
  jute::WatcherEvent event;
  if (!header.decode(in) || !event.decode(in)) return "event that does not decode";
  std::string zxid = rules_.as_38 ? "" : fmt::format(" zxid={}", header.zxid);
  return fmt::format("event type={} state={} path={}{} err={}{}", event.type, event.state,
                     shown_string(event.path), zxid, static_cast<int>(header.err),
                     in.at_end() ? "" : " and more");
}

std::string Side::connected(std::string_view frame, Place& place) {
  wire::Reader in(as_bytes(frame));
  jute::ConnectResponse answer;
  if (!answer.decode(in)) return "connect answer that does not decode";
  std::string password = answer.passwd.value_or("");
  const char* word = "new";
  if (answer.session_id == 0)
    word = password == std::string(16, '\0') ? "zeros" : "not zeros";
  else if (answer.session_id == place.session)
    word = password == place.password ? "the same" : "another";
  if (answer.session_id != 0) {
    session_names_.emplace(answer.session_id, fmt::format("S{}", session_names_.size() + 1));
    place.session = answer.session_id;
    place.password = password;
  }
  return fmt::format(
      "connected version={} timeout={} session={} password={} ({} bytes) read_only={}{}",
      answer.protocol_version, answer.time_out, session_name(answer.session_id), word,
      password.size(), answer.read_only ? (*answer.read_only ? "1" : "0") : "absent",
      in.at_end() ? "" : " and more");
}

std::string Side::reply(const Step& step, std::string_view frame) {
  if (step.verb == Verb::request && static_cast<OpCode>(step.type) == OpCode::create_session &&
      frame.size() >= 36)
    return connected(frame, places[static_cast<size_t>(step.session)]);
  wire::Reader in(as_bytes(frame));
  jute::ReplyHeader header;
  if (!header.decode(in)) return "answer that does not decode";
  last_zxid = std::max(last_zxid, header.zxid);
  std::string out =
      fmt::format("xid={} zxid={} err={}", header.xid, header.zxid, static_cast<int>(header.err));
  if (!in.at_end()) out += body(step, in);
  if (!in.at_end()) out += fmt::format(" and {} bytes more", in.remaining());
  return out;
}

std::string Side::body(const Step& step, wire::Reader& in) {
  auto texts = [](std::optional<std::vector<std::string>> list) {
    if (!list) return std::string(" null");
    std::ranges::sort(*list);
    std::string out = fmt::format(" {}:", list->size());
    for (const std::string& one : *list) out += " " + shown(one);
    return out;
  };
  if (step.verb != Verb::request) return " " + shown(std::string(as_text(in.take(in.remaining()))));
  switch (static_cast<OpCode>(step.type)) {
    case OpCode::create:
    case OpCode::sync: {
      jute::CreateResponse one;
      one.decode(in);
      std::string out = " " + shown_string(one.path);
      return in.at_end() ? out : out + stat(in);
    }
    case OpCode::create2:
    case OpCode::create_container:
    case OpCode::create_ttl: {
      jute::CreateResponse one;
      one.decode(in);
      return " " + shown_string(one.path) + stat(in);
    }
    case OpCode::exists:
    case OpCode::set_data:
    case OpCode::set_acl:
      return stat(in);
    case OpCode::get_data: {
      jute::SetSASLResponse data;
      data.decode(in);
      return " " + shown(data.token) + stat(in);
    }
    case OpCode::get_acl: {
      jute::GetACLResponse answer;
      wire::Reader ahead = in;
      if (!answer.decode(ahead)) return " ACLs that do not decode";
      std::string out = acls(answer.acl);
      in.skip(in.remaining() - ahead.remaining() - 68);
      return out + stat(in);
    }
    case OpCode::get_children:
    case OpCode::get_ephemerals: {
      jute::GetChildrenResponse answer;
      answer.decode(in);
      return texts(answer.children);
    }
    case OpCode::get_children2: {
      jute::GetChildrenResponse answer;
      answer.decode(in);
      return texts(answer.children) + stat(in);
    }
    case OpCode::who_am_i: {
      jute::WhoAmIResponse answer;
      answer.decode(in);
      std::vector<std::string> ids;
      for (const auto& one : answer.client_info.value_or(std::vector<jute::ClientInfo>()))
        ids.push_back(shown_string(one.auth_scheme) + "=" + shown_string(one.user));
      return texts(ids);
    }
    case OpCode::multi:
    case OpCode::multi_read:
      return results(in);
    default:
      return " " + shown(std::string(as_text(in.take(in.remaining()))));
  }
}

std::string Side::results(wire::Reader& in) {
  std::string out;
  for (;;) {
    jute::MultiHeader header;
    if (!header.decode(in)) return out + " (does not decode)";
    out += fmt::format("\n    {} {} {}", static_cast<int>(header.type), header.done,
                       static_cast<int>(header.err));
    if (header.done) return out;
    Step one;
    one.type = static_cast<int32_t>(header.type);
    switch (header.type) {
      case OpCode::error:
        out += fmt::format(" error {}", in.i32());
        break;
      case OpCode::create: {
        jute::CreateResponse created;
        created.decode(in);
        out += " " + shown(created.path);
        break;
      }
      case OpCode::create2:
      case OpCode::set_data:
      case OpCode::get_data:
      case OpCode::get_children:
        out += body(one, in);
        break;
      default:
        break;
    }
  }
}

// ---------------------------------------------------------------------------------- four letters

// Lines under a head (a line that is not indented) become "head | line"; the whole is sorted.
std::string Side::words_sorted(const std::string& text, bool keep_heads) const {
  std::vector<std::string> lines;
  std::istringstream in(text);
  std::string head;
  for (std::string line; std::getline(in, line);) {
    std::string named;
    for (size_t at = 0; at < line.size();) {
      if (constexpr std::string_view kClient = "127.0.0.1:";
          line.compare(at, kClient.size(), kClient) == 0) {
        at = line.find_first_not_of("0123456789", at + kClient.size());
        named += kClient;
        if (at == std::string::npos) break;
        continue;
      }
      if (line.compare(at, 2, "0x") != 0) {
        named += line[at++];
        continue;
      }
      size_t end = at + 2;
      while (end < line.size() && std::isxdigit(static_cast<unsigned char>(line[end]))) ++end;
      auto id = static_cast<int64_t>(
          std::strtoull(line.substr(at + 2, end - at - 2).c_str(), nullptr, 16));
      named += session_names_.contains(id) ? session_name(id) : line.substr(at, end - at);
      at = end;
    }
    if (named.starts_with("\t")) {
      lines.push_back(head + " |" + named);
    } else {
      head = named;
      if (keep_heads) lines.push_back(named);
    }
  }
  std::ranges::sort(lines);
  std::string out;
  for (const std::string& line : lines) out += line + "\n";
  return out;
}

std::string Side::word(std::string_view which) {
  std::string text = without_foreign_bytes(ask_word(port, which));
  auto keep = [&](const std::set<std::string, std::less<>>& starts, char until) {
    std::istringstream in(text);
    std::string out;
    for (std::string line; std::getline(in, line);)
      if (starts.contains(line.substr(0, line.find(until)))) out += line + "\n";
    return out;
  };
  if (which == "srvr") return keep({"Outstanding", "Zxid", "Mode", "Node count"}, ':');
  if (which == "mntr")
    return words_sorted(
        keep({"zk_server_state", "zk_ephemerals_count", "zk_num_alive_connections",
              "zk_watch_count", "zk_znode_count", "zk_global_sessions", "zk_outstanding_requests"},
             '\t'),
        true);
  if (which == "dump") {
    // When each session expires is a time; which there are, is not. Apache goes on to list sessions
    // whose ephemerals are all gone, and connections that closed while a thread was reading them;
    // cons has those that live.
    std::istringstream in(text);
    std::string out;
    for (std::string line; std::getline(in, line);)
      if (line.find(" expire at ") == std::string::npos &&
          line.find("Session Sets") == std::string::npos &&
          line.find("Connections Sets") == std::string::npos &&
          line.find("ip: /") == std::string::npos)
        out += line + "\n";
    return words_sorted(out, false);
  }
  if (which == "cons") {
    // Times left out; and queued, which leaks in Apache with each ping that has an xid of its own.
    std::istringstream in(text);
    std::string out;
    for (std::string line; std::getline(in, line);) {
      std::string kept;
      for (const char* key : {"recved=", "sent=", "sid=", "lop=", "to=", "lcxid=", "lzxid="}) {
        size_t at = line.find(key);
        if (at == std::string::npos) continue;
        kept += line.substr(at, line.find_first_of(",)", at) - at) + " ";
      }
      if (line.find("sid=") != std::string::npos) out += kept + "\n";
    }
    return words_sorted(out, true);
  }
  // Which connections watch: Apache counts and names those whose watches are all spent, too.
  if (which == "wchs") return text.substr(std::min(text.find(" watching "), text.size()));
  if (which == "wchc") return words_sorted(text, false);
  if (which == "isro" || which == "ruok") return text;
  return words_sorted(text, true);
}

}  // namespace ottla::differential
