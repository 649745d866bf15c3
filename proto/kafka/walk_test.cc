// A walk shows every field of a version: what is not shown cannot be changed by one, so a message
// whose every value was taken from another equals it.
#include <catch2/catch.hpp>
#include <map>

#include "common/base/prng.h"
#include "proto/kafka/all_messages.h"
#include "proto/kafka/walk.h"

namespace ottla::kmsg {
namespace {

// Notes all values by path; as `giver` == nullptr. Else puts the giver's values in.
struct Copier : wire::Walker {
  const Copier* giver = nullptr;
  std::map<std::string, int64_t> numbers;
  std::map<std::string, std::string> texts;
  std::map<std::string, double> reals;
  std::map<std::string, std::pair<Bytes, bool>> sets;

  void put(int64_t& value, const std::string& key) {
    if (giver)
      value = giver->numbers.at(key);
    else
      numbers[key] = value;
  }
  void put_text(std::string& value) {
    if (giver)
      value = giver->texts.at(path());
    else
      texts[path()] = value;
  }
  void integer(const wire::FieldInfo&, int64_t& value, int64_t min, int64_t max) override {
    put(value, path());
    REQUIRE((min <= value && value <= max));
  }
  void boolean(const wire::FieldInfo&, bool& value) override {
    int64_t number = value;
    put(number, path());
    value = number != 0;
  }
  void real(const wire::FieldInfo&, double& value) override {
    if (giver)
      value = giver->reals.at(path());
    else
      reals[path()] = value;
  }
  void text(const wire::FieldInfo&, std::string& value) override { put_text(value); }
  void bytes(const wire::FieldInfo&, std::string& value) override { put_text(value); }
  void uuid(const wire::FieldInfo&, std::span<uint8_t, 16> value) override {
    std::string text(value.begin(), value.end());
    put_text(text);
    std::copy(text.begin(), text.end(), value.begin());
  }
  void records(const wire::FieldInfo&, Bytes& bytes, bool& is_null) override {
    if (giver)
      std::tie(bytes, is_null) = giver->sets.at(path());
    else
      sets[path()] = {bytes, is_null};
  }
  bool present(const wire::FieldInfo& info, bool is) override {
    int64_t number = is;
    put(number, path() + "?");
    REQUIRE((number != 0 || info.nullable));
    return number != 0;
  }
  void list(const wire::FieldInfo&, wire::List& list) override {
    auto size = static_cast<int64_t>(list.size());
    put(size, path() + "#");
    list.resize(static_cast<size_t>(size));
  }
};

Buffer encoded(auto& message, int16_t version) {
  wire::Writer w;
  REQUIRE(message.encode(w, version));
  return w.take();
}

TEST_CASE("a walk shows every field of every version") {
  Prng prng(7);
  int messages = 0;
  for (const ApiInfo& api : kApis)
    for (bool is_request : {true, false})
      visit_api(static_cast<int16_t>(api.key), is_request, [&]<class Message>() {
        for (int16_t v = Message::kMinVersion; v <= Message::kMaxVersion; ++v)
          for (int round = 0; round < 4; ++round, ++messages) {
            Message from = Message::arbitrary(prng, v), to = Message::arbitrary(prng, v), bare;
            Copier giver, taker;
            walk(from, giver, v);
            taker.giver = &giver;
            walk(to, taker, v);
            walk(bare, taker, v);
            // Tags nobody knows are not shown; everything else has to be the same.
            Copier again;
            walk(to, again, v);
            INFO(api.name << " v" << v << (is_request ? " request" : " response"));
            CHECK(again.numbers == giver.numbers);
            CHECK(again.texts == giver.texts);
            Message plain = from;
            wire::Writer w;
            REQUIRE(bare.encode(w, v));
            wire::Reader r(w.bytes());
            REQUIRE(plain.decode(r, v));
            CHECK(as_text(encoded(plain, v)) == as_text(w.bytes()));
            if (v < Message::kFlexibleFrom)
              CHECK(as_text(encoded(bare, v)) == as_text(encoded(from, v)));
          }
      });
  CHECK(messages > 1000);
}

TEST_CASE("paths of a walk") {
  FetchRequest request;
  request.topics.resize(2);
  request.topics[1].partitions.resize(1);
  struct Paths : wire::Walker {
    std::string seen;
    void integer(const wire::FieldInfo& info, int64_t&, int64_t, int64_t) override {
      if (info.name == "partition") seen += path() + " " + pattern() + "\n";
    }
  } paths;
  walk(request, paths, 4);
  CHECK(paths.seen == "topics[1].partitions[0].partition topics[].partitions[].partition\n");
}

}  // namespace
}  // namespace ottla::kmsg
