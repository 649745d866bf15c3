// The ensemble's fuzz targets over small made-up inputs: seconds, no libFuzzer needed.
#include <catch2/catch.hpp>
#include <iterator>
#include <string>

#include "common/base/prng.h"
#include "common/wire/writer.h"
#include "test/fuzz/zk_targets.h"
#include "zk-ensemble/txnlog/txn_format.h"

namespace ottla::fuzz {
namespace {

constexpr int32_t kTypes[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22,
                              100, 101, 102, 103, 104, 105, 106, 107, -10, -11, 0, 77};

void put_path(Prng& prng, wire::Writer& out) {
  static const std::string_view kPaths[] = {"/a", "/a/b", "/b", "/a/", "/", "", "/zookeeper/quota", "/a/s-"};
  std::string_view path = kPaths[prng.below(std::size(kPaths))];
  out.i32(static_cast<int32_t>(path.size()));
  out.raw(path);
}

void put_open_acl(wire::Writer& out) {
  for (std::string_view text : {"world", "anyone"}) {
    if (text == "world") {
      out.i32(1);
      out.i32(31);
    }
    out.i32(static_cast<int32_t>(text.size()));
    out.raw(text);
  }
}

// A request that is mostly well formed.
void put_body(Prng& prng, wire::Writer& out, int32_t type) {
  put_path(prng, out);
  bool create = type == 1 || type == 15 || type == 19 || type == 21;
  if (create || type == 5) {
    out.i32(3);
    out.raw(std::string_view("abc"));
  }
  if (create || type == 7) put_open_acl(out);
  if (type == 3 || type == 4 || type == 8 || type == 12)
    out.boolean(prng.chance(0.5));
  else
    out.i32(static_cast<int32_t>(prng.below(8)) - 1);
  if (type == 21) out.i64(static_cast<int64_t>(prng.below(1000)));
}

Buffer frame(Prng& prng) {
  wire::Writer out;
  out.i32(static_cast<int32_t>(prng.below(100)));
  int32_t type = kTypes[prng.below(std::size(kTypes))];
  out.i32(type);
  if (type == 14) {
    for (uint64_t i = prng.below(4); i > 0; --i) {
      int32_t sub = kTypes[prng.below(8)];
      out.i32(sub);
      out.boolean(false);
      out.i32(-1);
      put_body(prng, out, sub);
    }
    out.i32(-1);
    out.boolean(true);
    out.i32(-1);
  } else if (type != -11) {
    put_body(prng, out, type);
  }
  while (prng.chance(0.1)) out.u8(static_cast<uint8_t>(prng.next()));
  return out.take();
}

}  // namespace

TEST_CASE("live sessions, any frames") {
  Prng prng(104);
  for (int round = 0; round < 300; ++round) {
    wire::Writer input;
    for (uint64_t steps = prng.below(80); steps > 0; --steps) {
      bool is_frame = prng.chance(0.8);
      input.u8(static_cast<uint8_t>((is_frame ? 5 : prng.below(5)) << 4 | prng.below(3)));
      if (!is_frame) {
        if (prng.chance(0.3)) input.u8(static_cast<uint8_t>(prng.below(60)));
        continue;
      }
      Buffer bytes = frame(prng);
      if (bytes.size() > 255) bytes.resize_uninitialized(255);
      input.u8(static_cast<uint8_t>(bytes.size()));
      input.raw(bytes.bytes());
    }
    zk_session(input.bytes());
  }
}

TEST_CASE("log entries, logs and snapshots of any bytes") {
  Prng prng(105);
  for (int round = 0; round < 5000; ++round) {
    wire::Writer entry;
    entry.i64(7);
    entry.i32(1);
    entry.i64(5);
    entry.i64(1000);
    int32_t type = kTypes[prng.below(std::size(kTypes))];
    entry.i32(prng.chance(0.2) ? -1 : type);
    put_body(prng, entry, type);
    while (prng.chance(0.8)) entry.u8(static_cast<uint8_t>(prng.chance(0.6) ? prng.below(3) : prng.next()));
    zk_txn(entry.bytes());

    wire::Writer log;
    log.u8(static_cast<uint8_t>(prng.next()));
    log.i32(zk::kLogMagic);
    log.i32(zk::kFormatVersion);
    log.i64(0);
    log.i64(0);
    log.i32(static_cast<int32_t>(entry.size()) + (prng.chance(0.1) ? static_cast<int32_t>(prng.next()) : 0));
    log.raw(entry.bytes());
    log.u8(zk::kRecordEnd);
    while (prng.chance(0.9)) log.u8(static_cast<uint8_t>(prng.chance(0.6) ? 0 : prng.next()));
    zk_log(log.bytes());

    wire::Writer snapshot;
    snapshot.i32(zk::kSnapshotMagic);
    snapshot.i32(2);
    snapshot.i64(-1);
    while (prng.chance(0.97)) {
      if (prng.chance(0.5))
        snapshot.i32(static_cast<int32_t>(prng.below(4)) - 1);
      else
        put_path(prng, snapshot);
    }
    zk_snapshot(snapshot.bytes());
  }
}

}  // namespace ottla::fuzz
