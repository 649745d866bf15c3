// What this broker speaks: all 62 APIs of a Kafka 3.9 broker in ZooKeeper mode, in the version
// ranges of their schemas. One that were not here would not be advertised, and end its connection.
#include "broker/api/handlers.h"

namespace ottla::broker {
namespace {

using kmsg::ApiKey;

constexpr ApiHandler kHandlers[] = {
    {ApiKey::produce, handle_produce},
    {ApiKey::fetch, handle_fetch},
    {ApiKey::list_offsets, handle_list_offsets},
    {ApiKey::metadata, handle_metadata},
    {ApiKey::leader_and_isr, handle_leader_and_isr},
    {ApiKey::stop_replica, handle_stop_replica},
    {ApiKey::update_metadata, handle_update_metadata},
    {ApiKey::controlled_shutdown, handle_controlled_shutdown},
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
    {ApiKey::add_partitions_to_txn, handle_add_partitions_to_txn},
    {ApiKey::add_offsets_to_txn, handle_add_offsets_to_txn},
    {ApiKey::end_txn, handle_end_txn},
    {ApiKey::write_txn_markers, handle_write_txn_markers},
    {ApiKey::txn_offset_commit, handle_txn_offset_commit},
    {ApiKey::describe_acls, handle_describe_acls},
    {ApiKey::create_acls, handle_create_acls},
    {ApiKey::delete_acls, handle_delete_acls},
    {ApiKey::describe_configs, handle_describe_configs},
    {ApiKey::alter_configs, handle_alter_configs},
    {ApiKey::alter_replica_log_dirs, handle_alter_replica_log_dirs},
    {ApiKey::describe_log_dirs, handle_describe_log_dirs},
    {ApiKey::sasl_authenticate, handle_sasl_authenticate},
    {ApiKey::create_partitions, handle_create_partitions},
    {ApiKey::create_delegation_token, handle_create_delegation_token},
    {ApiKey::renew_delegation_token, handle_renew_delegation_token},
    {ApiKey::expire_delegation_token, handle_expire_delegation_token},
    {ApiKey::describe_delegation_token, handle_describe_delegation_token},
    {ApiKey::delete_groups, handle_group_api},
    {ApiKey::elect_leaders, handle_elect_leaders},
    {ApiKey::alter_partition_reassignments, handle_alter_partition_reassignments},
    {ApiKey::list_partition_reassignments, handle_list_partition_reassignments},
    {ApiKey::incremental_alter_configs, handle_incremental_alter_configs},
    {ApiKey::offset_delete, handle_group_api},
    {ApiKey::describe_client_quotas, handle_describe_client_quotas},
    {ApiKey::alter_client_quotas, handle_alter_client_quotas},
    {ApiKey::describe_user_scram_credentials, handle_describe_user_scram_credentials},
    {ApiKey::alter_user_scram_credentials, handle_alter_user_scram_credentials},
    {ApiKey::alter_partition, handle_alter_partition},
    {ApiKey::update_features, handle_update_features},
    {ApiKey::envelope, handle_envelope},
    {ApiKey::describe_cluster, handle_describe_cluster},
    {ApiKey::describe_producers, handle_describe_producers},
    {ApiKey::describe_transactions, handle_describe_transactions},
    {ApiKey::list_transactions, handle_list_transactions},
    {ApiKey::allocate_producer_ids, handle_allocate_producer_ids},
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
