// DescribeUserScramCredentials and AlterUserScramCredentials: the credentials that SCRAM logins are
// checked against, kept among a user's configs. Nobody logs in yet: they are for the day when TLS
// and SASL are built, and for brokers of the same cluster that have them. Source: KIP-554.
#include <map>
#include <set>

#include "broker/api/entities.h"
#include "broker/api/handlers.h"
#include "broker/controller/config_store.h"
#include "common/base/log.h"
#include "proto/kafka/alter_user_scram_credentials.h"
#include "proto/kafka/describe_user_scram_credentials.h"

namespace ottla::broker {

using kmsg::ErrorCode;

namespace {

constexpr log::Room kLog{"broker.api"};
constexpr int32_t kMinIterations = 4096, kMaxIterations = 16384;
constexpr const char* kNoName = "Username must not be empty";
constexpr const char* kNoMechanism = "Unknown SCRAM mechanism";

// ------------------------------------------------------------------------------------- describe

using DescribeResponse = kmsg::DescribeUserScramCredentialsResponse;
using DescribeResult = DescribeResponse::DescribeUserScramCredentialsResult;

struct Described {
  ApiContext& context;
  RequestPtr request;
  std::vector<std::string> users;  // each once
  size_t next = 0;
  std::set<std::string> twice;
  DescribeResponse response;
};

std::optional<DescribeResult> credentials_of(const std::string& user, const ConfigMap& config) {
  DescribeResult result;
  result.user = user;
  bool any = false;
  for (int8_t mechanism : {int8_t{1}, int8_t{2}}) {
    auto at = config.find(scram_mechanism_name(mechanism));
    if (at == config.end()) continue;
    any = true;
    auto iterations = scram_iterations(at->second);
    if (!iterations) {
      result.error_code = ErrorCode::unknown_server_error;
      result.error_message = std::string(kmsg::error_message(ErrorCode::unknown_server_error));
      result.credential_infos.clear();
      return result;
    }
    auto& info = result.credential_infos.emplace_back();
    info.mechanism = mechanism;
    info.iterations = *iterations;
  }
  if (!any) return std::nullopt;
  return result;
}

DescribeResult refused(const std::string& user, ErrorCode error, std::string message) {
  DescribeResult result;
  result.user = user;
  result.error_code = error;
  result.error_message = std::move(message);
  return result;
}

void describe_next(std::shared_ptr<Described> call) {
  while (call->next < call->users.size()) {
    const std::string& user = call->users[call->next++];
    auto& results = call->response.results;
    if (user.empty()) {
      results.push_back(refused(user, ErrorCode::resource_not_found, kNoName));
      continue;
    }
    if (call->twice.contains(user)) {
      results.push_back(refused(
          user, ErrorCode::duplicate_resource,
          "Cannot describe SCRAM credentials for the same user twice in a single request: " +
              user));
      continue;
    }
    return call->context.control.configs().read(
        "users", sanitize(user), [call, &user](Result<ConfigMap> config) mutable {
          std::optional<DescribeResult> result;
          if (!config)
            result = refused(user, ErrorCode::unknown_server_error,
                             std::string(kmsg::error_message(ErrorCode::unknown_server_error)));
          else
            result = credentials_of(user, *config);
          call->response.results.push_back(result ? std::move(*result)
                                                  : refused(user, ErrorCode::resource_not_found,
                                                            "Attempt to describe a user credential "
                                                            "that does not exist: " +
                                                                user));
          describe_next(std::move(call));
        });
  }
  call->request->reply(call->response);
}

void describe_all(const std::shared_ptr<Described>& call) {
  call->context.control.configs().read_all(
      "users", "", [call](Result<std::map<std::string, ConfigMap>> all) {
        if (!all) {
          call->response.error_code = ErrorCode::unknown_server_error;
          call->response.error_message =
              std::string(kmsg::error_message(ErrorCode::unknown_server_error));
          return call->request->reply(call->response);
        }
        std::map<std::string, DescribeResult> sorted;
        for (const auto& [part, config] : *all)
          if (auto result = credentials_of(desanitize(part), config))
            sorted.emplace(desanitize(part), std::move(*result));
        for (auto& [user, result] : sorted) call->response.results.push_back(std::move(result));
        call->request->reply(call->response);
      });
}

// ---------------------------------------------------------------------------------------- alter

using AlterRequest = kmsg::AlterUserScramCredentialsRequest;
using AlterResponse = kmsg::AlterUserScramCredentialsResponse;

struct Altered {
  ApiContext& context;
  RequestPtr request;
  AlterRequest asked;
  AlterResponse response;
  std::vector<std::string> users;           // those still to be changed, each once
  std::map<std::string, ConfigMap> stored;  // their configs
  size_t next = 0;
};
using AlteredPtr = std::shared_ptr<Altered>;

void add_result(Altered& call, const std::string& user, ErrorCode error,
                std::optional<std::string> message) {
  auto& result = call.response.results.emplace_back();
  result.user = user;
  result.error_code = error;
  result.error_message = std::move(message);
}

// Users with a request that can never be right, each with the reason that is told: the last one.
std::map<std::string, std::string> illegal_users(const AlterRequest& asked) {
  std::map<std::string, std::string> why;
  for (const auto& deletion : asked.deletions) {
    if (deletion.name.empty())
      why[deletion.name] = kNoName;
    else if (scram_mechanism_name(deletion.mechanism) == nullptr)
      why[deletion.name] = kNoMechanism;
  }
  for (const auto& upsertion : asked.upsertions) {
    if (upsertion.name.empty())
      why[upsertion.name] = kNoName;
    else if (scram_mechanism_name(upsertion.mechanism) == nullptr)
      why[upsertion.name] = kNoMechanism;
    else if (upsertion.iterations > kMaxIterations)
      why[upsertion.name] = "Too many iterations";
    else if (upsertion.iterations < kMinIterations)
      why[upsertion.name] = "Too few iterations";
  }
  return why;
}

// Sorts out who is to be changed; the others get their answer.
void choose_users(Altered& call) {
  auto illegal = illegal_users(call.asked);
  for (const auto& [user, why] : illegal)
    add_result(call, user,
               why == kNoMechanism ? ErrorCode::unsupported_sasl_mechanism
                                   : ErrorCode::unacceptable_credential,
               why);
  std::set<std::pair<std::string, int8_t>> seen;
  std::set<std::string> twice, named;
  auto note = [&](const std::string& user, int8_t mechanism) {
    if (illegal.contains(user)) return;
    if (!seen.emplace(user, mechanism).second) twice.insert(user);
    if (named.insert(user).second) call.users.push_back(user);
  };
  for (const auto& upsertion : call.asked.upsertions) note(upsertion.name, upsertion.mechanism);
  for (const auto& deletion : call.asked.deletions) note(deletion.name, deletion.mechanism);
  for (const std::string& user : twice)
    add_result(call, user, ErrorCode::duplicate_resource,
               "A user credential cannot be altered twice in the same request");
  std::erase_if(call.users, [&](const std::string& user) { return twice.contains(user); });
}

void write_next(AlteredPtr call) {
  if (call->next == call->users.size()) return call->request->reply(call->response);
  const std::string& user = call->users[call->next++];
  call->context.control.configs().write(
      "users", sanitize(user), call->stored[user], [call, &user](Result<void> written) mutable {
        if (written) {
          log::info(kLog, "SCRAM credentials changed by request", "user={}", user);
          add_result(*call, user, ErrorCode::none, "");
        } else {
          log::warn(kLog, "SCRAM credentials were not written", "user={} why=\"{}\"", user,
                    written.error().context);
          add_result(*call, user, ErrorCode::unknown_server_error,
                     std::string(kmsg::error_message(ErrorCode::unknown_server_error)));
        }
        write_next(std::move(call));
      });
}

// All configs are read: what cannot be deleted is refused, the rest is changed and written.
void change(AlteredPtr call) {
  std::set<std::string> missing;
  for (const auto& deletion : call->asked.deletions) {
    auto at = call->stored.find(deletion.name);
    if (at != call->stored.end() && !at->second.contains(scram_mechanism_name(deletion.mechanism)))
      missing.insert(deletion.name);
  }
  for (const std::string& user : missing)
    add_result(*call, user, ErrorCode::resource_not_found,
               "Attempt to delete a user credential that does not exist");
  std::erase_if(call->users, [&](const std::string& user) { return missing.contains(user); });
  std::set<std::string> chosen(call->users.begin(), call->users.end());
  auto is_chosen = [&](const std::string& user) { return chosen.contains(user); };
  for (const auto& deletion : call->asked.deletions)
    if (is_chosen(deletion.name))
      call->stored[deletion.name].erase(scram_mechanism_name(deletion.mechanism));
  for (const auto& one : call->asked.upsertions) {
    if (!is_chosen(one.name)) continue;
    // No key can be made of nothing: as in Kafka's broker, nobody is changed then.
    if (one.salted_password.empty()) {
      for (const std::string& user : call->users)
        add_result(*call, user, ErrorCode::unknown_server_error,
                   std::string(kmsg::error_message(ErrorCode::unknown_server_error)));
      return call->request->reply(call->response);
    }
    call->stored[one.name][scram_mechanism_name(one.mechanism)] =
        scram_credential(one.mechanism, one.salt, one.salted_password, one.iterations);
  }
  write_next(std::move(call));
}

void read_next(AlteredPtr call) {
  if (call->next == call->users.size()) {
    call->next = 0;
    return change(std::move(call));
  }
  const std::string& user = call->users[call->next++];
  call->context.control.configs().read("users", sanitize(user),
                                       [call, &user](Result<ConfigMap> config) mutable {
                                         if (!config) return call->request->close();
                                         call->stored[user] = std::move(*config);
                                         read_next(std::move(call));
                                       });
}

}  // namespace

void handle_describe_user_scram_credentials(ApiContext& context, RequestPtr request) {
  kmsg::DescribeUserScramCredentialsRequest asked;
  if (!decode(*request, asked)) return;
  auto call = std::make_shared<Described>(Described{context, std::move(request), {}, 0, {}, {}});
  if (!asked.users || asked.users->empty()) return describe_all(call);
  std::set<std::string> named;
  for (auto& user : *asked.users) {
    if (!named.insert(user.name).second)
      call->twice.insert(user.name);
    else
      call->users.push_back(std::move(user.name));
  }
  describe_next(std::move(call));
}

void handle_alter_user_scram_credentials(ApiContext& context, RequestPtr request) {
  AlterRequest asked;
  if (!decode(*request, asked)) return;
  auto call = std::make_shared<Altered>(
      Altered{context, std::move(request), std::move(asked), {}, {}, {}, 0});
  if (!context.control.is_active_controller()) {
    // Once for every user that is named, in the order of the request.
    std::set<std::string> named;
    std::string text(kmsg::error_message(ErrorCode::not_controller));
    for (const auto& deletion : call->asked.deletions)
      if (named.insert(deletion.name).second)
        add_result(*call, deletion.name, ErrorCode::not_controller, text);
    for (const auto& upsertion : call->asked.upsertions)
      if (named.insert(upsertion.name).second)
        add_result(*call, upsertion.name, ErrorCode::not_controller, text);
    return call->request->reply(call->response);
  }
  choose_users(*call);
  read_next(std::move(call));
}

}  // namespace ottla::broker
