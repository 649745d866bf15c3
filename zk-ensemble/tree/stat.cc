#include "zk-ensemble/tree/stat.h"

namespace ottla::zk {

void StatPersisted::encode(wire::Writer& out) const {
  out.i64(czxid);
  out.i64(mzxid);
  out.i64(ctime);
  out.i64(mtime);
  out.i32(version);
  out.i32(cversion);
  out.i32(aversion);
  out.i64(ephemeral_owner);
  out.i64(pzxid);
}

bool StatPersisted::decode(wire::Reader& in) {
  czxid = in.i64();
  mzxid = in.i64();
  ctime = in.i64();
  mtime = in.i64();
  version = in.i32();
  cversion = in.i32();
  aversion = in.i32();
  ephemeral_owner = in.i64();
  pzxid = in.i64();
  return in.ok();
}

void Stat::encode(wire::Writer& out) const {
  out.i64(czxid);
  out.i64(mzxid);
  out.i64(ctime);
  out.i64(mtime);
  out.i32(version);
  out.i32(cversion);
  out.i32(aversion);
  out.i64(ephemeral_owner);
  out.i32(data_length);
  out.i32(num_children);
  out.i64(pzxid);
}

}  // namespace ottla::zk
