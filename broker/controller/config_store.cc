// Room broker/controller: entity configs. See the header.
#include "broker/controller/config_store.h"

#include <fmt/core.h>

#include <charconv>

#include "common/base/log.h"

namespace ottla::broker {
namespace {

constexpr log::Room kLog{"broker.configs"};
constexpr std::string_view kChangePrefix = "config_change_";

std::optional<int64_t> change_number(std::string_view name) {
  if (!name.starts_with(kChangePrefix)) return std::nullopt;
  name.remove_prefix(kChangePrefix.size());
  int64_t number = 0;
  auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
  if (error != std::errc() || end != name.data() + name.size()) return std::nullopt;
  return number;
}

Error zk_error(std::string_view what, ZkError error) {
  return {error == ZkError::session_expired ? Errc::closed : Errc::io,
          fmt::format("{}: ZooKeeper answered {}", what, jute::error_name(error))};
}

}  // namespace

ConfigStore::ConfigStore(ZkClient& zk, int32_t broker_id, Fn<int64_t()> wall_ms, Told told)
    : zk_(zk), broker_id_(broker_id), wall_ms_(std::move(wall_ms)), told_(std::move(told)) {}
ConfigStore::~ConfigStore() { *alive_ = false; }

void ConfigStore::tell(const std::string& type, const std::string& name, const ZkReply& reply) {
  if (!reply.ok() && reply.error != ZkError::no_node) return;
  auto config = decode_config(reply.data.value_or(""));
  if (!config) {
    log::warn(kLog, "stored config ignored, correct the znode", "entity={}/{} why=\"{}\"", type,
              name, config.error().context);
    config = ConfigMap{};
  }
  // Of a topic that has no config yet nothing is known: it may get one when it is made.
  if (type == "topics" && reply.ok()) topics_.try_emplace(name, false);
  told_(type, name, *config);
}

void ConfigStore::load(Fn<void(Result<void>)> done) {
  std::vector<ZkRequest> lists;
  lists.push_back(ZkRequest::children(zpath::kConfigChanges, true));
  lists.push_back(ZkRequest::children("/config/topics"));
  zk_.submit_all(std::move(lists), [this, alive = alive_,
                                    done = std::move(done)](std::vector<ZkReply> replies) mutable {
    if (!*alive) return;
    for (const ZkReply& reply : replies)
      if (!reply.ok())
        return done(std::unexpected(zk_error("configs cannot be read", reply.error)));
    // What is read below is newer than any notification that stands now.
    for (const std::string& name : replies[0].children)
      if (auto number = change_number(name)) last_change_ = std::max(last_change_, *number);
    std::vector<std::pair<std::string, std::string>> entities = {
        {"brokers", kDefaultEntity}, {"brokers", std::to_string(broker_id_)}};
    for (std::string& topic : replies[1].children)
      entities.emplace_back("topics", std::move(topic));
    std::vector<ZkRequest> gets;
    for (const auto& [type, name] : entities)
      gets.push_back(ZkRequest::get(zpath::config(type, name)));
    zk_.submit_all(std::move(gets), [this, alive, entities = std::move(entities),
                                     done = std::move(done)](std::vector<ZkReply> nodes) mutable {
      if (!*alive) return;
      for (const ZkReply& node : nodes) {
        if (node.error != ZkError::session_expired) continue;
        return done(std::unexpected(zk_error("configs cannot be read", node.error)));
      }
      for (size_t i = 0; i < nodes.size(); ++i)
        tell(entities[i].first, entities[i].second, nodes[i]);
      done({});
    });
  });
}

void ConfigStore::on_changes() {
  zk_.submit(ZkRequest::children(zpath::kConfigChanges, true),
             [this, alive = alive_](ZkReply reply) {
               if (!*alive || !reply.ok()) return;
               process(reply.children);
             });
}

// Carries out the notifications after the last one, in order. They stand for a quarter of an hour,
// and there may be many: what was carried out is not read again.
void ConfigStore::process(const std::vector<std::string>& names) {
  std::map<int64_t, std::string> paths;
  for (const std::string& name : names)
    if (auto number = change_number(name))
      paths.emplace(*number, std::string(zpath::kConfigChanges) + "/" + name);
  std::vector<std::string> known, fresh;
  for (auto& [number, path] : paths)
    (number <= last_change_ ? known : fresh).push_back(std::move(path));
  purge(std::move(known), 0);
  if (fresh.empty()) return;
  last_change_ = paths.rbegin()->first;
  std::vector<ZkRequest> gets;
  for (const std::string& path : fresh) gets.push_back(ZkRequest::get(path));
  zk_.submit_all(std::move(gets), [this, alive = alive_,
                                   paths = std::move(fresh)](std::vector<ZkReply> notes) mutable {
    if (!*alive) return;
    std::vector<std::pair<std::string, std::string>> entities;
    for (size_t i = 0; i < notes.size(); ++i) {
      if (!notes[i].ok()) continue;
      if (is_old(notes[i])) zk_.submit(ZkRequest::remove(paths[i]), [](ZkReply) {});
      auto entity = decode_config_change(notes[i].data.value_or(""));
      size_t slash = entity ? entity->find('/') : std::string::npos;
      if (slash == std::string::npos) continue;
      entities.emplace_back(entity->substr(0, slash), entity->substr(slash + 1));
    }
    std::vector<ZkRequest> configs;
    for (const auto& [type, name] : entities)
      configs.push_back(ZkRequest::get(zpath::config(type, name)));
    if (configs.empty()) return;
    zk_.submit_all(std::move(configs), [this, alive, entities = std::move(entities)](
                                           std::vector<ZkReply> nodes) mutable {
      if (!*alive) return;
      for (size_t i = 0; i < nodes.size(); ++i)
        tell(entities[i].first, entities[i].second, nodes[i]);
    });
  });
}

bool ConfigStore::is_old(const ZkReply& note) {
  return wall_ms_() - note.stat.ctime > kConfigChangeKeepMs;
}

// The oldest first, until one is young.
void ConfigStore::purge(std::vector<std::string> paths, size_t next) {
  if (next == paths.size()) return;
  ZkRequest get = ZkRequest::get(paths[next]);
  zk_.submit(std::move(get),
             [this, alive = alive_, paths = std::move(paths), next](ZkReply note) mutable {
               if (!*alive || (!note.ok() && note.error != ZkError::no_node)) return;
               if (note.ok() && !is_old(note)) return;
               if (note.ok()) zk_.submit(ZkRequest::remove(paths[next]), [](ZkReply) {});
               purge(std::move(paths), next + 1);
             });
}

void ConfigStore::load_topics(const std::vector<std::string>& topics, Fn<void()> done) {
  std::vector<std::string> missing;
  for (const std::string& topic : topics)
    if (!topics_.contains(topic)) missing.push_back(topic);
  if (missing.empty()) return done();
  std::vector<ZkRequest> gets;
  for (const std::string& topic : missing)
    gets.push_back(ZkRequest::get(zpath::config("topics", topic)));
  zk_.submit_all(std::move(gets), [this, alive = alive_, missing = std::move(missing),
                                   done = std::move(done)](std::vector<ZkReply> nodes) mutable {
    if (!*alive) return;
    for (size_t i = 0; i < nodes.size(); ++i) tell("topics", missing[i], nodes[i]);
    done();
  });
}

void ConfigStore::know_topic(const std::string& topic, const ConfigMap& config) {
  topics_[topic] = false;
  told_("topics", topic, config);
}

// A name that comes back later is another topic, with another config; whoever was told of this
// one's need not remember it.
void ConfigStore::forget_deleted(const MetadataImage& image) {
  for (auto it = topics_.begin(); it != topics_.end();) {
    bool present = image.topic(it->first) != nullptr;
    if (!present && it->second) {
      std::string gone = it->first;
      it = topics_.erase(it);
      told_("topics", gone, {});
      continue;
    }
    it->second |= present;
    ++it;
  }
}

void ConfigStore::read(const std::string& type, const std::string& name,
                       Fn<void(Result<ConfigMap>)> done) {
  zk_.submit(ZkRequest::get(zpath::config(type, name)),
             [done = std::move(done)](ZkReply reply) mutable {
               if (reply.error == ZkError::no_node) return done(ConfigMap{});
               if (!reply.ok())
                 return done(std::unexpected(zk_error("a config cannot be read", reply.error)));
               done(decode_config(reply.data.value_or("")));
             });
}

void ConfigStore::read_all(const std::string& type, const std::string& below,
                           Fn<void(Result<std::map<std::string, ConfigMap>>)> done) {
  auto get_all = [this, alive = alive_](const std::string& type, std::vector<std::string> names,
                                        Fn<void(Result<std::map<std::string, ConfigMap>>)> done) {
    std::vector<ZkRequest> gets;
    for (const std::string& name : names) gets.push_back(ZkRequest::get(zpath::config(type, name)));
    if (gets.empty()) return done(std::map<std::string, ConfigMap>());
    zk_.submit_all(std::move(gets), [type, names = std::move(names),
                                     done = std::move(done)](std::vector<ZkReply> nodes) mutable {
      std::map<std::string, ConfigMap> all;
      for (size_t i = 0; i < nodes.size(); ++i) {
        if (nodes[i].error == ZkError::no_node) continue;
        if (!nodes[i].ok())
          return done(std::unexpected(zk_error("a config cannot be read", nodes[i].error)));
        auto config = decode_config(nodes[i].data.value_or(""));
        // One entity's znode that nobody can read hides that entity alone.
        if (!config)
          log::warn(kLog, "stored config ignored, correct the znode", "entity={}/{} why=\"{}\"",
                    type, names[i], config.error().context);
        else
          all[names[i]] = std::move(*config);
      }
      done(std::move(all));
    });
  };
  zk_.submit(
      ZkRequest::children("/config/" + type),
      [this, alive = alive_, type, below, get_all, done = std::move(done)](ZkReply list) mutable {
        if (!*alive) return;
        if (!list.ok() && list.error != ZkError::no_node)
          return done(std::unexpected(zk_error("configs cannot be listed", list.error)));
        if (below.empty()) return get_all(type, std::move(list.children), std::move(done));
        if (list.children.empty()) return done(std::map<std::string, ConfigMap>());
        std::vector<ZkRequest> lists;
        for (const std::string& name : list.children)
          lists.push_back(ZkRequest::children(zpath::config(type, name) + "/" + below));
        zk_.submit_all(std::move(lists),
                       [alive, type, below, get_all, parents = std::move(list.children),
                        done = std::move(done)](std::vector<ZkReply> found) mutable {
                         if (!*alive) return;
                         std::vector<std::string> names;
                         for (size_t i = 0; i < found.size(); ++i)
                           for (const std::string& child : found[i].children)
                             names.push_back(parents[i] + "/" + below + "/" + child);
                         get_all(type, std::move(names), std::move(done));
                       });
      });
}

void ConfigStore::create_with_parents(std::string path, std::string text,
                                      Fn<void(Result<void>)> done) {
  // "/config" and its types stand since the start.
  std::vector<ZkRequest> creates;
  size_t depth = 0;
  for (size_t i = 1; i < path.size(); ++i)
    if (path[i] == '/' && ++depth >= 3)
      creates.push_back(ZkRequest::create(path.substr(0, i), std::nullopt));
  creates.push_back(ZkRequest::create(path, text));
  zk_.submit_all(std::move(creates), [this, alive = alive_, path, text,
                                      done = std::move(done)](std::vector<ZkReply> made) mutable {
    if (!*alive) return;
    if (made.back().error == ZkError::node_exists) {
      zk_.submit(ZkRequest::set(path, text), [done = std::move(done)](ZkReply reply) mutable {
        if (reply.ok()) return done({});
        done(std::unexpected(zk_error("a config cannot be written", reply.error)));
      });
      return;
    }
    if (made.back().ok()) return done({});
    done(std::unexpected(zk_error("a config cannot be written", made.back().error)));
  });
}

// Guarded by /controller, as every config write: a cluster without controller takes none.
void ConfigStore::put(const std::string& path, const ConfigMap& config,
                      Fn<void(Result<void>)> done) {
  zk_.submit_all(
      {ZkRequest::exists(zpath::kController), ZkRequest::exists(path)},
      [this, alive = alive_, path, text = encode_config(config),
       done = std::move(done)](std::vector<ZkReply> found) mutable {
        if (!*alive) return;
        if (!found[0].ok())
          return done(
              std::unexpected(zk_error("no controller to guard a config write", found[0].error)));
        if (!found[1].ok()) return create_with_parents(path, std::move(text), std::move(done));
        zk_.submit(ZkRequest::multi({ZkRequest::check(zpath::kController, found[0].stat.version),
                                     ZkRequest::set(path, std::move(text))}),
                   [done = std::move(done)](ZkReply reply) mutable {
                     if (reply.ok()) return done({});
                     done(std::unexpected(zk_error("a config cannot be written", reply.error)));
                   });
      });
}

// The children first. What another broker removed meanwhile is gone all the same.
void ConfigStore::remove_tree(std::string path, Fn<void(Result<void>)> done) {
  zk_.submit(ZkRequest::children(path), [this, alive = alive_, path,
                                         done = std::move(done)](ZkReply list) mutable {
    if (!*alive) return;
    auto self = [this, alive, path, done = std::move(done)]() mutable {
      zk_.submit(ZkRequest::remove(path), [done = std::move(done)](ZkReply reply) mutable {
        if (reply.ok() || reply.error == ZkError::no_node) return done({});
        done(std::unexpected(zk_error("a config cannot be removed", reply.error)));
      });
    };
    if (list.children.empty()) return self();
    auto left = std::make_shared<size_t>(list.children.size());
    auto after = std::make_shared<decltype(self)>(std::move(self));
    for (const std::string& child : list.children)
      remove_tree(path + "/" + child, [alive, left, after](Result<void>) {
        if (*alive && --*left == 0) (*after)();
      });
  });
}

// An empty quota entity: its node goes, with the parents that only led to it, unless something
// stands below.
void ConfigStore::clean_or_put(const std::string& type, const std::string& name,
                               Fn<void(Result<void>)> done) {
  std::string path = zpath::config(type, name);
  size_t clients = name.find("/clients/");
  std::string user = clients == std::string::npos ? name : name.substr(0, clients);
  std::string user_path = zpath::config(type, user);
  zk_.submit_all(
      {ZkRequest::children(path), ZkRequest::children(user_path + "/clients"),
       ZkRequest::get(user_path), ZkRequest::children(user_path)},
      [this, alive = alive_, path, user_path, nested = clients != std::string::npos,
       done = std::move(done)](std::vector<ZkReply> found) mutable {
        if (!*alive) return;
        if (!found[0].children.empty()) return put(path, {}, std::move(done));
        std::string doomed = path;
        if (nested && found[1].children.size() == 1 && path.ends_with("/" + found[1].children[0])) {
          doomed = user_path + "/clients";
          auto own = decode_config(found[2].data.value_or(""));
          if (own && own->empty() && found[3].children.size() == 1) doomed = user_path;
        }
        remove_tree(doomed, std::move(done));
      });
}

void ConfigStore::write(const std::string& type, const std::string& name, const ConfigMap& config,
                        Fn<void(Result<void>)> done) {
  auto notify = [this, alive = alive_, type, name, config,
                 done = std::move(done)](Result<void> written) mutable {
    if (!*alive) return;
    if (!written) return done(std::move(written));
    zk_.submit(ZkRequest::create(std::string(zpath::kConfigChanges) + "/config_change_",
                                 encode_config_change(type + "/" + name),
                                 CreateMode::persistent_sequential),
               [this, alive, type, name, config, done = std::move(done)](ZkReply reply) mutable {
                 if (!*alive) return;
                 if (!reply.ok())
                   return done(std::unexpected(
                       zk_error("a config change cannot be announced", reply.error)));
                 if (type == "topics") topics_.try_emplace(name, false);
                 told_(type, name, config);
                 done({});
               });
  };
  bool quota = type == "users" || type == "clients" || type == "ips";
  if (quota && config.empty()) return clean_or_put(type, name, std::move(notify));
  put(zpath::config(type, name), config, std::move(notify));
}

}  // namespace ottla::broker
