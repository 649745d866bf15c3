// Settings of Apache's Java clients, given to librdkafka: the console tools take the former,
// because that is what users' property files and --producer-property arguments hold.
#pragma once

#include <librdkafka/rdkafka.h>

#include <map>
#include <string>
#include <string_view>

namespace ottla::tools {

using Properties = std::map<std::string, std::string>;

// Sets what librdkafka has, under its own name; what only a Java client knows is passed over, with
// a warning unless it is known to mean nothing here. False, with a line on stderr, for a bad value.
bool apply_properties(rd_kafka_conf_t* conf, const Properties& properties, std::string_view client);

// Log lines of librdkafka in log4j's form, at WARN; connection trouble as Apache's clients tell it.
void quiet_logging(rd_kafka_conf_t* conf);

// SIGINT and SIGTERM end read loops instead of the process; 0 until one came.
void catch_signals();
int signal_caught();

}  // namespace ottla::tools
