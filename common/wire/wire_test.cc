#include <catch2/catch.hpp>

#include "common/wire/reader.h"
#include "common/wire/writer.h"

using namespace ottla;
using namespace ottla::wire;

TEST_CASE("fixed and variable integers come back as written") {
  Writer writer;
  writer.i16(-2);
  writer.i64(INT64_MIN);
  writer.varint(INT32_MIN);
  writer.varlong(INT64_MIN);
  writer.uvarint(UINT32_MAX);
  writer.f64(-0.5);
  Reader reader(writer.bytes());
  CHECK(reader.i16() == -2);
  CHECK(reader.i64() == INT64_MIN);
  CHECK(reader.varint() == INT32_MIN);
  CHECK(reader.varlong() == INT64_MIN);
  CHECK(reader.uvarint() == UINT32_MAX);
  CHECK(reader.f64() == -0.5);
  CHECK(reader.at_end());
}

TEST_CASE("a failure sticks and reads stay harmless") {
  uint8_t bytes[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
  Reader reader(bytes);
  CHECK(reader.uvarint() == 0);
  CHECK_FALSE(reader.ok());
  CHECK(reader.i64() == 0);
  CHECK(reader.remaining() == 0);
  Reader counted(bytes);
  CHECK_FALSE(counted.claim_count(7, 1));
}
