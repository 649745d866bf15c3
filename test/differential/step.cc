// Steps as lines of a script, and in words.
#include "test/differential/step.h"

#include <sstream>

#include "common/wire/describer.h"
#include "common/wire/reader.h"
#include "fmt/core.h"
#include "proto/zookeeper/opcodes.h"
#include "proto/zookeeper/records.h"

namespace ottla::differential {

namespace {

constexpr const char* kVerbs[] = {"connect", "resume", "intrude", "ahead", "drop",
                                  "request", "frame",  "first",   "words"};

std::string hex(std::string_view bytes) {
  std::string out;
  for (char c : bytes) out += fmt::format("{:02x}", static_cast<uint8_t>(c));
  return out.empty() ? "-" : out;
}

std::string unhex(std::string_view text) {
  auto digit = [](char c) { return c <= '9' ? c - '0' : c - 'a' + 10; };
  std::string out;
  for (size_t i = 0; i + 1 < text.size(); i += 2)
    out += static_cast<char>(digit(text[i]) * 16 + digit(text[i + 1]));
  return out;
}

template <class Record>
std::string told(std::string_view body) {
  Record record;
  wire::Reader in(as_bytes(body));
  if (!record.decode(in)) return "undecodable " + hex(body.substr(0, 200));
  return record.describe() + (in.at_end() ? "" : " and more");
}

std::string describe_multi(std::string_view body) {
  std::string out = "multi";
  wire::Reader in(as_bytes(body));
  for (;;) {
    jute::MultiHeader header;
    if (!header.decode(in)) return out + " undecodable " + hex(body.substr(0, 200));
    if (header.done) return out;
    auto add = [&]<class Record>(Record record) {
      bool good = record.decode(in);
      out += fmt::format("\n    {} {}", jute::op_name(header.type), good ? record.describe() : "?");
      return good;
    };
    bool good = false;
    switch (header.type) {
      case jute::OpCode::create:
      case jute::OpCode::create2:
      case jute::OpCode::create_container:
        good = add(jute::CreateRequest());
        break;
      case jute::OpCode::create_ttl:
        good = add(jute::CreateTTLRequest());
        break;
      case jute::OpCode::remove:
        good = add(jute::DeleteRequest());
        break;
      case jute::OpCode::set_data:
        good = add(jute::SetDataRequest());
        break;
      case jute::OpCode::check:
        good = add(jute::CheckVersionRequest());
        break;
      case jute::OpCode::get_data:
        good = add(jute::GetDataRequest());
        break;
      case jute::OpCode::get_children:
        good = add(jute::GetChildrenRequest());
        break;
      default:
        break;
    }
    if (!good)
      return out + fmt::format("\n    type {} {}", static_cast<int>(header.type),
                               hex(body.substr(0, 200)));
  }
}

std::string describe_body(int32_t type, std::string_view body) {
  using jute::OpCode;
  switch (static_cast<OpCode>(type)) {
    case OpCode::create:
    case OpCode::create2:
    case OpCode::create_container:
      return told<jute::CreateRequest>(body);
    case OpCode::create_ttl:
      return told<jute::CreateTTLRequest>(body);
    case OpCode::remove:
      return told<jute::DeleteRequest>(body);
    case OpCode::exists:
    case OpCode::get_data:
    case OpCode::get_children:
    case OpCode::get_children2:
      return told<jute::GetDataRequest>(body);
    case OpCode::set_data:
      return told<jute::SetDataRequest>(body);
    case OpCode::set_acl:
      return told<jute::SetACLRequest>(body);
    case OpCode::add_watch:
      return told<jute::AddWatchRequest>(body);
    case OpCode::check_watches:
    case OpCode::remove_watches:
      return told<jute::CheckWatchesRequest>(body);
    case OpCode::set_watches:
      return told<jute::SetWatches>(body);
    case OpCode::set_watches2:
      return told<jute::SetWatches2>(body);
    case OpCode::auth:
      return "type, scheme, auth " + hex(body);
    case OpCode::multi:
    case OpCode::multi_read:
      return describe_multi(body);
    case OpCode::get_acl:
    case OpCode::sync:
    case OpCode::get_all_children_number:
    case OpCode::get_ephemerals:
      return told<jute::SyncRequest>(body);
    default:
      return hex(body.substr(0, 200));
  }
}

}  // namespace

std::string to_line(const Step& step) {
  return fmt::format("{} {} {} {} {} {} {}{} {}", kVerbs[static_cast<int>(step.verb)], step.session,
                     step.xid, step.type, step.number, step.flag, step.alone ? "alone" : "-",
                     step.last ? "." : "", hex(step.body));
}

std::optional<Step> from_line(std::string_view line) {
  std::istringstream in{std::string(line)};
  std::string verb, alone, body;
  Step step;
  if (!(in >> verb >> step.session >> step.xid >> step.type >> step.number >> step.flag >> alone >>
        body))
    return std::nullopt;
  for (int i = 0; i < static_cast<int>(std::size(kVerbs)); ++i)
    if (verb == kVerbs[i]) step.verb = static_cast<Verb>(i);
  step.alone = alone.starts_with("alone");
  step.last = alone.ends_with(".");
  if (body != "-") step.body = unhex(body);
  return step;
}

std::string describe(const Step& step) {
  std::string who = fmt::format("place {} {}", step.session, kVerbs[static_cast<int>(step.verb)]);
  if (step.verb != Verb::request)
    return fmt::format("{} number={} flag={} {}", who, step.number, step.flag,
                       hex(step.body.substr(0, 200)));
  return fmt::format("{} xid={} {}({}){} {}", who, step.xid,
                     jute::op_name(static_cast<jute::OpCode>(step.type)), step.type,
                     step.alone ? " alone" : "", describe_body(step.type, step.body));
}

}  // namespace ottla::differential
