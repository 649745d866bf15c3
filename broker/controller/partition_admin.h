// PartitionAdmin: what the broker that is the controller answers to ElectLeaders, to the two
// reassignment APIs, and to what other brokers ask of their controller. The decisions are
// Controller's; here requests become its calls, and an election's answer waits until this broker's
// metadata shows the new leaders, or for the request's timeout. Runs on the broker's loop.
// Source: KIP-455, KIP-460, KIP-497.
#pragma once

#include <cstdint>
#include <memory>

#include "common/base/fn.h"
#include "common/rt/world.h"
#include "proto/kafka/alter_partition.h"
#include "proto/kafka/alter_partition_reassignments.h"
#include "proto/kafka/controlled_shutdown.h"
#include "proto/kafka/elect_leaders.h"
#include "proto/kafka/list_partition_reassignments.h"

namespace ottla::broker {

class Controller;
class TopicAdminHost;

class PartitionAdmin {
 public:
  PartitionAdmin(rt::World& world, Controller& controller, TopicAdminHost& host);
  ~PartitionAdmin();

  // Null partitions: all that the metadata knows; those that need no election are not named then.
  void elect_leaders(const kmsg::ElectLeadersRequest& request,
                     Fn<void(kmsg::ElectLeadersResponse)> done);
  void alter_reassignments(const kmsg::AlterPartitionReassignmentsRequest& request,
                           Fn<void(kmsg::AlterPartitionReassignmentsResponse)> done);
  void list_reassignments(const kmsg::ListPartitionReassignmentsRequest& request,
                          Fn<void(kmsg::ListPartitionReassignmentsResponse)> done);
  void alter_partition(kmsg::AlterPartitionRequest request, int16_t version,
                       Fn<void(kmsg::AlterPartitionResponse)> done);
  // Names the partitions that the broker goes on leading. It leads all of them still: moving them
  // away comes with replication between brokers.
  void controlled_shutdown(const kmsg::ControlledShutdownRequest& request,
                           Fn<void(kmsg::ControlledShutdownResponse)> done);

  // To be called after each new metadata image.
  void on_metadata_changed();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace ottla::broker
