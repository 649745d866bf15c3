// ApiVersions. Source: KIP-35, KIP-511, KIP-584.
#include "proto/kafka/api_versions.h"
#include "broker/api/handlers.h"

namespace ottla::broker {

using kmsg::ApiKey;
using kmsg::ErrorCode;

namespace {

bool is_alphanumeric(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

// [a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?
bool is_software_name(std::string_view text) {
  if (text.empty() || !is_alphanumeric(text.front()) || !is_alphanumeric(text.back())) return false;
  for (char c : text)
    if (!is_alphanumeric(c) && c != '-' && c != '.') return false;
  return true;
}

void add_api(kmsg::ApiVersionsResponse& response, const kmsg::ApiInfo& info) {
  kmsg::ApiVersionsResponse::ApiVersion entry;
  entry.api_key = static_cast<int16_t>(info.key);
  entry.min_version = info.min;
  entry.max_version = info.max;
  response.api_keys.push_back(std::move(entry));
}

}  // namespace

void handle_api_versions(ApiContext&, RequestPtr request) {
  kmsg::ApiVersionsResponse response;
  if (request->unsupported_version()) {
    // Answered in the oldest form, with the one range that the client needs to try again.
    response.error_code = ErrorCode::unsupported_version;
    add_api(response, request->info());
    return request->reply_at(response, 0);
  }
  kmsg::ApiVersionsRequest asked;
  if (!decode(*request, asked)) return;
  if (request->version() >= 3) {
    if (!is_software_name(asked.client_software_name) ||
        !is_software_name(asked.client_software_version)) {
      response.error_code = ErrorCode::invalid_request;
      return request->reply(response);
    }
    request->client().software_name = asked.client_software_name;
    request->client().software_version = asked.client_software_version;
  }
  for (const kmsg::ApiInfo& info : kmsg::kApis)
    if (find_handler(info.key) != nullptr) add_api(response, info);
  // The version of the /feature znode, which is never changed after it was made.
  response.finalized_features_epoch = 0;
  request->reply(response);
}

}  // namespace ottla::broker
