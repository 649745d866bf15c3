// ConfigStore: the entity configs in /config, kept current through /config/changes. Tells each
// topic's and broker's config at its first load and after every change; other entities' too, when
// they change. Runs on the broker's loop over a ZkClient. Source: KIP-226, ZkConfigManager
// (behaviour).
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "broker/metadata/metadata_image.h"
#include "broker/zk/zk_client.h"
#include "broker/zk/znodes.h"
#include "common/base/fn.h"
#include "common/base/result.h"

namespace ottla::broker {

inline constexpr int64_t kConfigChangeKeepMs = 15 * 60 * 1000;

class ConfigStore {
 public:
  using Told =
      std::function<void(const std::string& type, const std::string& name, const ConfigMap&)>;
  ConfigStore(ZkClient& zk, int32_t broker_id, Fn<int64_t()> wall_ms, Told told);
  ~ConfigStore();

  // Reads every topic's config, this broker's and the brokers' default, and begins to watch for
  // changes. Again after a new session: with the old one a write may have ended between a config
  // and its notification, and notifications may have been purged meanwhile.
  void load(Fn<void(Result<void>)> done);
  void on_changes();  // the watch on /config/changes fired
  void load_topics(const std::vector<std::string>& topics, Fn<void()> done);
  void know_topic(const std::string& topic, const ConfigMap& config);  // written by this broker
  void forget_deleted(const MetadataImage& image);

  // As stored now; empty when nothing is.
  void read(const std::string& type, const std::string& name, Fn<void(Result<ConfigMap>)> done);
  // Every entity of a type with its config, by name as it stands in the path. With `below`, those
  // under each of them: type "users", below "clients" gives "U/clients/C".
  void read_all(const std::string& type, const std::string& below,
                Fn<void(Result<std::map<std::string, ConfigMap>>)> done);
  // Replaces an entity's config (guarded by /controller), leaves the notification and tells it
  // here at once. A user, client or address whose config becomes empty is removed when nothing
  // stands below it.
  void write(const std::string& type, const std::string& name, const ConfigMap& config,
             Fn<void(Result<void>)> done);

 private:
  void tell(const std::string& type, const std::string& name, const ZkReply& reply);
  void process(const std::vector<std::string>& names);
  bool is_old(const ZkReply& note);
  void purge(std::vector<std::string> paths, size_t next);
  void put(const std::string& path, const ConfigMap& config, Fn<void(Result<void>)> done);
  void create_with_parents(std::string path, std::string text, Fn<void(Result<void>)> done);
  void clean_or_put(const std::string& type, const std::string& name, Fn<void(Result<void>)> done);
  void remove_tree(std::string path, Fn<void(Result<void>)> done);

  ZkClient& zk_;
  int32_t broker_id_;
  Fn<int64_t()> wall_ms_;
  Told told_;
  int64_t last_change_ = -1;            // number of the last notification carried out
  std::map<std::string, bool> topics_;  // known ones; true: was seen in the metadata
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace ottla::broker
