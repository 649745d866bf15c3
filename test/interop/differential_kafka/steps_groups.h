// What the steps about groups remember: members, each with a connection of its own.
#pragma once

#include "test/interop/differential_kafka/world.h"

namespace ottla::differential {

struct Steps::Groups {
  enum class State { out, joining, joined, syncing, stable };
  struct Member {
    int conn;
    std::string id;  // a symbol; empty: not given yet
    std::optional<std::string> instance;
    int32_t generation = -1;
    bool leads = false;
    State state = State::out;
    std::vector<std::string> members;  // for the leader
  };
  struct Group {
    std::string name;
    std::vector<Member> members;
    bool rebalancing = false;
    std::string leader;  // as a JoinGroup told last
  };
  std::vector<Group> groups;
};

}  // namespace ottla::differential
