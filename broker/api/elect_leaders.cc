// ElectLeaders, and the reassignment of partitions: PartitionAdmin (broker/controller) does the
// work. Source: KIP-183, KIP-460 (ElectLeaders); KIP-455 (reassignment).
#include "proto/kafka/elect_leaders.h"

#include "broker/api/handlers.h"
#include "broker/controller/partition_admin.h"

namespace ottla::broker {

void handle_elect_leaders(ApiContext& context, RequestPtr request) {
  kmsg::ElectLeadersRequest asked;
  if (!decode(*request, asked)) return;
  context.control.partitions().elect_leaders(
      asked, [request = std::move(request)](kmsg::ElectLeadersResponse response) {
        // Version 0 has no error of its own.
        if (request->version() == 0) response.error_code = kmsg::ErrorCode::none;
        request->reply(response);
      });
}

void handle_alter_partition_reassignments(ApiContext& context, RequestPtr request) {
  kmsg::AlterPartitionReassignmentsRequest asked;
  if (!decode(*request, asked)) return;
  context.control.partitions().alter_reassignments(
      asked, [request = std::move(request)](kmsg::AlterPartitionReassignmentsResponse response) {
        request->reply(response);
      });
}

void handle_list_partition_reassignments(ApiContext& context, RequestPtr request) {
  kmsg::ListPartitionReassignmentsRequest asked;
  if (!decode(*request, asked)) return;
  context.control.partitions().list_reassignments(
      asked, [request = std::move(request)](kmsg::ListPartitionReassignmentsResponse response) {
        request->reply(response);
      });
}

}  // namespace ottla::broker
