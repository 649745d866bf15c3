// Operation codes of the client protocol; transactions in the log carry the same numbers.
// Source: ZooKeeper, ZooDefs.OpCode (numbers).
#pragma once

#include <cstdint>
#include <string_view>

namespace ottla::jute {

// Any int32 may come from the wire: an unlisted value is legal to hold and is no operation.
enum class OpCode : int32_t {
  error = -1,  // only in transactions
  notification = 0,
  create = 1,
  remove = 2,  // "delete"
  exists = 3,
  get_data = 4,
  set_data = 5,
  get_acl = 6,
  set_acl = 7,
  get_children = 8,
  sync = 9,
  ping = 11,
  get_children2 = 12,
  check = 13,
  multi = 14,
  create2 = 15,
  reconfig = 16,
  check_watches = 17,
  remove_watches = 18,
  create_container = 19,
  delete_container = 20,
  create_ttl = 21,
  multi_read = 22,
  auth = 100,
  set_watches = 101,
  sasl = 102,
  get_ephemerals = 103,
  get_all_children_number = 104,
  set_watches2 = 105,
  add_watch = 106,
  who_am_i = 107,
  create_session = -10,
  close_session = -11,
};

// "create", "getData", ...; "unknown" for an unlisted number.
std::string_view op_name(OpCode op);

}  // namespace ottla::jute
