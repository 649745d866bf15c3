// The request head: one line of method, target and version, then header lines, of which only those
// that decide about the connection and a body matter here.
#include <fmt/core.h>

#include <algorithm>
#include <charconv>

#include "common/metrics/http_server.h"

namespace ottla::metrics {

namespace {

std::string_view next_line(std::string_view& rest) {
  size_t end = std::min(rest.find('\n'), rest.size());
  std::string_view line = rest.substr(0, end);
  rest.remove_prefix(std::min(end + 1, rest.size()));
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return out;
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool decode(std::string_view text, bool plus_is_space, std::string& out) {
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%') {
      int high = text.size() - i > 2 ? hex_digit(text[i + 1]) : -1;
      int low = high < 0 ? -1 : hex_digit(text[i + 2]);
      if (low < 0) return false;
      out += static_cast<char>(high * 16 + low);
      i += 2;
    } else {
      out += plus_is_space && text[i] == '+' ? ' ' : text[i];
    }
  }
  return true;
}

// http://HOST/PATH, as a proxy is asked, is another way to ask for the path.
std::string without_authority(std::string_view target) {
  constexpr std::string_view kScheme = "http://";
  if (lower(target.substr(0, kScheme.size())) != kScheme) return std::string(target);
  std::string_view rest = target.substr(kScheme.size());
  size_t path = std::min(rest.find_first_of("/?"), rest.size());
  if (path == 0) return std::string(target);  // no host
  rest.remove_prefix(path);
  return rest.starts_with('/') ? std::string(rest) : fmt::format("/{}", rest);
}

bool parse_target(std::string_view given, HttpRequest& request) {
  std::string whole = without_authority(given);
  std::string_view target = whole;
  if (!target.starts_with('/')) return false;
  std::string_view query;
  if (size_t mark = target.find('?'); mark != std::string_view::npos) {
    query = target.substr(mark + 1);
    target = target.substr(0, mark);
  }
  if (!decode(target, false, request.path)) return false;
  while (!query.empty()) {
    size_t end = std::min(query.find('&'), query.size());
    std::string_view pair = query.substr(0, end);
    query.remove_prefix(std::min(end + 1, query.size()));
    size_t equals = std::min(pair.find('='), pair.size());
    std::string name, value;
    if (!decode(pair.substr(0, equals), true, name)) return false;
    if (equals < pair.size() && !decode(pair.substr(equals + 1), true, value)) return false;
    if (!name.empty()) request.query.emplace(name, value);
  }
  return true;
}

// Two lengths that differ are how one request is smuggled in another.
bool take_length(std::string_view text, HttpRequest& request) {
  uint64_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return false;
  if (request.headers.contains("content-length") && request.body_bytes != value) return false;
  request.body_bytes = value;
  return true;
}

}  // namespace

ParsedHead parse_http_head(std::string_view head) {
  ParsedHead parsed;
  auto refuse = [&](int status) {
    parsed.status = status;
    parsed.keep_alive = false;
    return parsed;
  };
  std::string_view line = next_line(head);
  for (char c : line)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) return refuse(400);
  size_t first = line.find(' ');
  size_t last = line.rfind(' ');
  if (first == std::string_view::npos || first == last || first == 0) return refuse(400);
  parsed.request.method = line.substr(0, first);
  std::string_view version = line.substr(last + 1);
  if (!version.starts_with("HTTP/")) return refuse(400);
  if (version != "HTTP/1.1" && version != "HTTP/1.0") return refuse(505);
  if (!parse_target(line.substr(first + 1, last - first - 1), parsed.request)) return refuse(400);
  parsed.keep_alive = version == "HTTP/1.1";
  while (!head.empty()) {
    line = next_line(head);
    if (line.empty()) break;
    size_t colon = line.find(':');
    if (colon == std::string_view::npos || colon == 0) return refuse(400);
    std::string name = lower(line.substr(0, colon));
    std::string_view value = trimmed(line.substr(colon + 1));
    if (name == "connection" && lower(value).find("close") != std::string::npos)
      parsed.keep_alive = false;
    if (name == "transfer-encoding") return refuse(411);
    if (name == "content-length" && !take_length(value, parsed.request)) return refuse(400);
    parsed.request.headers[name] = value;
  }
  return parsed;
}

}  // namespace ottla::metrics
