// What brokers and controllers ask of each other, over the network: the controller's LeaderAndIsr,
// StopReplica and UpdateMetadata are carried out as those of our own controller are; the requests
// to a controller go to ours. Stale epochs and strangers are refused by those who carry them out.
// Not here: Fetch and OffsetForLeaderEpoch, which consumers send too.
// Source: KIP-380 (broker epochs), KIP-497 (AlterPartition), KIP-730 (AllocateProducerIds), KIP-590
// (Envelope).
#include "broker/api/handlers.h"
#include "broker/controller/partition_admin.h"
#include "proto/kafka/allocate_producer_ids.h"
#include "proto/kafka/alter_partition.h"
#include "proto/kafka/controlled_shutdown.h"
#include "proto/kafka/leader_and_isr.h"
#include "proto/kafka/stop_replica.h"
#include "proto/kafka/update_metadata.h"

namespace ottla::broker {

using kmsg::ErrorCode;

namespace {

// Before it the answer is one list of partitions, from it on they stand below their topics.
constexpr int16_t kLeaderAndIsrByTopicId = 5;

// Partitions come loose in old versions, below their topics later; the broker knows the latter.
void group_by_topic(kmsg::UpdateMetadataRequest& request) {
  for (auto& state : request.ungrouped_partition_states) {
    auto& topics = request.topic_states;
    if (topics.empty() || topics.back().topic_name != state.topic_name)
      topics.emplace_back().topic_name = state.topic_name;
    topics.back().partition_states.push_back(std::move(state));
  }
  request.ungrouped_partition_states.clear();
  for (auto& broker : request.live_brokers) {
    if (broker.endpoints.empty() && !broker.v0_host.empty()) {
      auto& endpoint = broker.endpoints.emplace_back();
      endpoint.host = broker.v0_host;
      endpoint.port = broker.v0_port;
    }
    for (auto& endpoint : broker.endpoints)
      if (endpoint.listener.empty())
        endpoint.listener = std::string(security_protocol_name(endpoint.security_protocol));
  }
}

// A controller of KRaft that claims to know this broker's epoch: only a broker that migrates has
// one to compare with, and Kafka's own fails there without a word of its own.
template <class Message>
bool is_from_kraft(const Message& asked) {
  return asked.is_kraft_controller && asked.broker_epoch != -1;
}

kmsg::LeaderAndIsrResponse failed(const kmsg::LeaderAndIsrRequest& asked) {
  kmsg::LeaderAndIsrResponse response;
  response.error_code = ErrorCode::unknown_server_error;
  for (const auto& topic : asked.topic_states) {
    auto& answer = response.topics.emplace_back();
    answer.topic_id = topic.topic_id;
    for (const auto& state : topic.partition_states) {
      auto& entry = answer.partition_errors.emplace_back();
      entry.partition_index = state.partition_index;
      entry.error_code = response.error_code;
    }
  }
  return response;
}

kmsg::StopReplicaResponse failed(const kmsg::StopReplicaRequest& asked) {
  kmsg::StopReplicaResponse response;
  response.error_code = ErrorCode::unknown_server_error;
  for (const auto& topic : asked.topic_states)
    for (const auto& state : topic.partition_states) {
      auto& entry = response.partition_errors.emplace_back();
      entry.topic_name = topic.topic_name;
      entry.partition_index = state.partition_index;
      entry.error_code = response.error_code;
    }
  return response;
}

// Versions 1 and 2 name a listener by its protocol, which must be one.
bool names_listeners(const kmsg::UpdateMetadataRequest& asked, int16_t version) {
  if (version == 0 || version > 2) return true;
  for (const auto& broker : asked.live_brokers)
    for (const auto& endpoint : broker.endpoints)
      if (endpoint.security_protocol < 0 || endpoint.security_protocol > 3) return false;
  return true;
}

}  // namespace

void handle_leader_and_isr(ApiContext& context, RequestPtr request) {
  kmsg::LeaderAndIsrRequest asked;
  if (!decode(*request, asked)) return;
  if (is_from_kraft(asked)) return request->reply(failed(asked));
  context.executor.execute(std::move(asked),
                           [request = std::move(request)](kmsg::LeaderAndIsrResponse response) {
                             if (request->version() < kLeaderAndIsrByTopicId) {
                               response.topics.clear();
                             } else {
                               response.partition_errors.clear();
                             }
                             request->reply(response);
                           });
}

void handle_stop_replica(ApiContext& context, RequestPtr request) {
  kmsg::StopReplicaRequest asked;
  if (!decode(*request, asked)) return;
  if (is_from_kraft(asked)) return request->reply(failed(asked));
  context.executor.execute(std::move(asked),
                           [request = std::move(request)](kmsg::StopReplicaResponse response) {
                             request->reply(response);
                           });
}

void handle_update_metadata(ApiContext& context, RequestPtr request) {
  kmsg::UpdateMetadataRequest asked;
  if (!decode(*request, asked)) return;
  if (!names_listeners(asked, request->version())) return request->close();
  if (is_from_kraft(asked)) {
    kmsg::UpdateMetadataResponse response;
    response.error_code = ErrorCode::unknown_server_error;
    return request->reply(response);
  }
  group_by_topic(asked);
  context.executor.execute(std::move(asked),
                           [request = std::move(request)](kmsg::UpdateMetadataResponse response) {
                             request->reply(response);
                           });
}

void handle_controlled_shutdown(ApiContext& context, RequestPtr request) {
  kmsg::ControlledShutdownRequest asked;
  if (!decode(*request, asked)) return;
  context.control.partitions().controlled_shutdown(
      asked, [request = std::move(request)](kmsg::ControlledShutdownResponse response) {
        request->reply(response);
      });
}

void handle_alter_partition(ApiContext& context, RequestPtr request) {
  kmsg::AlterPartitionRequest asked;
  if (!decode(*request, asked)) return;
  int16_t version = request->version();
  context.control.partitions().alter_partition(
      std::move(asked), version,
      [request = std::move(request)](kmsg::AlterPartitionResponse response) {
        request->reply(response);
      });
}

void handle_allocate_producer_ids(ApiContext& context, RequestPtr request) {
  kmsg::AllocateProducerIdsRequest asked;
  if (!decode(*request, asked)) return;
  context.control.allocate_producer_ids_for(
      asked.broker_id, asked.broker_epoch,
      [request = std::move(request)](ErrorCode error, ProducerIdRange ids) {
        kmsg::AllocateProducerIdsResponse response;
        response.error_code = error;
        response.producer_id_start = ids.first;
        response.producer_id_len = ids.count;
        request->reply(response);
      });
}

// Forwarding is for clusters that migrate to KRaft; outside of it a broker takes no envelopes and
// ends the connection.
void handle_envelope(ApiContext&, RequestPtr request) { request->close(); }

}  // namespace ottla::broker
