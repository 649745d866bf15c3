#include "tools/record_formatter.h"

#include <fmt/core.h>
#include <strings.h>

#include <bit>

#include "common/base/endian.h"
#include "tools/java_text.h"

namespace ottla::tools {
namespace {

void write_timestamp(const rd_kafka_message_t& message, std::string& out) {
  rd_kafka_timestamp_type_t type;
  int64_t timestamp = rd_kafka_message_timestamp(&message, &type);
  if (type == RD_KAFKA_TIMESTAMP_NOT_AVAILABLE)
    out += "NO_TIMESTAMP";
  else
    out += fmt::format("{}:{}",
                       type == RD_KAFKA_TIMESTAMP_CREATE_TIME ? "CreateTime" : "LogAppendTime",
                       timestamp);
}

}  // namespace

std::optional<std::string> deserialize(std::string_view kind, Bytes bytes) {
  if (kind.ends_with("LongDeserializer") && bytes.size() == 8)
    return std::to_string(load_be<int64_t>(bytes.data()));
  if (kind.ends_with("IntegerDeserializer") && bytes.size() == 4)
    return std::to_string(load_be<int32_t>(bytes.data()));
  if (kind.ends_with("ShortDeserializer") && bytes.size() == 2)
    return std::to_string(load_be<int16_t>(bytes.data()));
  if (kind.ends_with("DoubleDeserializer") && bytes.size() == 8)
    return java_text(std::bit_cast<double>(load_be<uint64_t>(bytes.data())));
  if (kind.ends_with("FloatDeserializer") && bytes.size() == 4)
    return java_text(std::bit_cast<float>(load_be<uint32_t>(bytes.data())));
  if (kind.ends_with("StringDeserializer") || kind.empty()) return to_string(bytes);
  return std::nullopt;
}

std::expected<RecordFormatter, std::string> RecordFormatter::make(std::string_view formatter_class,
                                                                  const Properties& properties) {
  RecordFormatter formatter;
  constexpr std::string_view kPackages[] = {"org.apache.kafka.tools.consumer.", "kafka.tools."};
  for (std::string_view package : kPackages) {
    if (!formatter_class.starts_with(package)) continue;
    std::string_view name = formatter_class.substr(package.size());
    formatter.is_silent_ = name == "NoOpMessageFormatter";
    formatter.logs_ = name == "LoggingMessageFormatter";
    if (name != "DefaultMessageFormatter" && !formatter.is_silent_ && !formatter.logs_) continue;
    if (package == kPackages[1])
      fmt::print(stderr,
                 "WARNING: {} is deprecated and will be removed in the next major release. Please "
                 "use {}{} instead\n",
                 formatter_class, kPackages[0], name);
    formatter.configure(properties);
    return formatter;
  }
  return std::unexpected(std::string(formatter_class));
}

bool RecordFormatter::write(const rd_kafka_message_t& message, std::string& out) const {
  if (is_silent_) return true;
  size_t start = out.size();
  if (print_timestamp_) {
    write_timestamp(message, out);
    separate(out,
             print_offset_ || print_partition_ || print_headers_ || print_key_ || print_value_);
  }
  if (print_partition_) {
    out += fmt::format("Partition:{}", message.partition);
    separate(out, print_offset_ || print_headers_ || print_key_ || print_value_);
  }
  if (print_offset_) {
    out += fmt::format("Offset:{}", message.offset);
    separate(out, print_headers_ || print_key_ || print_value_);
  }
  bool readable = true;
  if (print_headers_) {
    readable = write_headers(message, out) && readable;
    separate(out, print_key_ || print_value_);
  }
  if (print_key_) {
    readable = field(key_deserializer_, message.key, message.key_len, out) && readable;
    separate(out, print_value_);
  }
  if (print_value_) {
    readable = field(value_deserializer_, message.payload, message.len, out) && readable;
    out += line_separator_;
  }
  if (!readable) out.resize(start);
  return readable;
}

void RecordFormatter::configure(const Properties& properties) {
  auto text = [&](const char* key, std::string& target) {
    auto at = properties.find(key);
    if (at != properties.end()) target = at->second;
  };
  auto flag = [&](const char* key, bool& target) {
    std::string value = target ? "true" : "false";
    text(key, value);
    target = strcasecmp(value.c_str(), "true") == 0;
  };
  flag("print.timestamp", print_timestamp_);
  flag("print.key", print_key_);
  flag("print.offset", print_offset_);
  flag("print.partition", print_partition_);
  flag("print.headers", print_headers_);
  flag("print.value", print_value_);
  text("key.separator", key_separator_);
  text("line.separator", line_separator_);
  text("headers.separator", headers_separator_);
  text("null.literal", null_literal_);
  text("key.deserializer", key_deserializer_);
  text("value.deserializer", value_deserializer_);
  text("headers.deserializer", headers_deserializer_);
}

void RecordFormatter::separate(std::string& out, bool is_column) const {
  out += is_column ? key_separator_ : line_separator_;
}

bool RecordFormatter::field(const std::string& deserializer, const void* data, size_t size,
                            std::string& out) const {
  if (data == nullptr) {
    out += null_literal_;
    return true;
  }
  Bytes bytes(static_cast<const uint8_t*>(data), size);
  if (deserializer.empty()) {
    out += as_text(bytes);
    return true;
  }
  auto text = deserialize(deserializer, bytes);
  if (text) out += *text;
  return text.has_value();
}

bool RecordFormatter::write_headers(const rd_kafka_message_t& message, std::string& out) const {
  rd_kafka_headers_t* headers = nullptr;
  bool none = rd_kafka_message_headers(&message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR;
  const char* name = nullptr;
  const void* value = nullptr;
  size_t size = 0;
  bool readable = true;
  size_t i = 0;
  for (; !none &&
         rd_kafka_header_get_all(headers, i, &name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR;
       ++i) {
    if (i != 0) out += headers_separator_;
    out += name;
    out += ':';
    readable = field(headers_deserializer_, value, size, out) && readable;
  }
  if (i == 0) out += "NO_HEADERS";
  return readable;
}

}  // namespace ottla::tools
