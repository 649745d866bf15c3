// Side: what the run knows of one of the two servers: its connections, the names it gave to
// sessions, the times of its transactions. Its answers are written here as text in which all that
// may differ between two servers is replaced by what must not. README.md lists what may differ.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "proto/zookeeper/records.h"
#include "test/differential/link.h"
#include "test/differential/step.h"

namespace ottla::differential {

struct Rules {
  bool as_38 = false;  // events of 3.8 carry no zxid
  bool acls_are_sets =
      false;  // somebody has several ids of one scheme: `auth` expands in any order
};

class Side {
 public:
  struct Place {
    std::unique_ptr<Link> link = std::make_unique<Link>();
    int64_t session = 0;  // 0: none
    std::string password;
  };

  Side(std::string side_name, int server_port, Rules rules)
      : name(std::move(side_name)), port(server_port), rules_(rules) {}

  std::string name;
  int port = 0;
  std::vector<Place> places{8};
  int64_t last_zxid = 0;  // the highest that any answer named

  static bool is_event(std::string_view frame);
  std::string event(std::string_view frame);
  std::string reply(const Step& step, std::string_view frame);
  // Takes the session of a ConnectResponse into the place.
  std::string connected(std::string_view frame, Place& place);
  std::string word(std::string_view which);
  std::string session_name(int64_t id) const;
  std::vector<Link*> links();

 private:
  std::string body(const Step& step, wire::Reader& in);
  std::string results(wire::Reader& in);
  std::string stat(wire::Reader& in);
  std::string acls(const std::optional<std::vector<jute::ACL>>& list) const;
  const char* time(int64_t zxid, int64_t ms);
  std::string words_sorted(const std::string& text, bool keep_heads) const;

  Rules rules_;
  std::map<int64_t, std::string> session_names_;
  std::unordered_map<int64_t, int64_t> times_;  // of each zxid
};

// Printable; long texts as length and hash.
std::string shown(const std::optional<std::string>& text);

}  // namespace ottla::differential
