// Records as lines of text, as the formatters and deserializers that Apache's console consumer
// ships with print them.
#pragma once

#include <librdkafka/rdkafka.h>

#include <expected>
#include <optional>
#include <string>
#include <string_view>

#include "common/base/bytes.h"
#include "tools/client_conf.h"

namespace ottla::tools {

// What a deserializer of org.apache.kafka.common.serialization makes of bytes, as text; null when
// the length is wrong.
std::optional<std::string> deserialize(std::string_view kind, Bytes bytes);

class RecordFormatter {
 public:
  // An error is the name of the class that is not there.
  static std::expected<RecordFormatter, std::string> make(std::string_view formatter_class,
                                                          const Properties& properties);
  // Appends what is to be printed; false when a deserializer refuses.
  bool write(const rd_kafka_message_t& message, std::string& out) const;

 private:
  void configure(const Properties& properties);
  void separate(std::string& out, bool is_column) const;
  bool field(const std::string& deserializer, const void* data, size_t size,
             std::string& out) const;
  bool write_headers(const rd_kafka_message_t& message, std::string& out) const;

  bool is_silent_ = false;
  bool logs_ = false;  // as Apache's under its shipped settings: the log line is not shown
  bool print_timestamp_ = false;
  bool print_key_ = false;
  bool print_value_ = true;
  bool print_partition_ = false;
  bool print_offset_ = false;
  bool print_headers_ = false;
  std::string key_separator_ = "\t";
  std::string line_separator_ = "\n";
  std::string headers_separator_ = ",";
  std::string null_literal_ = "null";
  std::string key_deserializer_;
  std::string value_deserializer_;
  std::string headers_deserializer_;
};

}  // namespace ottla::tools
