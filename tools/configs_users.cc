// kafka-configs.sh of users, clients and addresses: quotas, and the SCRAM credentials of users.
// Source: KIP-546, KIP-554, RFC 5802.
#include <fmt/core.h>
#include <openssl/evp.h>

#include <random>

#include "proto/kafka/alter_client_quotas.h"
#include "proto/kafka/alter_user_scram_credentials.h"
#include "proto/kafka/describe_client_quotas.h"
#include "proto/kafka/describe_user_scram_credentials.h"
#include "tools/configs.h"
#include "tools/java_order.h"
#include "tools/java_text.h"
#include "tools/report.h"

namespace ottla::tools::configs {
namespace {

using kmsg::ErrorCode;

constexpr int32_t kDefaultIterations = 4096;

using QuotaEntry = kmsg::DescribeClientQuotasResponse::EntryData;

const char* quota_type(const std::string& type) {
  return type == "users" ? "user" : type == "clients" ? "client-id" : "ip";
}

bool is_quota(std::string_view key) {
  return key == "producer_byte_rate" || key == "consumer_byte_rate" ||
         key == "request_percentage" || key == "controller_mutation_rate";
}
int8_t scram_mechanism(std::string_view key) {
  return key == "SCRAM-SHA-256" ? 1 : key == "SCRAM-SHA-512" ? 2 : 0;
}

Outcome<std::vector<QuotaEntry>> read_quotas(AdminClient& client, const Entities& entities) {
  if (entities.names.size() > entities.types.size())
    return std::unexpected(illegal("More entity names specified than entity types"));
  kmsg::DescribeClientQuotasRequest request;
  request.strict = true;
  for (size_t i = 0; i < entities.types.size(); ++i) {
    auto& part = request.components.emplace_back();
    part.entity_type = quota_type(entities.types[i]);
    part.match_type = 2;
    part.match.reset();
    if (i >= entities.names.size()) continue;
    part.match_type = entities.names[i].empty() ? 1 : 0;
    if (part.match_type == 0) part.match = entities.names[i];
  }
  auto response = client.any<kmsg::DescribeClientQuotasResponse>("describeClientQuotas", request);
  if (!response) return std::unexpected(response.error());
  if (response->error_code != ErrorCode::none)
    return std::unexpected(failure_of(response->error_code, response->error_message));
  return response->entries ? std::move(*response->entries) : std::vector<QuotaEntry>();
}

// "iterations=N,password=P" or "password=P".
Outcome<std::pair<int32_t, std::string>> parse_credential(const std::string& mechanism,
                                                          const std::string& text) {
  auto bad = [&] {
    return std::unexpected(illegal(
        fmt::format("Invalid credential property {}={}",
                    mechanism == "SCRAM-SHA-256" ? "SCRAM_SHA_256" : "SCRAM_SHA_512", text)));
  };
  std::string rest = text;
  int32_t iterations = kDefaultIterations;
  if (rest.starts_with("iterations=")) {
    size_t comma = rest.find(',');
    if (comma == std::string::npos) return bad();
    auto given = to_int(std::string_view(rest).substr(11, comma - 11));
    if (!given) return bad();
    if (*given != -1) iterations = *given;
    rest = rest.substr(comma + 1);
  }
  if (!rest.starts_with("password=")) return bad();
  if (iterations < kDefaultIterations)
    return std::unexpected(illegal(fmt::format(
        "Iterations {} is less than the minimum 4096 required for {}", iterations, mechanism)));
  return std::pair(iterations, rest.substr(9));
}

Outcome<void> alter_credentials(AdminClient& client, const std::string& user, const Pairs& added,
                                const std::vector<std::string>& deleted) {
  kmsg::AlterUserScramCredentialsRequest request;
  for (const std::string& key : deleted) {
    auto& deletion = request.deletions.emplace_back();
    deletion.name = user;
    deletion.mechanism = scram_mechanism(key);
  }
  for (const auto& [key, value] : added) {
    auto credential = parse_credential(key, value);
    if (!credential) return std::unexpected(credential.error());
    auto& upsertion = request.upsertions.emplace_back();
    upsertion.name = user;
    upsertion.mechanism = scram_mechanism(key);
    upsertion.iterations = credential->first;
    std::random_device random;
    for (int i = 0; i < 26; ++i)
      upsertion.salt += "0123456789abcdefghijklmnopqrstuvwxyz"[random() % 36];
    const EVP_MD* hash = upsertion.mechanism == 1 ? EVP_sha256() : EVP_sha512();
    upsertion.salted_password.resize(static_cast<size_t>(EVP_MD_get_size(hash)));
    const std::string& password = credential->second;
    PKCS5_PBKDF2_HMAC(password.data(), static_cast<int>(password.size()),
                      reinterpret_cast<const uint8_t*>(upsertion.salt.data()),
                      static_cast<int>(upsertion.salt.size()), upsertion.iterations, hash,
                      EVP_MD_get_size(hash),
                      reinterpret_cast<uint8_t*>(upsertion.salted_password.data()));
  }
  auto done = client.settle("alterUserScramCredentials", request,
                            &kmsg::AlterUserScramCredentialsResponse::results);
  if (!done) return std::unexpected(done.error());
  return {};
}

}  // namespace

Outcome<void> describe_quotas(AdminClient& client, const Entities& entities) {
  auto entries = read_quotas(client, entities);
  if (!entries) return std::unexpected(entries.error());
  for (QuotaEntry& entry : *entries) {
    std::vector<std::string> parts;
    for (auto [type, shown] : {std::pair{"user", "user-principal"},
                               std::pair{"client-id", "client-id"}, std::pair{"ip", "ip"}})
      for (const auto& part : entry.entity)
        if (part.entity_type == type)
          parts.push_back(part.entity_name ? fmt::format("{} '{}'", shown, *part.entity_name)
                                           : fmt::format("the default {}", shown));
    java_map_order(entry.values, 0, [](const auto& v) { return kmsg::java_string_hash(v.key); });
    std::vector<std::string> values;
    for (const auto& value : entry.values)
      values.push_back(fmt::format("{}={}", value.key, java_text(value.value)));
    fmt::print("Quota configs for {} are {}\n", joined(parts, ", "), joined(values, ", "));
  }
  return {};
}

Outcome<void> describe_users_and_clients(AdminClient& client, const Entities& entities) {
  if (auto quotas = describe_quotas(client, entities); !quotas) return quotas;
  if (contains(entities.types, "clients") || contains(entities.names, "")) return {};
  kmsg::DescribeUserScramCredentialsRequest request;
  for (const std::string& name : entities.names) request.users->emplace_back().name = name;
  auto response = client.any<kmsg::DescribeUserScramCredentialsResponse>(
      "describeUserScramCredentials", request);
  if (!response) return std::unexpected(response.error());
  if (response->error_code != ErrorCode::none)
    return std::unexpected(failure_of(response->error_code, response->error_message));
  for (const auto& result : response->results) {
    // A user without credentials is none that was described.
    if (result.error_code == ErrorCode::resource_not_found) continue;
    if (result.error_code != ErrorCode::none) {
      std::string exception = exception_of(result.error_code);
      fmt::print("Error retrieving SCRAM credential configs for user-principal '{}': {}: {}\n",
                 result.user, exception.substr(exception.rfind('.') + 1),
                 result.error_message.value_or(""));
      continue;
    }
    std::vector<std::string> infos;
    for (const auto& info : result.credential_infos)
      infos.push_back(fmt::format("{}=iterations={}",
                                  info.mechanism == 1 ? "SCRAM-SHA-256" : "SCRAM-SHA-512",
                                  info.iterations));
    fmt::print("SCRAM credential configs for user-principal '{}' are {}\n", result.user,
               joined(infos, ", "));
  }
  return {};
}

Outcome<void> alter_quotas(AdminClient& client, const Entities& entities, const Pairs& added,
                           const std::vector<std::string>& deleted) {
  auto present = read_quotas(client, entities);
  if (!present) return std::unexpected(present.error());
  std::vector<std::string> unknown;
  for (const std::string& key : deleted) {
    bool there = false;
    if (!present->empty())
      for (const auto& value : present->front().values) there |= value.key == key;
    if (!there) unknown.push_back(key);
  }
  if (!unknown.empty())
    return std::unexpected(illegal("Invalid config(s): " + joined(unknown, ",")));
  kmsg::AlterClientQuotasRequest request;
  auto& entry = request.entries.emplace_back();
  for (size_t i = 0; i < entities.types.size(); ++i) {
    auto& part = entry.entity.emplace_back();
    part.entity_type = quota_type(entities.types[i]);
    part.entity_name.reset();
    if (!entities.names[i].empty()) part.entity_name = entities.names[i];
  }
  for (const auto& [key, value] : added) {
    auto& op = entry.ops.emplace_back();
    op.key = key;
    char* end = nullptr;
    op.value = std::strtod(value.c_str(), &end);
    if (value.empty() || *end != '\0')
      return std::unexpected(
          illegal(fmt::format("Cannot parse quota configuration value for {}: {}", key, value)));
  }
  for (const std::string& key : deleted) {
    auto& op = entry.ops.emplace_back();
    op.key = key;
    op.remove = true;
  }
  auto response = client.any<kmsg::AlterClientQuotasResponse>("alterClientQuotas", request);
  if (!response) return std::unexpected(response.error());
  for (const auto& result : response->entries)
    if (result.error_code != ErrorCode::none)
      return std::unexpected(failure_of(result.error_code, result.error_message));
  return {};
}

// What is neither a quota nor, where it may be, a credential.
Outcome<void> alter_user_or_client(AdminClient& client, const Entities& entities,
                                   const Pairs& added, const std::vector<std::string>& deleted) {
  bool of_client = entities.type() == "clients" || entities.types.size() == 2;
  bool quotas = false;
  std::vector<std::string> unknown[2], credentials[2];
  auto sort_out = [&](const std::string& key, size_t where) {
    if (is_quota(key))
      quotas = true;
    else
      (scram_mechanism(key) != 0 ? credentials : unknown)[where].push_back(key);
  };
  for (const auto& [key, value] : added) sort_out(key, 0);
  for (const std::string& key : deleted) sort_out(key, 1);
  for (size_t where : {0u, 1u}) {
    std::vector<std::string> bad = unknown[where];
    if (of_client) bad.insert(bad.end(), credentials[where].begin(), credentials[where].end());
    if (bad.empty()) continue;
    return std::unexpected(illegal(fmt::format(
        "Only {} configs can be {} for '{}' using --bootstrap-server. Unexpected config names: "
        "{}({})",
        of_client ? "quota" : "quota and SCRAM credential", where == 0 ? "added" : "deleted",
        of_client ? "clients" : "users", where == 0 ? "Set" : "ArrayBuffer", joined(bad, ", "))));
  }
  bool scram = !credentials[0].empty() || !credentials[1].empty();
  if (scram && contains(entities.names, ""))
    return std::unexpected(
        illegal("The use of --entity-default or --user-defaults is not allowed with User SCRAM "
                "Credentials using --bootstrap-server."));
  if (scram && quotas)
    return std::unexpected(
        illegal("Cannot alter both quota and SCRAM credential configs simultaneously for 'users' "
                "using --bootstrap-server."));
  if (scram) return alter_credentials(client, entities.names.front(), added, deleted);
  return alter_quotas(client, entities, added, deleted);
}

}  // namespace ottla::tools::configs
