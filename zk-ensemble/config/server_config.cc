#include "zk-ensemble/config/server_config.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <iterator>
#include <optional>

#include "common/config/table.h"

namespace ottla::zk {
namespace {

using config::Properties;

constexpr std::string_view kPrefix = "zookeeper.";
// A century: in nanoseconds still a time.
constexpr int32_t kPurgeIntervalMaxH = 1'000'000;

bool is_membership_key(std::string_view key) {
  return key.starts_with("server.") || key.starts_with("group.") || key.starts_with("weight.");
}
// Keys of parts not built here, by family.
bool is_later_family(std::string_view key) {
  return key.starts_with("ssl.") || key.starts_with("authProvider.") || key.starts_with("sasl.") ||
         key.starts_with("kerberos.") || key.starts_with("observer.") || key.starts_with("leader.") ||
         key.starts_with("follower.") || key.starts_with("netty.") || key.starts_with("java.");
}

Result<void> set_overrides(const std::vector<std::string>& overrides, Properties& into) {
  for (const std::string& text : overrides) {
    size_t equals = text.find('=');
    if (equals == 0)
      return fail(Errc::invalid, fmt::format("-D{}: must be KEY=VALUE", text));
    std::string key = text.substr(0, equals);
    if (key.starts_with(kPrefix)) key.erase(0, kPrefix.size());
    into.set(key, equals == std::string::npos ? "" : text.substr(equals + 1), "-D");
  }
  return {};
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// server.N=host:quorumPort:electionPort[:role][;[clientHost:]clientPort]
struct Members {
  int voters = 0;
  int observers = 0;
  std::string client_part;  // of the last line
};
Members members_of(const Properties& properties) {
  Members members;
  for (const Properties::Entry& entry : properties.entries()) {
    if (!entry.key.starts_with("server.")) continue;
    std::string_view value = trimmed(entry.value);
    size_t semicolon = value.find(';');
    std::string_view address = value.substr(0, semicolon);
    if (address.ends_with(":observer")) {
      ++members.observers;
    } else {
      ++members.voters;
    }
    if (semicolon != std::string_view::npos) members.client_part = value.substr(semicolon + 1);
  }
  return members;
}

Result<void> check_membership(const Properties& properties, ServerConfig& config,
                              const std::string& source) {
  Members members = members_of(properties);
  const char* remedy = "keep one server.N line, or none, to run standalone";
  if (members.voters > 1) {
    return fail(Errc::unsupported,
                fmt::format("{}: {} voting server.N lines make a quorum, which this version does not "
                            "run yet; {}", source, members.voters, remedy));
  }
  if (members.observers > 0) {
    return fail(Errc::invalid, fmt::format("{}: server.N lines name {} observers but {} voter; {}", source,
                                           members.observers, members.voters, remedy));
  }
  if (properties.get("dynamicConfigFile")) {
    return fail(Errc::unsupported, fmt::format("{}: dynamicConfigFile makes a quorum, which this version "
                                               "does not run yet; {}", source, remedy));
  }
  if (properties.get("standaloneEnabled") == "false") {
    return fail(Errc::unsupported, fmt::format("{}: standaloneEnabled=false makes a quorum, which this "
                                               "version does not run yet; remove it", source));
  }
  if (!config.client_port && !members.client_part.empty()) {
    size_t colon = members.client_part.rfind(':');
    std::string port = members.client_part.substr(colon == std::string::npos ? 0 : colon + 1);
    config::KeyInfo info{.name = "clientPort", .type = config::Type::int32, .min = 1, .max = 65535};
    auto value = config::parse_value(info, port);
    if (!value) {
      return fail(Errc::invalid, fmt::format("{}: server.N: client port \"{}\": {}", source, port,
                                             value.error().context));
    }
    config.client_port = static_cast<int32_t>(std::get<int64_t>(*value));
    if (colon != std::string::npos) config.client_port_address = members.client_part.substr(0, colon);
  }
  return {};
}

Result<void> check_whole(ServerConfig& config, const std::string& source) {
  if (config.data_dir.empty())
    return fail(Errc::invalid, fmt::format("{}: dataDir is not set; it must be a directory", source));
  while (config.data_dir.size() > 1 && config.data_dir.ends_with('/')) config.data_dir.pop_back();
  while (config.data_log_dir.size() > 1 && config.data_log_dir.ends_with('/'))
    config.data_log_dir.pop_back();
  if (!config.client_port)
    return fail(Errc::invalid, fmt::format("{}: clientPort is not set; it must be a port", source));
  auto ticks = [&](int64_t count) {
    return static_cast<int32_t>(std::min<int64_t>(count * config.tick_time_ms, INT32_MAX));
  };
  if (config.min_session_timeout_ms == -1) config.min_session_timeout_ms = ticks(2);
  if (config.max_session_timeout_ms == -1) config.max_session_timeout_ms = ticks(20);
  if (config.min_session_timeout_ms > config.max_session_timeout_ms) {
    return fail(Errc::invalid,
                fmt::format("{}: minSessionTimeout={}: must not be larger than maxSessionTimeout={}",
                            source, config.min_session_timeout_ms, config.max_session_timeout_ms));
  }
  config.snap_count = std::max(config.snap_count, 2);
  config.snap_retain_count = std::max(config.snap_retain_count, 3);
  config.purge_interval_h = std::min(config.purge_interval_h, kPurgeIntervalMaxH);
  config.snap_size_limit_kb = std::min(config.snap_size_limit_kb, INT64_MAX >> 10);
  return {};
}

// What keeps clients out is enforced or refused at the start, never passed over with a warning.
Result<void> check_enforcement(ServerConfig& config, const std::string& source) {
  if (config.require_sasl) {
    return fail(Errc::unsupported,
                fmt::format("{}: sessionRequireClientSASLAuth=true: authentication scheme sasl is not available in "
                            "this version; remove it to serve all, or set enforce.auth.enabled=true and "
                            "enforce.auth.schemes=digest", source));
  }
  if (!config.enforce_auth) return {};
  std::string_view rest = config.enforce_schemes_text;
  while (!rest.empty()) {
    size_t comma = std::min(rest.find(','), rest.size());
    std::string scheme(trimmed(rest.substr(0, comma)));
    rest.remove_prefix(std::min(comma + 1, rest.size()));
    bool available = scheme == "ip" || (scheme == "digest" && config.digest_auth_enabled);
    if (!available) {
      return fail(Errc::unsupported, fmt::format("{}: enforce.auth.schemes={}: authentication scheme {} is not "
                                                 "available; use digest or ip", source,
                                                 config.enforce_schemes_text, scheme));
    }
    config.enforce_schemes.push_back(std::move(scheme));
  }
  if (config.enforce_schemes.empty()) {
    return fail(Errc::invalid, fmt::format("{}: enforce.auth.enabled=true: enforce.auth.schemes must be set, to "
                                           "digest or ip", source));
  }
  return {};
}

// Apache's way with values outside of a range it checks: the default.
void correct_large_requests(ServerConfig& config) {
  if (config.large_request_max_bytes <= 0) config.large_request_max_bytes = ServerConfig().large_request_max_bytes;
  if (config.large_request_threshold <= 0) config.large_request_threshold = -1;
}

// 0x10, #10 and 020, which Java's system properties may be; the file's own numbers are decimal.
std::optional<std::string> decimal_of(std::string_view key, std::string_view text) {
  static constexpr std::string_view kDecimal[] = {
      "tickTime", "clientPort", "clientPortListenBacklog", "maxClientCnxns", "minSessionTimeout",
      "maxSessionTimeout", "autopurge.snapRetainCount", "autopurge.purgeInterval", "metricsProvider.httpPort"};
  if (std::ranges::find(kDecimal, key) != std::end(kDecimal)) return std::nullopt;
  std::string_view sign = text.substr(0, text.starts_with('-') || text.starts_with('+') ? 1 : 0);
  std::string_view digits = text.substr(sign.size());
  int base = 16;
  if (digits.starts_with("0x") || digits.starts_with("0X")) {
    digits.remove_prefix(2);
  } else if (digits.starts_with('#')) {
    digits.remove_prefix(1);
  } else if (digits.size() > 1 && digits.starts_with('0')) {
    base = 8;
  } else {
    return std::nullopt;
  }
  uint64_t value = 0;
  auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value, base);
  if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  return fmt::format("{}{}", sign == "-" ? "-" : "", value);
}

// What Java makes of values that the table would refuse. Not of those that keep clients out: what is no
// yes there may not be taken for a no.
Properties as_java_reads(const Properties& given, std::vector<std::string>& warnings) {
  Properties read;
  for (const Properties::Entry& entry : given.entries()) {
    std::string value = entry.value;
    for (const auto& row : server_keys()) {
      if (entry.key != row.info.name) continue;
      bool integer = row.info.type == config::Type::int32 || row.info.type == config::Type::int64;
      if (integer) value = decimal_of(entry.key, value).value_or(value);
      bool lenient = row.info.type == config::Type::boolean && !value.empty() && entry.key != "enforce.auth.enabled" &&
                     entry.key != "sessionRequireClientSASLAuth";
      if (!lenient || config::parse_value(row.info, value)) continue;
      warnings.push_back(fmt::format("{}: {}={} is neither true nor false, and taken for false", entry.source,
                                     entry.key, value));
      value = "false";
    }
    read.set(entry.key, value, entry.source, entry.line);
  }
  return read;
}

Result<LoadedConfig> finish(const Properties& properties, const std::string& source) {
  LoadedConfig loaded;
  std::vector<std::string> read_otherwise;
  Properties read = as_java_reads(properties, read_otherwise);
  OTTLA_ASSIGN(loaded.warnings,
               config::load(server_keys(), read, loaded.config, [](std::string_view key) {
                 return is_membership_key(key) || is_later_family(key) || key == "dynamicConfigFile";
               }));
  for (const Properties::Entry& entry : properties.entries()) {
    if (is_later_family(entry.key))
      loaded.warnings.push_back(
          fmt::format("{}: {} is known but has no effect in this version", entry.source, entry.key));
  }
  std::ranges::move(read_otherwise, std::back_inserter(loaded.warnings));
  OTTLA_TRY(check_enforcement(loaded.config, source));
  correct_large_requests(loaded.config);
  for (const Properties::Entry& entry : properties.entries())
    loaded.config.settings.emplace_back(entry.key, entry.value);
  OTTLA_TRY(check_membership(properties, loaded.config, source));
  OTTLA_TRY(check_whole(loaded.config, source));
  return loaded;
}

}  // namespace

Result<LoadedConfig> load_config(std::string_view text, const std::string& source,
                                 const std::vector<std::string>& overrides) {
  OTTLA_ASSIGN(Properties file, Properties::parse(text, source));
  Properties all;
  OTTLA_TRY(set_overrides(overrides, all));
  for (const Properties::Entry& entry : file.entries()) {
    std::string key(trimmed(entry.key));
    if (key.starts_with(kPrefix)) key.erase(0, kPrefix.size());
    all.set(key, std::string(trimmed(entry.value)), entry.source, entry.line);
  }
  OTTLA_ASSIGN(LoadedConfig loaded, finish(all, source));
  loaded.config.initial_text = text;
  return loaded;
}

Result<LoadedConfig> config_of_arguments(const std::vector<std::string>& arguments,
                                         const std::vector<std::string>& overrides) {
  static constexpr const char* kKeysInOrder[] = {"clientPort", "dataDir", "tickTime", "maxClientCnxns"};
  if (arguments.size() < 2 || arguments.size() > 4)
    return fail(Errc::invalid, "usage: FILE, or PORT DATADIR [TICKTIME [MAXCLIENTCNXNS]]");
  Properties all;
  OTTLA_TRY(set_overrides(overrides, all));
  for (size_t i = 0; i < arguments.size(); ++i) all.set(kKeysInOrder[i], arguments[i], "command line");
  return finish(all, "command line");
}

}  // namespace ottla::zk
