// A step of a differential run: what is done on one session of both servers at once. As text it is
// one line, so that a run can be recorded, cut down by hand or by program, and played again.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ottla::differential {

enum class Verb {
  connect,    // a new session: number = timeout, flag = read-only byte (-1: not sent)
  resume,     // the session again on a new connection, which ends an old one
  intrude,    // resume with a wrong password: refused, and the old connection ends all the same
  ahead,      // a new session that claims to have seen the future
  drop,       // the connection is cut without a word
  request,    // xid, opcode, body
  raw_frame,  // a frame of these bytes in the place of a request
  raw_first,  // these bytes, unframed, on a connection of their own
  words,      // four-letter words are compared
};

struct Step {
  Verb verb = Verb::request;
  int session = 0;  // which of the client's places
  int32_t xid = 0;
  int32_t type = 0;
  std::string body;
  int32_t number = 0;
  int flag = 0;
  // Alone: nothing is outstanding when it is sent, and a ping asks afterwards whether the
  // connection lived. What Apache decides on another thread than the rest must be alone to be
  // repeatable.
  bool alone = false;
  bool last = false;  // of its batch
};

std::string to_line(const Step& step);
std::optional<Step> from_line(std::string_view line);
// For people: the operation with its fields.
std::string describe(const Step& step);

}  // namespace ottla::differential
