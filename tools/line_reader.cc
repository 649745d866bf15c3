#include "tools/line_reader.h"

#include <fmt/core.h>
#include <strings.h>

namespace ottla::tools {

std::expected<LineReader, std::string> LineReader::make(
    const std::map<std::string, std::string>& properties) {
  LineReader reader;
  auto text = [&](const char* key, std::string& target) {
    auto at = properties.find(key);
    if (at != properties.end()) target = at->second;
  };
  auto flag = [&](const char* key, bool& target) {
    auto at = properties.find(key);
    if (at != properties.end()) target = strcasecmp(at->second.c_str(), "true") == 0;
  };
  flag("parse.key", reader.parse_key_);
  text("key.separator", reader.key_separator_);
  flag("parse.headers", reader.parse_headers_);
  text("headers.delimiter", reader.headers_delimiter_);
  text("headers.separator", reader.headers_separator_);
  text("headers.key.separator", reader.headers_key_separator_);
  flag("ignore.error", reader.ignore_error_);
  if (auto at = properties.find("null.marker"); at != properties.end())
    reader.null_marker_ = at->second;

  const std::pair<const char*, const std::string*> separators[] = {
      {"headers.delimiter", &reader.headers_delimiter_},
      {"headers.separator", &reader.headers_separator_},
      {"headers.key.separator", &reader.headers_key_separator_},
  };
  for (size_t i = 0; i < 3; ++i)
    for (size_t k = i + 1; k < 3; ++k)
      if (*separators[i].second == *separators[k].second)
        return std::unexpected(
            fmt::format("{} and {} may not be equal", separators[i].first, separators[k].first));
  if (reader.null_marker_ == reader.key_separator_)
    return std::unexpected(std::string("null.marker and key.separator may not be equal"));
  for (const auto& [name, value] : separators)
    if (reader.null_marker_ == *value)
      return std::unexpected(fmt::format("null.marker and {} may not be equal", name));
  return reader;
}

std::expected<std::optional<std::string>, std::string> LineReader::cut(
    std::string_view line, size_t from, const std::string& separator, std::string_view name) const {
  size_t at = line.find(separator, from);
  if (at != std::string_view::npos) return std::string(line.substr(from, at - from));
  if (ignore_error_) return std::nullopt;
  return std::unexpected(
      fmt::format("No {} found on line number {}: '{}'", name, line_number_, line));
}

std::expected<void, std::string> LineReader::split_headers(std::string_view text,
                                                           LineRecord& record) const {
  while (!text.empty()) {
    size_t end = text.find(headers_separator_);
    std::string_view pair = text.substr(0, end);
    text = end == std::string_view::npos ? std::string_view()
                                         : text.substr(end + headers_separator_.size());
    size_t at = pair.find(headers_key_separator_);
    if (at == std::string_view::npos) {
      if (!ignore_error_)
        return std::unexpected(fmt::format(
            "No header key separator found in pair '{}' on line number {}", pair, line_number_));
      record.headers.emplace_back(std::string(pair), std::nullopt);
      continue;
    }
    std::string key(pair.substr(0, at));
    std::string value(pair.substr(at + headers_key_separator_.size()));
    if (null_marker_ == key)
      return std::unexpected(fmt::format(
          "Header keys should not be equal to the null marker '{}' as they can't be null", key));
    if (null_marker_ == value)
      record.headers.emplace_back(std::move(key), std::nullopt);
    else
      record.headers.emplace_back(std::move(key), std::move(value));
  }
  return {};
}

std::expected<LineRecord, std::string> LineReader::parse(std::string_view line) {
  ++line_number_;
  LineRecord record;
  size_t at = 0;
  if (parse_headers_) {
    auto headers = cut(line, 0, headers_delimiter_, "headers delimiter");
    if (!headers) return std::unexpected(headers.error());
    if (*headers) {
      at = (*headers)->size() + headers_delimiter_.size();
      if (null_marker_ != **headers)
        if (auto split = split_headers(**headers, record); !split)
          return std::unexpected(split.error());
    }
  }
  if (parse_key_) {
    auto key = cut(line, at, key_separator_, "key separator");
    if (!key) return std::unexpected(key.error());
    if (*key) {
      at += (*key)->size() + key_separator_.size();
      if (null_marker_ != **key) record.key = std::move(**key);
    }
  }
  std::string value(line.substr(at));
  if (null_marker_ != value) record.value = std::move(value);
  return record;
}

}  // namespace ottla::tools
