// UpdateFeatures. A broker in ZooKeeper mode supports no feature that could be finalized, and none
// is finalized: whatever is asked is refused, by the first rule that it breaks.
// Source: KIP-584, KIP-778 (upgrade types).
#include "proto/kafka/update_features.h"

#include <fmt/core.h>

#include <map>

#include "broker/api/handlers.h"

namespace ottla::broker {

using kmsg::ErrorCode;

namespace {

enum class UpgradeType : int8_t { upgrade = 1, safe_downgrade = 2, unsafe_downgrade = 3 };

std::string fault(const kmsg::UpdateFeaturesRequest::FeatureUpdateKey& update, int8_t type) {
  if (update.feature.empty()) return "Feature name can not be empty.";
  if (type < static_cast<int8_t>(UpgradeType::upgrade) ||
      type > static_cast<int8_t>(UpgradeType::unsafe_downgrade))
    return "Received unknown upgrade type.";
  bool upgrade = type == static_cast<int8_t>(UpgradeType::upgrade);
  if (update.max_version_level < 1 && !upgrade)
    return "Can not delete non-existing finalized feature.";
  if (update.max_version_level < 1)
    return fmt::format(
        "Can not provide versionLevel: {} less than 1 without setting the SAFE downgradeType in "
        "the request.",
        update.max_version_level);
  return "Could not apply finalized feature update because the provided feature is not supported.";
}

}  // namespace

void handle_update_features(ApiContext& context, RequestPtr request) {
  kmsg::UpdateFeaturesRequest asked;
  if (!decode(*request, asked)) return;
  kmsg::UpdateFeaturesResponse response;
  response.error_message = std::nullopt;
  if (!context.control.is_active_controller()) {
    response.error_code = ErrorCode::not_controller;
    response.error_message = std::string(kmsg::error_message(ErrorCode::not_controller));
    return request->reply(response);
  }
  std::map<std::string, std::string> faults;  // of a feature that stands there twice, the last
  for (const auto& update : asked.feature_updates) {
    int8_t type = update.upgrade_type;
    if (request->version() == 0)
      type = static_cast<int8_t>(update.allow_downgrade ? UpgradeType::safe_downgrade
                                                        : UpgradeType::upgrade);
    faults[update.feature] = fault(update, type);
  }
  for (auto& [feature, message] : faults) {
    auto& result = response.results.emplace_back();
    result.feature = feature;
    result.error_code = ErrorCode::invalid_request;
    result.error_message = std::move(message);
  }
  request->reply(response);
}

}  // namespace ottla::broker
