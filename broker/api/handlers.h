// One line an API: the handlers, each in the file of its name. The registry (registry.cc) is the
// list of what this broker speaks; the ApiVersions answer is made from it.
#pragma once

#include <span>

#include "broker/api/context.h"
#include "broker/api/request.h"
#include "common/wire/reader.h"

namespace ottla::broker {

struct ApiHandler {
  kmsg::ApiKey key;
  void (*handle)(ApiContext& context, RequestPtr request);
};

std::span<const ApiHandler> api_handlers();        // in the order of their keys
const ApiHandler* find_handler(kmsg::ApiKey key);  // null: not built, so not spoken

// The handlers. Each decodes its own request: decode() of request.h closes the connection on
// garbage.
void handle_produce(ApiContext& context, RequestPtr request);
void handle_fetch(ApiContext& context, RequestPtr request);
void handle_list_offsets(ApiContext& context, RequestPtr request);
void handle_metadata(ApiContext& context, RequestPtr request);
void handle_offset_commit(ApiContext& context, RequestPtr request);
void handle_offset_fetch(ApiContext& context, RequestPtr request);
void handle_find_coordinator(ApiContext& context, RequestPtr request);
void handle_api_versions(ApiContext& context, RequestPtr request);
void handle_create_topics(ApiContext& context, RequestPtr request);
void handle_delete_topics(ApiContext& context, RequestPtr request);
void handle_delete_records(ApiContext& context, RequestPtr request);
void handle_init_producer_id(ApiContext& context, RequestPtr request);
void handle_offset_for_leader_epoch(ApiContext& context, RequestPtr request);
void handle_describe_configs(ApiContext& context, RequestPtr request);
void handle_alter_configs(ApiContext& context, RequestPtr request);
void handle_incremental_alter_configs(ApiContext& context, RequestPtr request);
void handle_create_partitions(ApiContext& context, RequestPtr request);
void handle_describe_cluster(ApiContext& context, RequestPtr request);
void handle_describe_log_dirs(ApiContext& context, RequestPtr request);
void handle_describe_producers(ApiContext& context, RequestPtr request);
void handle_describe_client_quotas(ApiContext& context, RequestPtr request);
void handle_alter_client_quotas(ApiContext& context, RequestPtr request);
void handle_describe_user_scram_credentials(ApiContext& context, RequestPtr request);
void handle_alter_user_scram_credentials(ApiContext& context, RequestPtr request);
void handle_elect_leaders(ApiContext& context, RequestPtr request);
void handle_alter_partition_reassignments(ApiContext& context, RequestPtr request);
void handle_list_partition_reassignments(ApiContext& context, RequestPtr request);
void handle_update_features(ApiContext& context, RequestPtr request);
void handle_alter_replica_log_dirs(ApiContext& context, RequestPtr request);
// Between brokers, and from a controller: inter_broker.cc.
void handle_leader_and_isr(ApiContext& context, RequestPtr request);
void handle_stop_replica(ApiContext& context, RequestPtr request);
void handle_update_metadata(ApiContext& context, RequestPtr request);
void handle_controlled_shutdown(ApiContext& context, RequestPtr request);
void handle_alter_partition(ApiContext& context, RequestPtr request);
void handle_allocate_producer_ids(ApiContext& context, RequestPtr request);
void handle_envelope(ApiContext& context, RequestPtr request);
// Of a broker that holds no transactional id: transactions.cc.
void handle_add_partitions_to_txn(ApiContext& context, RequestPtr request);
void handle_add_offsets_to_txn(ApiContext& context, RequestPtr request);
void handle_end_txn(ApiContext& context, RequestPtr request);
void handle_txn_offset_commit(ApiContext& context, RequestPtr request);
void handle_write_txn_markers(ApiContext& context, RequestPtr request);
void handle_describe_transactions(ApiContext& context, RequestPtr request);
void handle_list_transactions(ApiContext& context, RequestPtr request);
// What a broker without these features says of them: unconfigured.cc.
void handle_sasl_handshake(ApiContext& context, RequestPtr request);
void handle_sasl_authenticate(ApiContext& context, RequestPtr request);
void handle_describe_acls(ApiContext& context, RequestPtr request);
void handle_create_acls(ApiContext& context, RequestPtr request);
void handle_delete_acls(ApiContext& context, RequestPtr request);
void handle_create_delegation_token(ApiContext& context, RequestPtr request);
void handle_describe_delegation_token(ApiContext& context, RequestPtr request);
void handle_renew_delegation_token(ApiContext& context, RequestPtr request);
void handle_expire_delegation_token(ApiContext& context, RequestPtr request);
void handle_consumer_group_heartbeat(ApiContext& context, RequestPtr request);
void handle_consumer_group_describe(ApiContext& context, RequestPtr request);
// Every API of the group coordinator: group_service.cc. Version 0 of OffsetCommit and OffsetFetch
// is none of its business: offsets_in_zookeeper.cc.
void handle_group_api(ApiContext& context, RequestPtr request);

}  // namespace ottla::broker
