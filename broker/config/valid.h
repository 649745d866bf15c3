// Checks of single values that bounds and word lists cannot say.
#pragma once

#include <string_view>

namespace ottla::broker {

bool is_api_version(std::string_view text);         // "3.9", "3.9-IV0", "2.8", "0.10.2"
bool is_throttled_replicas(std::string_view text);  // empty, "*" or "0:1,1:2"
bool is_gzip_level(std::string_view text);          // -1 or 1..9
bool is_jitter(std::string_view text);              // 0..0.5
bool is_not_empty(std::string_view text);

}  // namespace ottla::broker
