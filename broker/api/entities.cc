#include "broker/api/entities.h"

#include <fmt/core.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <charconv>
#include <cmath>

#include "common/wire/json_out.h"

namespace ottla::broker {
namespace {

bool is_plain(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
         c == '-' || c == '_';
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// Java's casts: what does not fit is cut to the nearest bound, and what is no number is 0.
template <class Int>
Int cut_to(double value) {
  if (std::isnan(value)) return 0;
  if (value >= static_cast<double>(std::numeric_limits<Int>::max()))
    return std::numeric_limits<Int>::max();
  if (value <= static_cast<double>(std::numeric_limits<Int>::min()))
    return std::numeric_limits<Int>::min();
  return static_cast<Int>(value);
}

// Dotted numbers, the last of which fills the bytes that are left.
bool is_v4(std::string_view text) {
  uint64_t parts = 0;
  while (true) {
    size_t dot = text.find('.');
    std::string_view part = text.substr(0, dot);
    uint64_t value = 0;
    auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), value);
    if (part.empty() || error != std::errc() || end != part.data() + part.size()) return false;
    ++parts;
    bool last = dot == std::string_view::npos;
    uint64_t limit = last ? uint64_t{1} << (8 * (5 - parts)) : 256;
    if (parts > 4 || value >= limit) return false;
    if (last) return true;
    text.remove_prefix(dot + 1);
  }
}

std::string hmac(const EVP_MD* hash, std::string_view key, std::string_view text) {
  uint8_t out[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  Bytes bytes = as_bytes(text);
  OTTLA_CHECK(HMAC(hash, key.data(), static_cast<int>(key.size()), bytes.data(), bytes.size(), out,
                   &size) != nullptr);
  return to_string(Bytes(out, size));
}

std::string digest(const EVP_MD* hash, std::string_view text) {
  uint8_t out[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  OTTLA_CHECK(EVP_Digest(text.data(), text.size(), out, &size, hash, nullptr) == 1);
  return to_string(Bytes(out, size));
}

}  // namespace

std::string sanitize(std::string_view name) {
  std::string out;
  for (char c : name) {
    if (is_plain(c))
      out += c;
    else
      out += fmt::format("%{:02X}", static_cast<uint8_t>(c));
  }
  return out;
}

std::string desanitize(std::string_view part) {
  std::string out;
  for (size_t i = 0; i < part.size(); ++i) {
    int high = part[i] == '%' && i + 2 < part.size() ? hex_digit(part[i + 1]) : -1;
    int low = high >= 0 ? hex_digit(part[i + 2]) : -1;
    if (low < 0) {
      out += part[i] == '+' ? ' ' : part[i];
      continue;
    }
    out += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return out;
}

std::string entity_path_part(const std::optional<std::string>& name) {
  return name ? sanitize(*name) : kDefaultEntity;
}
std::optional<std::string> entity_name(const std::string& part) {
  if (part == kDefaultEntity) return std::nullopt;
  return desanitize(part);
}

std::string java_double_text(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "Infinity" : "-Infinity";
  double size = std::fabs(value);
  if (value == 0 || (size >= 1e-3 && size < 1e7)) {
    char plain[64];
    auto end = std::to_chars(plain, plain + sizeof(plain), value, std::chars_format::fixed).ptr;
    std::string text(plain, end);
    return text.find('.') == std::string::npos ? text + ".0" : text;
  }
  char buffer[64];
  auto end =
      std::to_chars(buffer, buffer + sizeof(buffer), value, std::chars_format::scientific).ptr;
  std::string text(buffer, end);
  size_t e = text.find('e');
  std::string digits = text.substr(0, e);
  if (digits.find('.') == std::string::npos) digits += ".0";
  return fmt::format("{}E{}", digits, std::stoi(text.substr(e + 1)));
}

std::optional<QuotaType> quota_type(std::string_view key, bool of_address) {
  if (of_address)
    return key == "connection_creation_rate" ? std::optional(QuotaType::int32) : std::nullopt;
  if (key == "producer_byte_rate" || key == "consumer_byte_rate") return QuotaType::int64;
  if (key == "request_percentage" || key == "controller_mutation_rate") return QuotaType::float64;
  return std::nullopt;
}

const char* quota_type_name(QuotaType type) {
  return type == QuotaType::int32 ? "INT" : type == QuotaType::int64 ? "LONG" : "DOUBLE";
}

std::optional<std::string> quota_text(QuotaType type, double value) {
  constexpr double kEpsilon = 1e-6;
  if (type == QuotaType::float64) return java_double_text(value);
  int64_t whole = type == QuotaType::int32 ? cut_to<int32_t>(value + kEpsilon)
                                           : cut_to<int64_t>(value + kEpsilon);
  if (std::fabs(static_cast<double>(whole) - value) > kEpsilon) return std::nullopt;
  return std::to_string(whole);
}

bool is_address(std::string_view text) {
  return text.empty() || text == "localhost" || is_v4(text);
}

const char* scram_mechanism_name(int8_t mechanism) {
  return mechanism == 1 ? "SCRAM-SHA-256" : mechanism == 2 ? "SCRAM-SHA-512" : nullptr;
}

std::string scram_credential(int8_t mechanism, std::string_view salt,
                             std::string_view salted_password, int32_t iterations) {
  const EVP_MD* hash = mechanism == 1 ? EVP_sha256() : EVP_sha512();
  std::string stored_key = digest(hash, hmac(hash, salted_password, "Client Key"));
  std::string server_key = hmac(hash, salted_password, "Server Key");
  return fmt::format("salt={},stored_key={},server_key={},iterations={}", wire::to_base64(salt),
                     wire::to_base64(stored_key), wire::to_base64(server_key), iterations);
}

std::optional<int32_t> scram_iterations(std::string_view credential) {
  constexpr std::string_view kField = ",iterations=";
  size_t at = credential.rfind(kField);
  if (at == std::string_view::npos) return std::nullopt;
  int32_t count = 0;
  std::string_view digits = credential.substr(at + kField.size());
  auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), count);
  if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  return count;
}

}  // namespace ottla::broker
