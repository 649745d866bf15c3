// APIs of features that a broker without them still answers: SASL on a plaintext listener, ACLs
// without an authorizer, delegation tokens over a connection that proves nobody, the new consumer
// protocol in ZooKeeper mode. The answers are complete: they say that the feature is not there.
// Source: KIP-11, KIP-48, KIP-152, KIP-848; what a live 3.9 broker answers.
#include "broker/api/handlers.h"
#include "proto/kafka/consumer_group_describe.h"
#include "proto/kafka/consumer_group_heartbeat.h"
#include "proto/kafka/create_acls.h"
#include "proto/kafka/create_delegation_token.h"
#include "proto/kafka/delete_acls.h"
#include "proto/kafka/describe_acls.h"
#include "proto/kafka/describe_delegation_token.h"
#include "proto/kafka/expire_delegation_token.h"
#include "proto/kafka/renew_delegation_token.h"
#include "proto/kafka/sasl_authenticate.h"
#include "proto/kafka/sasl_handshake.h"

namespace ottla::broker {

using kmsg::ErrorCode;

namespace {

constexpr const char* kNoAuthorizer = "No Authorizer is configured.";
constexpr const char* kAnonymous = "ANONYMOUS";

// What makes an ACL request malformed, which ends its connection: an UNKNOWN anywhere, and in
// version 0 a pattern other than those it was made for. Numbers that name nothing pass.
constexpr int8_t kUnknown = 0, kAny = 1, kLiteral = 3;
bool is_malformed_filter(int16_t version, int8_t resource, int8_t pattern, int8_t operation,
                         int8_t permission) {
  if (version == 0 && pattern != kLiteral && pattern != kAny) return true;
  return resource == kUnknown || pattern == kUnknown || operation == kUnknown ||
         permission == kUnknown;
}

}  // namespace

void handle_sasl_handshake(ApiContext&, RequestPtr request) {
  kmsg::SaslHandshakeRequest asked;
  if (!decode(*request, asked)) return;
  kmsg::SaslHandshakeResponse response;
  response.error_code = ErrorCode::illegal_sasl_state;
  request->reply(response);
}

void handle_sasl_authenticate(ApiContext&, RequestPtr request) {
  kmsg::SaslAuthenticateRequest asked;
  if (!decode(*request, asked)) return;
  kmsg::SaslAuthenticateResponse response;
  response.error_code = ErrorCode::illegal_sasl_state;
  response.error_message = "SaslAuthenticate request received after successful authentication";
  request->reply(response);
}

void handle_describe_acls(ApiContext&, RequestPtr request) {
  kmsg::DescribeAclsRequest asked;
  if (!decode(*request, asked)) return;
  if (is_malformed_filter(request->version(), asked.resource_type_filter, asked.pattern_type_filter,
                          asked.operation, asked.permission_type))
    return request->close();
  kmsg::DescribeAclsResponse response;
  response.error_code = ErrorCode::security_disabled;
  response.error_message = "No Authorizer is configured on the broker";
  request->reply(response);
}

void handle_create_acls(ApiContext&, RequestPtr request) {
  kmsg::CreateAclsRequest asked;
  if (!decode(*request, asked)) return;
  kmsg::CreateAclsResponse response;
  for (const auto& creation : asked.creations) {
    if (is_malformed_filter(request->version(), creation.resource_type,
                            creation.resource_pattern_type, creation.operation,
                            creation.permission_type))
      return request->close();
    auto& result = response.results.emplace_back();
    result.error_code = ErrorCode::security_disabled;
    result.error_message = kNoAuthorizer;
  }
  request->reply(response);
}

void handle_delete_acls(ApiContext&, RequestPtr request) {
  kmsg::DeleteAclsRequest asked;
  if (!decode(*request, asked)) return;
  kmsg::DeleteAclsResponse response;
  for (const auto& filter : asked.filters) {
    if (is_malformed_filter(request->version(), filter.resource_type_filter,
                            filter.pattern_type_filter, filter.operation, filter.permission_type))
      return request->close();
    auto& result = response.filter_results.emplace_back();
    result.error_code = ErrorCode::security_disabled;
    result.error_message = kNoAuthorizer;
  }
  request->reply(response);
}

void handle_create_delegation_token(ApiContext&, RequestPtr request) {
  kmsg::CreateDelegationTokenRequest asked;
  if (!decode(*request, asked)) return;
  kmsg::CreateDelegationTokenResponse response;
  response.error_code = ErrorCode::delegation_token_request_not_allowed;
  response.principal_type = "User";
  response.principal_name = kAnonymous;
  if (request->version() >= 3) {
    if (asked.owner_principal_name && !asked.owner_principal_name->empty()) {
      if (asked.owner_principal_type) {
        response.principal_type = *asked.owner_principal_type;
        response.principal_name = *asked.owner_principal_name;
      } else {
        response.error_code = ErrorCode::unknown_server_error;  // a name of no kind
      }
    }
    response.token_requester_principal_type = "User";
    response.token_requester_principal_name = kAnonymous;
  }
  response.issue_timestamp_ms = response.expiry_timestamp_ms = response.max_timestamp_ms = -1;
  request->reply(response);
}

void handle_describe_delegation_token(ApiContext&, RequestPtr request) {
  kmsg::DescribeDelegationTokenRequest asked;
  if (!decode(*request, asked)) return;
  kmsg::DescribeDelegationTokenResponse response;
  response.error_code = ErrorCode::delegation_token_request_not_allowed;
  request->reply(response);
}

void handle_renew_delegation_token(ApiContext&, RequestPtr request) {
  kmsg::RenewDelegationTokenRequest asked;
  if (!decode(*request, asked)) return;
  kmsg::RenewDelegationTokenResponse response;
  response.error_code = ErrorCode::delegation_token_request_not_allowed;
  response.expiry_timestamp_ms = -1;
  request->reply(response);
}

void handle_expire_delegation_token(ApiContext&, RequestPtr request) {
  kmsg::ExpireDelegationTokenRequest asked;
  if (!decode(*request, asked)) return;
  kmsg::ExpireDelegationTokenResponse response;
  response.error_code = ErrorCode::delegation_token_request_not_allowed;
  response.expiry_timestamp_ms = -1;
  request->reply(response);
}

void handle_consumer_group_heartbeat(ApiContext&, RequestPtr request) {
  kmsg::ConsumerGroupHeartbeatRequest asked;
  if (!decode(*request, asked)) return;
  kmsg::ConsumerGroupHeartbeatResponse response;
  response.error_code = ErrorCode::unsupported_version;
  request->reply(response);
}

void handle_consumer_group_describe(ApiContext&, RequestPtr request) {
  kmsg::ConsumerGroupDescribeRequest asked;
  if (!decode(*request, asked)) return;
  kmsg::ConsumerGroupDescribeResponse response;
  for (const std::string& group : asked.group_ids) {
    auto& described = response.groups.emplace_back();
    described.error_code = ErrorCode::unsupported_version;
    described.group_id = group;
  }
  request->reply(response);
}

}  // namespace ottla::broker
