// What this broker speaks. An API that is not here is not advertised, and its requests end their
// connection. Version ranges are those of the schemas: all that Kafka 3.9 has.
#include "broker/api/handlers.h"

namespace ottla::broker {
namespace {

using kmsg::ApiKey;

constexpr ApiHandler kHandlers[] = {
    {ApiKey::produce, handle_produce},
    {ApiKey::fetch, handle_fetch},
    {ApiKey::list_offsets, handle_list_offsets},
    {ApiKey::metadata, handle_metadata},
    {ApiKey::offset_commit, handle_offset_commit},
    {ApiKey::offset_fetch, handle_offset_fetch},
    {ApiKey::find_coordinator, handle_find_coordinator},
    {ApiKey::join_group, handle_group_api},
    {ApiKey::heartbeat, handle_group_api},
    {ApiKey::leave_group, handle_group_api},
    {ApiKey::sync_group, handle_group_api},
    {ApiKey::describe_groups, handle_group_api},
    {ApiKey::list_groups, handle_group_api},
    {ApiKey::sasl_handshake, handle_sasl_handshake},
    {ApiKey::api_versions, handle_api_versions},
    {ApiKey::create_topics, handle_create_topics},
    {ApiKey::delete_topics, handle_delete_topics},
    {ApiKey::delete_records, handle_delete_records},
    {ApiKey::init_producer_id, handle_init_producer_id},
    {ApiKey::offset_for_leader_epoch, handle_offset_for_leader_epoch},
    {ApiKey::describe_acls, handle_describe_acls},
    {ApiKey::create_acls, handle_create_acls},
    {ApiKey::delete_acls, handle_delete_acls},
    {ApiKey::describe_configs, handle_describe_configs},
    {ApiKey::alter_configs, handle_alter_configs},
    {ApiKey::describe_log_dirs, handle_describe_log_dirs},
    {ApiKey::sasl_authenticate, handle_sasl_authenticate},
    {ApiKey::create_partitions, handle_create_partitions},
    {ApiKey::create_delegation_token, handle_create_delegation_token},
    {ApiKey::renew_delegation_token, handle_renew_delegation_token},
    {ApiKey::expire_delegation_token, handle_expire_delegation_token},
    {ApiKey::describe_delegation_token, handle_describe_delegation_token},
    {ApiKey::delete_groups, handle_group_api},
    {ApiKey::incremental_alter_configs, handle_incremental_alter_configs},
    {ApiKey::offset_delete, handle_group_api},
    {ApiKey::describe_client_quotas, handle_describe_client_quotas},
    {ApiKey::alter_client_quotas, handle_alter_client_quotas},
    {ApiKey::describe_user_scram_credentials, handle_describe_user_scram_credentials},
    {ApiKey::alter_user_scram_credentials, handle_alter_user_scram_credentials},
    {ApiKey::describe_cluster, handle_describe_cluster},
    {ApiKey::describe_producers, handle_describe_producers},
    {ApiKey::consumer_group_heartbeat, handle_consumer_group_heartbeat},
    {ApiKey::consumer_group_describe, handle_consumer_group_describe},
};

}  // namespace

std::span<const ApiHandler> api_handlers() { return kHandlers; }

const ApiHandler* find_handler(ApiKey key) {
  for (const ApiHandler& handler : kHandlers)
    if (handler.key == key) return &handler;
  return nullptr;
}

}  // namespace ottla::broker
