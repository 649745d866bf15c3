// For the tests of this room: a pipeline whose log is durable at once or when told, and what its
// clients got.
#pragma once

#include <catch2/catch.hpp>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "fmt/core.h"
#include "zk-ensemble/session/pipeline.h"
#include "zk-ensemble/tree/test_requests.h"

namespace ottla::zk::testing {

struct Service {
  explicit Service(PipelineLimits with = {}, CoreOptions core = {})
      : options(std::move(core)), limits(std::move(with)) {}
  CoreOptions options;
  PipelineLimits limits;
  DataTree tree{options};
  int64_t now_ms = 1000;
  int64_t wall_ms = 0x000001a2008008e2;
  bool durable_at_once = true;
  Pipeline pipeline{tree, options, 0x3de7f1, Instant{ms_to_ns(1000)}, limits};
  std::map<ConnId, std::vector<std::string>> got;  // frames without length, hex
  std::map<ConnId, bool> closed;
  std::vector<int64_t> logged;

  Instant now() const { return {ms_to_ns(now_ms)}; }
  void open(ConnId conn) { pipeline.on_open(conn, "127.0.0.1", now()); }
  void pump() {
    while (pipeline.has_effects()) {
      Effects effects = pipeline.take_effects();
      for (const auto& entry : effects.entries) logged.push_back(entry.zxid);
      for (auto& send : effects.sends) {
        wire::Reader in(send.bytes.bytes());
        while (!in.at_end()) {
          int32_t length = in.i32();
          got[send.conn].push_back(to_hex(in.take(static_cast<size_t>(length))));
          REQUIRE(in.ok());
        }
        if (send.close) {
          closed[send.conn] = true;
          pipeline.on_closed(send.conn);
        }
      }
      if (durable_at_once && !effects.entries.empty())
        pipeline.on_durable(effects.entries.back().zxid, now(), wall_ms);
    }
    pipeline.check_invariants();
  }
  void durable(int64_t zxid) {
    pipeline.on_durable(zxid, now(), wall_ms);
    pump();
  }
  void send(ConnId conn, Bytes frame, int64_t waited_ms = 0) {
    pipeline.on_frame(conn, frame, now(), wall_ms, waited_ms);
    pump();
  }
  void send_hex(ConnId conn, std::string_view hex) { send(conn, as_bytes(from_hex(hex))); }
  void request(ConnId conn, int32_t xid, OpCode type, const Buffer& body = {},
               int64_t waited_ms = 0) {
    wire::Writer out;
    out.i32(xid);
    out.i32(static_cast<int32_t>(type));
    out.raw(body.bytes());
    send(conn, out.bytes(), waited_ms);
  }
  void connect(ConnId conn, int64_t session = 0, int32_t timeout_ms = 10000) {
    open(conn);
    wire::Writer out;
    out.i32(0);
    out.i64(0);
    out.i32(timeout_ms);
    out.i64(session);
    out.i32(16);
    SessionPassword password = session_password(session);
    out.raw(session == 0 ? Bytes(SessionPassword{}) : Bytes(password));
    send(conn, out.bytes());
  }
  std::vector<std::string> take(ConnId conn) { return std::exchange(got[conn], {}); }
  // xid, zxid, err of the frames that came.
  std::vector<std::string> headers(ConnId conn) {
    std::vector<std::string> out;
    for (const std::string& hex : take(conn)) {
      std::string bytes = from_hex(hex);
      wire::Reader in(as_bytes(bytes));
      int32_t xid = in.i32();
      int64_t zxid = in.i64();
      out.push_back(fmt::format("{} {} {}", xid, zxid, in.i32()));
    }
    return out;
  }
};
using Frames = std::vector<std::string>;

inline Buffer watch_body(std::string_view path, bool watch) {
  wire::Writer out;
  put_string(out, path);
  out.boolean(watch);
  return out.take();
}

// Nothing: the length of a null.
inline Buffer string_body(std::optional<std::string_view> text) {
  wire::Writer out;
  if (text)
    put_string(out, *text);
  else
    out.i32(-1);
  return out.take();
}

}  // namespace ottla::zk::testing
