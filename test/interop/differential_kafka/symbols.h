// Names for values that each server invents for itself: member ids, topic ids, fetch sessions. A
// run speaks of symbols; a request is made concrete for each server before it is sent, and a reply
// made symbolic before it is compared. A symbol is learned when both servers answered the same
// request.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "test/interop/differential_kafka/message.h"

namespace ottla::differential {

inline constexpr int kServers = 2;  // 0 is Apache's, 1 ours

class Symbols {
 public:
  // Notes what these two replies of one request name.
  void learn(int16_t key, Message& apache, Message& ours);
  void make_concrete(int server, Message& request, int16_t version) const;
  void make_symbolic(int server, Message& reply, int16_t version) const;

  // A piece of text that each server has its own of: its port, its directory.
  void add_own(const std::string& apache, const std::string& ours, const std::string& symbol);
  // The symbol of a topic's id, learned from a reply that names both; false: not seen yet.
  bool topic_id(const std::string& topic, kmsg::Uuid& symbol) const;

 private:
  struct Names {
    std::map<std::string, std::string> texts, uuids;
    std::map<int64_t, int64_t> sessions;
  };
  void learn_member(const std::string& apache, const std::string& ours);
  template <class Members>
  void learn_members(const Members& apache, const Members& ours);
  void learn_topic(const std::string& topic, const kmsg::Uuid& apache, const kmsg::Uuid& ours);
  void learn_session(int32_t apache, int32_t ours);

  Names to_symbol_[kServers], to_value_[kServers];
  std::vector<std::pair<std::string, std::string>> own_[kServers];
  std::map<std::string, kmsg::Uuid> topics_;
  int next_ = 0;
};

}  // namespace ottla::differential
