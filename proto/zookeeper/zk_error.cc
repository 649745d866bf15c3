#include "proto/zookeeper/zk_error.h"

namespace ottla::jute {

std::string_view error_name(ZkError error) {
  switch (error) {
    case ZkError::ok:
      return "Ok";
    case ZkError::system_error:
      return "SystemError";
    case ZkError::runtime_inconsistency:
      return "RuntimeInconsistency";
    case ZkError::data_inconsistency:
      return "DataInconsistency";
    case ZkError::connection_loss:
      return "ConnectionLoss";
    case ZkError::marshalling_error:
      return "MarshallingError";
    case ZkError::unimplemented:
      return "Unimplemented";
    case ZkError::operation_timeout:
      return "OperationTimeout";
    case ZkError::bad_arguments:
      return "BadArguments";
    case ZkError::unknown_session:
      return "UnknownSession";
    case ZkError::new_config_no_quorum:
      return "NewConfigNoQuorum";
    case ZkError::reconfig_in_progress:
      return "ReconfigInProgress";
    case ZkError::api_error:
      return "APIError";
    case ZkError::no_node:
      return "NoNode";
    case ZkError::no_auth:
      return "NoAuth";
    case ZkError::bad_version:
      return "BadVersion";
    case ZkError::no_children_for_ephemerals:
      return "NoChildrenForEphemerals";
    case ZkError::node_exists:
      return "NodeExists";
    case ZkError::not_empty:
      return "NotEmpty";
    case ZkError::session_expired:
      return "SessionExpired";
    case ZkError::invalid_callback:
      return "InvalidCallback";
    case ZkError::invalid_acl:
      return "InvalidACL";
    case ZkError::auth_failed:
      return "AuthFailed";
    case ZkError::session_moved:
      return "SessionMoved";
    case ZkError::not_read_only:
      return "NotReadOnly";
    case ZkError::ephemeral_on_local_session:
      return "EphemeralOnLocalSession";
    case ZkError::no_watcher:
      return "NoWatcher";
    case ZkError::request_timeout:
      return "RequestTimeout";
    case ZkError::reconfig_disabled:
      return "ReconfigDisabled";
    case ZkError::session_closed_require_sasl_auth:
      return "SessionClosedRequireSaslAuth";
    case ZkError::quota_exceeded:
      return "QuotaExceeded";
    case ZkError::throttled_op:
      return "ThrottledOp";
  }
  return "Unknown";
}

}  // namespace ottla::jute
