// What operators read in logs: names of operations and errors, and records with all their fields.
#include <catch2/catch.hpp>

#include <iterator>
#include <map>

#include "proto/zookeeper/all_records.h"
#include "proto/zookeeper/opcodes.h"
#include "proto/zookeeper/walk.h"
#include "proto/zookeeper/zk_error.h"

namespace ottla::jute {
namespace {

// Source: ZooKeeper, ZooDefs.OpCode and ZooKeeper's protocol documentation (numbers and names).
const std::map<int, std::string_view> kOps = {
    {-11, "closeSession"},
    {-10, "createSession"},
    {-1, "error"},
    {0, "notification"},
    {1, "create"},
    {2, "delete"},
    {3, "exists"},
    {4, "getData"},
    {5, "setData"},
    {6, "getACL"},
    {7, "setACL"},
    {8, "getChildren"},
    {9, "sync"},
    {11, "ping"},
    {12, "getChildren2"},
    {13, "check"},
    {14, "multi"},
    {15, "create2"},
    {16, "reconfig"},
    {17, "checkWatches"},
    {18, "removeWatches"},
    {19, "createContainer"},
    {20, "deleteContainer"},
    {21, "createTTL"},
    {22, "multiRead"},
    {100, "auth"},
    {101, "setWatches"},
    {102, "sasl"},
    {103, "getEphemerals"},
    {104, "getAllChildrenNumber"},
    {105, "setWatches2"},
    {106, "addWatch"},
    {107, "whoAmI"},
};

// Source: ZooKeeper, KeeperException.Code (numbers and names).
const std::map<int, std::string_view> kErrors = {
    {0, "Ok"},
    {-1, "SystemError"},
    {-2, "RuntimeInconsistency"},
    {-3, "DataInconsistency"},
    {-4, "ConnectionLoss"},
    {-5, "MarshallingError"},
    {-6, "Unimplemented"},
    {-7, "OperationTimeout"},
    {-8, "BadArguments"},
    {-12, "UnknownSession"},
    {-13, "NewConfigNoQuorum"},
    {-14, "ReconfigInProgress"},
    {-100, "APIError"},
    {-101, "NoNode"},
    {-102, "NoAuth"},
    {-103, "BadVersion"},
    {-108, "NoChildrenForEphemerals"},
    {-110, "NodeExists"},
    {-111, "NotEmpty"},
    {-112, "SessionExpired"},
    {-113, "InvalidCallback"},
    {-114, "InvalidACL"},
    {-115, "AuthFailed"},
    {-118, "SessionMoved"},
    {-119, "NotReadOnly"},
    {-120, "EphemeralOnLocalSession"},
    {-121, "NoWatcher"},
    {-122, "RequestTimeout"},
    {-123, "ReconfigDisabled"},
    {-124, "SessionClosedRequireSaslAuth"},
    {-125, "QuotaExceeded"},
    {-127, "ThrottledOp"},
};

// Looks for each field where it has to stand in a description: behind the one before it.
struct Reader : wire::Walker {
  std::string said;
  size_t at = 0;
  std::string missing;

  void expect(std::string_view what) {
    size_t found = said.find(what, at);
    if (found == std::string::npos)
      missing += std::string(what) + " ";
    else
      at = found + what.size();
  }
  void expect(const wire::FieldInfo& info, const std::string& value) {
    if (!path().ends_with(']')) expect(std::string(info.name) + "=");
    expect(value);
  }
  void integer(const wire::FieldInfo& info, int64_t& value, int64_t, int64_t) override {
    expect(info, std::to_string(value));
  }
  void boolean(const wire::FieldInfo& info, bool& value) override {
    expect(info, value ? "true" : "false");
  }
  void text(const wire::FieldInfo& info, std::string&) override { expect(info, ""); }
  void bytes(const wire::FieldInfo& info, std::string&) override { expect(info, ""); }
  bool present(const wire::FieldInfo& info, bool is) override {
    bool secret = said.find(std::string(info.name) + "=***", at) != std::string::npos;
    if (!is) expect(info, secret ? "***" : "null");  // nor is it told whether there is one
    return is;
  }
  void list(const wire::FieldInfo& info, wire::List&) override { expect(info, "["); }
  void end_list(const wire::FieldInfo&) override { expect("]"); }
  void open(const wire::FieldInfo&) override { expect("{"); }
  void close(const wire::FieldInfo&) override { expect("}"); }
};

}  // namespace

TEST_CASE("operations and errors have ZooKeeper's names, other numbers have none") {
  for (int number = -200; number <= 200; ++number) {
    INFO(number);
    auto op = kOps.find(number);
    CHECK(op_name(static_cast<OpCode>(number)) == (op == kOps.end() ? "unknown" : op->second));
    auto error = kErrors.find(number);
    CHECK(error_name(static_cast<ZkError>(number)) ==
          (error == kErrors.end() ? "Unknown" : error->second));
  }
}

TEST_CASE("a description shows every field of a record in its order") {
  size_t records = 0;
  for (std::string_view name : kRecords)
    visit_record(name, [&]<class Record>() {
      Prng prng(5);
      for (int round = 0; round < 8; ++round) {
        Record record;
        record.fill(prng);
        Reader reader;
        reader.said = record.describe();
        INFO(name << ": " << reader.said);
        CHECK(reader.said.starts_with(std::string(name) + "{"));
        CHECK(reader.said.ends_with("}"));
        if (reader.said.size() >= wire::Describer::kDefaultLimit) continue;  // cut
        walk(record, reader);
        CHECK(reader.missing == "");
        ++records;
      }
    });
  CHECK(records > 4 * std::size(kRecords));
}

TEST_CASE("descriptions as they stand in logs") {
  CreateRequest create;
  create.path = "/a\"\n";
  create.data = std::string(3, 'x');
  create.acl.emplace().push_back({.perms = 31, .id = {.scheme = "world", .id = "anyone"}});
  CHECK(create.describe() ==
        "CreateRequest{path=\"/a\\\"\\x0a\" data=<3 bytes> "
        "acl=[ACL{perms=31 id=Id{scheme=\"world\" id=\"anyone\"}}] flags=0}");
  create.path.reset();
  create.acl.reset();
  CHECK(create.describe() == "CreateRequest{path=null data=<3 bytes> acl=null flags=0}");
}

}  // namespace ottla::jute
