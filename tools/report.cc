#include "tools/report.h"

#include <fmt/core.h>
#include <time.h>

#include <cstdio>

#include "tools/tools.h"

namespace ottla::tools {

const char kToolVersion[] = "3.9.1 (ottla 0.1.0)";

int usage(const OptionParser& parser, std::string_view message) {
  fmt::print(stderr, "{}\n{}", message, parser.help());
  return 1;
}

void log_line(std::string_view level, std::string_view message, std::string_view logger) {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  tm local{};
  ::localtime_r(&now.tv_sec, &local);
  char stamp[32];
  (void)::strftime(stamp, sizeof stamp, "%Y-%m-%d %H:%M:%S", &local);
  fmt::print(stderr, "[{},{:03}] {} {} ({})\n", stamp, now.tv_nsec / 1'000'000, level, message,
             logger);
}

void log_failure(const Failure& failure, std::string_view logger) {
  log_line("ERROR", fmt::format("{}: {}\n", failure.exception, failure.message), logger);
}

std::optional<int> help_or_version(const OptionParser& parser, const Options& options, bool no_args,
                                   std::string_view about) {
  if (no_args || options.has("help")) return usage(parser, about);
  if (options.has("version")) {
    fmt::print("{}\n", kToolVersion);
    return 0;
  }
  return std::nullopt;
}

Outcome<AdminClient::Config> client_config(const Options& options) {
  AdminClient::Config config;
  std::string bootstrap = options.value("bootstrap-server");
  if (options.has("command-config")) {
    auto properties = load_properties(options.value("command-config"));
    if (!properties)
      return std::unexpected(Failure{"java.io.FileNotFoundException", properties.error()});
    for (const auto& [key, value] : *properties) {
      if (key == "bootstrap.servers") {
        if (bootstrap.empty()) bootstrap = value;
      } else if (key == "default.api.timeout.ms") {
        config.api_timeout_ms = std::strtoll(value.c_str(), nullptr, 10);
      } else if (key == "retry.backoff.ms") {
        config.retry_backoff_ms = std::strtoll(value.c_str(), nullptr, 10);
      } else if (key == "client.id") {
        config.client_id = value;
      } else if (key == "security.protocol" && value != "PLAINTEXT") {
        return std::unexpected(
            Failure{"org.apache.kafka.common.config.ConfigException",
                    fmt::format("Invalid value {} for configuration security.protocol: only "
                                "PLAINTEXT is supported",
                                value)});
      } else if (key != "request.timeout.ms" && key != "security.protocol") {
        log_line("WARN", fmt::format("The configuration '{}' was supplied but isn't used.", key),
                 "org.apache.kafka.clients.admin.AdminClientConfig");
      }
    }
  }
  auto addresses = parse_bootstrap(bootstrap);
  if (!addresses) return std::unexpected(addresses.error());
  config.bootstrap = std::move(*addresses);
  config.warn = [last = int64_t{0}](const std::string& message) mutable {
    // Once a second, as Apache's back-off comes to, however fast we try.
    if (last != 0 && monotonic_ms() - last < 1000) return;
    last = monotonic_ms();
    log_line("WARN", fmt::format("[AdminClient clientId=adminclient-1] {}", message),
             "org.apache.kafka.clients.NetworkClient");
  };
  return config;
}

std::optional<std::string> conflict(const Options& options, std::string_view name,
                                    const std::vector<std::string_view>& others) {
  if (!options.has(name)) return std::nullopt;
  for (std::string_view other : others)
    if (options.has(other))
      return fmt::format("Option \"{}\" can't be used with option \"{}\"", bracketed(name),
                         bracketed(other));
  return std::nullopt;
}

Failure illegal(std::string message) { return {kIllegal, std::move(message)}; }

std::string pad(std::string_view text, size_t width) {
  size_t characters = 0;
  for (char c : text) characters += (static_cast<uint8_t>(c) & 0xc0) != 0x80 ? 1 : 0;
  std::string padded(text);
  if (characters < width) padded.append(width - characters, ' ');
  return padded;
}

}  // namespace ottla::tools
