// The parts of Pipeline that its three files share; nobody else includes this.
#pragma once

#include "zk-ensemble/session/pipeline.h"

namespace ottla::zk {

// A request that waits its turn on its connection.
struct Pipeline::Waiting {
  OpCode type = OpCode::error;
  int32_t xid = 0;
  // Answered once this is applied. A write's own transaction; for others what must be visible to
  // them: 0 for reads, which wait only for their turn.
  int64_t zxid = 0;
  bool is_write = false;
  ZkError error = ZkError::ok;  // a refusal that was known at once
  bool ends = false;            // the connection is closed after the answer
  Buffer body;                  // reads
  AuthRef auth;                 // the ids it was sent with
  Instant asked;
  int64_t large_bytes = 0;  // its size, when that is a large one
  size_t room = 0;          // reads: what is kept of it and what its answer will take, at most
};

// Invariants: `queue` holds writes in the order of their zxids, and a write at its front is not
// applied; `info.outstanding` is its size, `room` the sum of its rooms.
struct Pipeline::Conn {
  enum class State {
    fresh,      // waits for a ConnectRequest
    connected,  // has a session id; its creation may still be on the way to the disk
    closing,    // hears nothing more; waits for on_closed
  };
  ConnectionInfo info;
  State state = State::fresh;
  AuthRef auth;
  bool read_only_byte = false;  // the client sent one and expects one back
  std::deque<Waiting> queue;
  size_t room = 0;
  wire::Writer out;
  bool dirty = false;
  int64_t last_frame_bytes = 0;

  // A reply's frame: header now, body by the caller, length at the end.
  size_t begin_reply(int32_t xid, int64_t zxid, ZkError error) {
    size_t at = out.size();
    out.i32(0);
    out.i32(xid);
    out.i64(zxid);
    out.i32(static_cast<int32_t>(error));
    return at;
  }
  void end_frame(size_t at) {
    last_frame_bytes = static_cast<int64_t>(out.size() - at - 4);
    out.patch_i32(at, static_cast<int32_t>(last_frame_bytes));
  }
};

struct Pipeline::Proposed {
  Txn txn;
  ConnId conn = 0;   // who asked; 0: the server itself
  size_t bytes = 0;  // encoded
};

}  // namespace ottla::zk
