// What a run knows of the cluster's state, so that its requests mean something: topics with their
// leos, groups, producers, fetch sessions. Drawn from by the filler and by the steps.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "test/interop/differential_kafka/run.h"

namespace ottla::differential {

struct Topic {
  std::string name;
  int partitions = 1;
  std::vector<int64_t> leo;  // as far as produce answers told
  bool fixed = true;         // made at the start, stays
  // With a codec of its own: how large a batch is differs by library.
  bool recompressed = false;
};

struct World {
  std::vector<Topic> topics;
  std::vector<std::string> groups;
  // Without members, all of them.
  std::vector<std::string> strangers = {"", "nobody-0", "nobody-1", "nobody-2"};
  int made = 0;                  // names given so far
  int32_t group_partitions = 1;  // of __consumer_offsets
  // Of records: the hour before this one, so that nothing expires. The same for all of a run.
  int64_t start_ms = 0, clock_ms = 0;

  Topic& any_topic(Prng& prng) { return topics[prng.below(topics.size())]; }
  Topic* find(const std::string& name) {
    for (Topic& t : topics)
      if (t.name == name) return &t;
    return nullptr;
  }
  // Mostly a topic that is there; else one that is not, or no topic's name.
  std::string topic_name(Prng& prng);
  int32_t partition(Prng& prng);
  int64_t offset(Prng& prng);
  std::string group(Prng& prng);
  int32_t partition_of_group(const std::string& group) const;
};

// A number of the kind that breaks things, when it is not an ordinary one.
template <class T>
T pick(Prng& prng, std::initializer_list<T> values) {
  return values.begin()[prng.below(values.size())];
}

// Fills a request with what its fields' names mean in this world.
void fill(Message& request, int16_t key, int16_t version, World& world, Run& run);

// The steps. Each sends one request or a few that belong together.
struct Steps {
  explicit Steps(Run& run);
  ~Steps();
  void set_up();
  void one();
  void finish();

  Run& run;
  World world;
  // Versions that both servers speak, by key.
  std::map<int16_t, std::pair<int16_t, int16_t>> versions;
  int16_t version(int16_t key);
  bool speaks(int16_t key) const { return versions.contains(key); }

  void generic();
  void produce();
  void fetch();
  void init_producer();
  void groups();
  void create_topics();
  void delete_topics();
  void create_partitions();
  void frames();
  void settle_topic(const std::string& name);
  void settle_deleted(const std::string& name);
  void settle_configs();
  void settle_epochs();
  void add_topic(const std::string& name, bool recompressed);
  void read_whole(const std::string& name, int partition);

 private:
  struct Records;
  struct Groups;
  std::unique_ptr<Records> records_;
  std::unique_ptr<Groups> groups_;
  std::vector<int16_t> generic_;
  int64_t config_marks_ = 0;
};

}  // namespace ottla::differential
