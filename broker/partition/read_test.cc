// Who may read, from where and how far, and what a fetch waits for.
#include "broker/partition/test_host.h"

namespace ottla::broker {

TEST_CASE("who may read, and from where") {
  Host host;
  CHECK(host.read_now(host.target(0, 0)).error == ErrorCode::unknown_topic_or_partition);
  host.know(2);
  CHECK(host.read_now(host.target(0, 0)).error == ErrorCode::not_leader_or_follower);
  host.lead(0, 2);
  host.append(0);
  host.append(0);
  CHECK(host.read_now(host.target(0, 0)).slice.length > 0);
  CHECK(host.read_now(host.target(0, 0)).hw == 2);
  CHECK(host.read_now(host.target(0, 2)).error == ErrorCode::none);
  CHECK(host.read_now(host.target(0, 3)).error == ErrorCode::offset_out_of_range);
  CHECK(host.read_now(host.target(0, -1)).error == ErrorCode::offset_out_of_range);
  ReadTarget odd = host.target(0, 0);
  odd.refusal = ErrorCode::unknown_topic_id;
  CHECK(host.read_now(odd).error == ErrorCode::unknown_topic_id);
  odd = host.target(0, 0);
  odd.max_bytes = -1;
  CHECK(host.read_now(odd).error == ErrorCode::unknown_server_error);
  ReadParams impossible = host.wait_for(0, 0);
  impossible.max_bytes = -1;
  host.fetch({host.target(0, 0), host.target(0, 0)}, impossible);
  CHECK(host.read.at(0).error == ErrorCode::unknown_server_error);
  CHECK(host.read.at(1).error == ErrorCode::none);
  for (auto [epoch, error] :
       {std::pair(1, ErrorCode::fenced_leader_epoch), std::pair(2, ErrorCode::none),
        std::pair(3, ErrorCode::unknown_leader_epoch)}) {
    odd = host.target(0, 0);
    odd.current_leader_epoch = epoch;
    CHECK(host.read_now(odd).error == error);
  }
  // Fetchers of before Fetch v3 get as much of a batch as fits.
  ReadParams strict = host.wait_for(0, 0);
  strict.at_least_one = false;
  odd = host.target(0, 0);
  odd.max_bytes = 10;
  CHECK(host.read_now(odd, strict).slice.length == 10);
  CHECK(host.read_now(odd).slice.length > 10);
  // Followers see beyond the high watermark, if they are replicas at all.
  ReadParams follower = host.wait_for(0, 0);
  follower.follower = true;
  follower.replica_id = 9;
  CHECK(host.read_now(host.target(0, 0), follower).error == ErrorCode::not_leader_or_follower);
  follower.replica_id = kMe;
  CHECK(host.read_now(host.target(0, 0), follower).slice.length > 0);
}

TEST_CASE("a fetcher with another history is told where to cut") {
  Host host;
  host.know(1);
  host.lead(0, 2);
  host.append(0);
  REQUIRE(host.apply(state_of(0, 5)) == ErrorCode::none);
  host.append(0);
  auto seen = [&](int64_t offset, int32_t epoch) {
    ReadTarget one = host.target(0, offset);
    one.last_fetched_epoch = epoch;
    return host.read_now(one);
  };
  CHECK_FALSE(seen(1, 2).diverging);
  CHECK(seen(2, 2).diverging == EpochEnd{2, 1});
  CHECK(seen(2, 4).diverging == EpochEnd{2, 1});
  CHECK(seen(2, 2).slice.length == 0);
  CHECK(seen(1, 9).error == ErrorCode::offset_out_of_range);
}

TEST_CASE("a fetch waits for enough bytes, its time, or something to say") {
  Host host;
  host.know(2);
  host.lead(0);
  host.lead(1);
  CHECK(host.fetch({}, host.wait_for(1, 1000)) == 0);  // nothing is asked
  CHECK(host.read_answers == 1);
  std::vector<ReadTarget> both = {host.target(0, 0), host.target(1, 0)};
  CHECK(host.fetch(both, host.wait_for(100, 60000)) != 0);
  host.append(0);
  CHECK(host.read_answers == 1);  // not enough yet
  host.append(1);
  CHECK(host.read_answers == 2);
  CHECK(host.read.at(0).slice.length > 0);
  CHECK(host.read.at(1).slice.length > 0);
  host.fetch({host.target(0, 1)}, host.wait_for(1, 500));
  host.run_ms(600);
  CHECK(host.read_answers == 3);
  CHECK(host.read.at(0).slice.length == 0);
  host.fetch({host.target(0, 1)}, host.wait_for(1, 60000));
  CHECK(host.apply(state_of(0, 1, 7)) == ErrorCode::none);
  CHECK(host.read_answers == 4);
  CHECK(host.read.at(0).error == ErrorCode::not_leader_or_follower);
  Purgatory::Id parked = host.fetch({host.target(1, 1)}, host.wait_for(1, 60000));
  host.replicas->cancel_read(parked);
  host.append(1);
  CHECK(host.read_answers == 4);
  host.fetch({host.target(1, 2)}, host.wait_for(1, 60000));
  host.replicas->expire_all();
  CHECK(host.read_answers == 5);
}

TEST_CASE("a fetch from an older segment does not wait for what it would not get") {
  Host host;
  host.config.segment_bytes = 100;
  host.know(1);
  host.lead(0);
  host.append(0);
  host.append(0);
  REQUIRE(host.replicas->find("t", 0)->log()->stats().segments == 2);
  CHECK(host.fetch({host.target(0, 0)}, host.wait_for(1000, 60000)) == 0);
  CHECK(host.read.at(0).slice.length > 0);
  // The newest may still grow; when it is rolled there is no more to wait for.
  CHECK(host.fetch({host.target(0, 1)}, host.wait_for(1000, 60000)) != 0);
  CHECK(host.read_answers == 1);
  host.append(0);
  CHECK(host.read_answers == 2);
  CHECK(host.read.at(0).slice.length > 0);
}

TEST_CASE("readers of committed records stop at an open transaction") {
  Host host;
  host.know(1);
  host.lead(0);
  BatchBuilder::Options with;
  with.producer_id = 9;
  with.producer_epoch = 0;
  with.base_sequence = 0;
  with.transactional = true;
  BatchBuilder builder(with);
  builder.append(1000, as_bytes("k"), as_bytes("v"));
  Buffer bytes = builder.finish();
  auto put = [&](Buffer& batch, Origin origin) {
    host.replicas->append({{{"t", 0}, batch.mutable_bytes()}}, 1, 0, origin,
                          [](std::vector<AppendOutcome> outcomes) {
                            CHECK(outcomes.at(0).error == ErrorCode::none);
                          });
  };
  put(bytes, Origin::coordinator);  // as another broker left it
  ReadParams committed = host.wait_for(0, 0);
  committed.read_committed = true;
  ReadOutcome out = host.read_now(host.target(0, 0), committed);
  CHECK(out.slice.length == 0);
  CHECK(out.hw == 1);
  CHECK(out.lso == 0);
  REQUIRE(out.aborted);
  CHECK(out.aborted->empty());
  CHECK_FALSE(host.read_now(host.target(0, 0)).aborted);
  Buffer marker = build_end_txn_marker(1000, 9, 0, ControlType::abort, 1);
  put(marker, Origin::coordinator);
  out = host.read_now(host.target(0, 0), committed);
  CHECK(out.slice.length > 0);
  REQUIRE(out.aborted);
  CHECK(*out.aborted == std::vector<AbortedTxn>{{9, 0, 1, 2}});
}

}  // namespace ottla::broker
