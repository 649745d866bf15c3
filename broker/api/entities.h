// Users, client ids and addresses as Kafka keeps them under /config: how their names stand in
// paths, how quotas become text, how a SCRAM credential is stored. Pure. Source: KIP-13, KIP-546,
// KIP-554, KIP-612; RFC 5802.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "broker/zk/znodes.h"

namespace ottla::broker {

// A name as it stands in a path: percent-encoded, but for letters, digits and ".-_".
std::string sanitize(std::string_view name);
std::string desanitize(std::string_view path_part);

// Null is the default entity.
std::string entity_path_part(const std::optional<std::string>& name);
std::optional<std::string> entity_name(const std::string& path_part);

// As Java prints a double.
std::string java_double_text(double value);

enum class QuotaType { int32, int64, float64 };
// The type of a quota key of users and client ids, or of addresses; nothing for a stranger.
std::optional<QuotaType> quota_type(std::string_view key, bool of_address);
// The text that is stored; nothing when the value is no number of that type.
std::optional<std::string> quota_text(QuotaType type, double value);
const char* quota_type_name(QuotaType type);  // "LONG"

// An address in a form that needs no look-up, as Java takes it.
bool is_address(std::string_view text);

// SCRAM: 1 is SHA-256, 2 is SHA-512. The name is also the key under which it is stored.
const char* scram_mechanism_name(int8_t mechanism);  // null: no such mechanism
std::string scram_credential(int8_t mechanism, std::string_view salt,
                             std::string_view salted_password, int32_t iterations);
std::optional<int32_t> scram_iterations(std::string_view credential);

}  // namespace ottla::broker
