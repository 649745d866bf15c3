// How tools speak of trouble: usage to stderr, and log lines in the form of log4j, which is what
// people grep the output of Apache's tools for.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tools/admin_client.h"
#include "tools/options.h"

namespace ottla::tools {

// message and the table of options on stderr; gives back 1, the exit code.
int usage(const OptionParser& parser, std::string_view message);
// "[2024-01-31 12:00:00,123] WARN message (logger)" on stderr.
void log_line(std::string_view level, std::string_view message, std::string_view logger);
// log_line for a failed operation: the exception's class and message.
void log_failure(const Failure& failure, std::string_view logger);

// --help, --version and no arguments at all: the exit code if that was it.
std::optional<int> help_or_version(const OptionParser& parser, const Options& options, bool no_args,
                                   std::string_view about);

// A refusal by the tool itself, as Apache's tools throw it.
inline constexpr const char* kIllegal = "java.lang.IllegalArgumentException";
Failure illegal(std::string message);

// Client settings from --bootstrap-server and --command-config (bootstrap.servers,
// default.api.timeout.ms, retry.backoff.ms, client.id); other keys are warned of.
Outcome<AdminClient::Config> client_config(const Options& options);

// The first of `others` that was given although it does not go with `name`: the message.
std::optional<std::string> conflict(const Options& options, std::string_view name,
                                    const std::vector<std::string_view>& others);

// printf's "%-*s" with columns counted in characters, not bytes.
std::string pad(std::string_view text, size_t width);

}  // namespace ottla::tools
