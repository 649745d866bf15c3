#include "test/fuzz/server_targets.h"

#include <fmt/core.h>

#include <cstdio>
#include <map>
#include <string>

#include "broker/server/broker.h"
#include "common/base/log.h"
#include "common/rt_sim/simulator.h"
#include "common/wire/reader.h"
#include "common/wire/writer.h"
#include "proto/kafka/all_messages.h"
#include "proto/kafka/walk.h"
#include "proto/zookeeper/opcodes.h"
#include "proto/zookeeper/records.h"
#include "test/fuzz/mutate.h"
#include "test/sim/stack/kafka_link.h"
#include "zk-ensemble/server/server.h"

namespace ottla::fuzz {

namespace {

constexpr int64_t kMs = 1'000'000;
constexpr size_t kConnections = 4;
constexpr int kMaxSteps = 60;
constexpr size_t kMaxKept = 4 << 20;  // of answers; a whole one is never larger here

// A client that says what it is told to and cuts what comes into frames.
class RawClient {
 public:
  RawClient(rt::World world, const rt::Endpoint& to, Fn<void(Bytes)> on_frame) : on_frame_(std::move(on_frame)) {
    attempt_ = world.net.connect(to, [this](auto result) {
      if (!result) return void(closed_ = true);
      socket_ = std::move(*result);
      for (Buffer& one : unsent_) socket_->send(std::move(one));
      unsent_.clear();
      read();
    });
  }
  void send(Buffer bytes) { socket_ ? socket_->send(std::move(bytes)) : unsent_.push_back(std::move(bytes)); }
  void stop_reading() { reads_ = false; }
  bool closed() const { return closed_; }
  // For what is no sequence of frames, such as the words of operators.
  void frames_end() { framed_ = false; }

 private:
  void read() {
    socket_->read(into_, [this](Result<size_t> got) {
      if (!got || *got == 0) return void(closed_ = true);
      if (framed_) in_.append(Bytes(into_, *got));
      while (framed_ && in_.size() >= 4) {
        auto length = static_cast<size_t>(load_be<uint32_t>(in_.data()));
        if (in_.size() - 4 < length) break;
        on_frame_(in_.bytes().subspan(4, length));
        in_.consume(4 + length);
      }
      OTTLA_CHECK(in_.size() < kMaxKept);
      if (reads_) read();
    });
  }
  Fn<void(Bytes)> on_frame_;
  std::unique_ptr<rt::Net::Attempt> attempt_;
  std::unique_ptr<rt::Connection> socket_;
  std::vector<Buffer> unsent_;
  Buffer in_;
  bool reads_ = true, closed_ = false, framed_ = true;
  uint8_t into_[16 << 10];
};

Buffer framed(Bytes bytes) {
  wire::Writer out;
  out.i32(static_cast<int32_t>(bytes.size()));
  out.raw(bytes);
  return out.take();
}

std::unique_ptr<zk::Server> start_ensemble(rt::World world) {
  auto loaded = zk::load_config(
      "dataDir=/data\nclientPort=2181\ntickTime=500\npreAllocSize=64\nmaxClientCnxns=0\nadmin.enableServer=false\n"
      "4lw.commands.whitelist=*\nextendedTypesEnabled=true\n",
      "sim.cfg");
  OTTLA_CHECK(loaded.has_value());
  auto server = std::make_unique<zk::Server>(world, loaded->config);
  server->on_fatal([](const Error& error) { OTTLA_CHECK(false, error.context); });
  OTTLA_CHECK(server->start().has_value());
  return server;
}

// The steps of an input, on connections that are made when they are needed.
class Steps {
 public:
  virtual ~Steps() = default;
  void run(sim::Simulator& sim, Bytes input) {
    wire::Reader in(input);
    for (int i = 0; i < kMaxSteps && in.remaining() >= 3; ++i) {
      uint8_t control = in.u8();
      size_t size = in.u16();
      step(control, in.take(std::min(size, in.remaining())));
      constexpr int64_t kPauses[] = {0, 1 * kMs, 200 * kMs, 10'000 * kMs};
      sim.run_for(kPauses[control >> 6]);
    }
    sim.run_for(2000 * kMs);
    for (auto& client : clients_) client.reset();
  }

 protected:
  virtual std::unique_ptr<RawClient> connect(size_t which) = 0;
  virtual Buffer prepare(size_t which, Bytes frame) = 0;  // what is sent for this frame

 private:
  void step(uint8_t control, Bytes bytes) {
    size_t which = control % kConnections;
    auto& client = clients_[which];
    if (!client || client->closed()) client = connect(which);
    switch (control >> 2 & 3) {
      case 1:
        client->frames_end();
        return client->send(Buffer(bytes));
      case 2: {
        Buffer whole = framed(bytes);
        client->send(Buffer(whole.bytes().first(whole.size() / 2)));
        client.reset();
        return;
      }
      case 3: client->stop_reading(); break;
      default: break;
    }
    client->send(framed(prepare(which, bytes)));
  }
  std::unique_ptr<RawClient> clients_[kConnections];
};

// What the broker gave last, and what stands for it in inputs.
struct Learned {
  std::string member_id;
  int32_t generation = 1;
  int64_t producer_id = 0;
  int32_t fetch_session = 0;
};

class PutLearned final : public wire::Walker {
 public:
  explicit PutLearned(const Learned& learned) : learned_(learned) {}
  void text(const wire::FieldInfo& info, std::string& value) override {
    if (value == "@" && info.name == "member_id") value = learned_.member_id;
  }
  void integer(const wire::FieldInfo& info, int64_t& value, int64_t, int64_t) override {
    if (value != kLearned) return;
    if (info.name == "generation_id") value = learned_.generation;
    if (info.name == "producer_id") value = learned_.producer_id;
    if (info.name == "session_id") value = learned_.fetch_session;
  }

 private:
  const Learned& learned_;
};

class KafkaSteps final : public Steps {
 public:
  explicit KafkaSteps(rt::World world) : world_(world) {}

 private:
  struct Asked {
    int16_t api = 0, version = 0;
    bool ambiguous = false;
  };

  std::unique_ptr<RawClient> connect(size_t which) override {
    asked_[which].clear();
    return std::make_unique<RawClient>(world_, rt::Endpoint{"broker", 9092},
                                       [this, which](Bytes frame) { on_answer(which, frame); });
  }

  Buffer prepare(size_t which, Bytes frame) override {
    Buffer out(frame);
    if (frame.size() < 8) return out;
    auto api = load_be<int16_t>(frame.data());
    auto version = load_be<int16_t>(frame.data() + 2);
    auto [at, fresh] = asked_[which].try_emplace(load_be<int32_t>(frame.data() + 4), Asked{api, version});
    at->second.ambiguous = !fresh;
    kmsg::visit_api(api, true, [&]<class Message>() {
      if (version < Message::kMinVersion || version > Message::kMaxVersion) return;
      int16_t header_version = version >= Message::kFlexibleFrom ? 2 : 1;
      wire::Reader reader(frame);
      kmsg::RequestHeader header;
      Message message;
      if (!header.decode(reader, header_version) || !message.decode(reader, version) || !reader.at_end()) return;
      PutLearned walker(learned_);
      walk(message, walker, version);
      wire::Writer writer;
      if (header.encode(writer, header_version) && message.encode(writer, version)) out = writer.take();
    });
    return out;
  }

  void on_answer(size_t which, Bytes frame) {
    OTTLA_CHECK(frame.size() >= 4);
    auto found = asked_[which].find(load_be<int32_t>(frame.data()));
    OTTLA_CHECK(found != asked_[which].end(), "an answer to nothing that was asked");
    if (found->second.ambiguous) return;
    const Asked asked = found->second;
    kmsg::visit_api(asked.api, false, [&]<class Message>() { judge<Message>(asked, frame.subspan(4)); });
  }

  template <class Message>
  void judge(const Asked& asked, Bytes body) {
    constexpr int16_t kApiVersions = 18;
    int16_t version = asked.version;
    if (version < Message::kMinVersion || version > Message::kMaxVersion) {
      if (asked.api != kApiVersions) return;
      version = 0;
    }
    wire::Reader reader(body);
    bool flexible = version >= Message::kFlexibleFrom && asked.api != kApiVersions;
    if (flexible) (void)reader.u8();  // no tags
    Message message;
    OTTLA_CHECK(message.decode(reader, version) && reader.at_end(),
                    fmt::format("the answer to API {} version {} does not decode", asked.api, version));
    learn(message);
  }
  template <class Message>
  void learn(const Message& message) {
    if constexpr (std::is_same_v<Message, kmsg::JoinGroupResponse>) {
      learned_.member_id = message.member_id;
      learned_.generation = message.generation_id;
    } else if constexpr (std::is_same_v<Message, kmsg::InitProducerIdResponse>) {
      learned_.producer_id = message.producer_id;
    } else if constexpr (std::is_same_v<Message, kmsg::FetchResponse>) {
      learned_.fetch_session = message.session_id;
    }
  }

  rt::World world_;
  Learned learned_;
  std::map<int32_t, Asked> asked_[kConnections];
};

class KafkaWorld {
 public:
  KafkaWorld() : sim_(1) {
    log::set_level(log::Level::off);
    ensemble_ = start_ensemble(sim_.add_node("zk"));
    auto properties = config::Properties::parse(
        "broker.id=0\nlog.dirs=/logs\nlisteners=PLAINTEXT://:9092\n"
        "zookeeper.connect=zk:2181\noffsets.topic.num.partitions=1\noffsets.topic.replication.factor=1\n"
        "transaction.state.log.num.partitions=1\ntransaction.state.log.replication.factor=1\n"
        "transaction.state.log.min.isr=1\ngroup.initial.rebalance.delay.ms=0\ngroup.min.session.timeout.ms=100\n"
        "delete.topic.enable=true\nlog.index.size.max.bytes=4096\n",
        "fuzz.properties");
    auto loaded = broker::load_broker_config(*properties, "fuzz.properties");
    OTTLA_CHECK(loaded.has_value());
    broker_ = std::make_unique<broker::Broker>(sim_.add_node("broker"), loaded->config, [] { return std::string("broker"); });
    broker_->on_failed([](Error error) { OTTLA_CHECK(false, error.context); });
    bool started = false;
    broker_->start([&](Result<void> result) {
      OTTLA_CHECK(result.has_value());
      started = true;
    });
    OTTLA_CHECK(sim_.run_until([&] { return started; }, 60'000 * kMs));
    make_topics();
  }
  ~KafkaWorld() {
    broker_.reset();
    ensemble_.reset();
  }

  void run(Bytes input) {
    {
      KafkaSteps steps(sim_.add_node("client"));
      steps.run(sim_, input);
    }
    OTTLA_CHECK(answers());
    broker_->check_invariants();
    ensemble_->tree().check_invariants();
  }

 private:
  void make_topics() {
    test::KafkaLink link(sim_.add_node("admin"), "admin");
    kmsg::CreateTopicsRequest request;
    request.timeout_ms = 10'000;
    for (const char* name : {"t", "u"}) {
      request.topics.emplace_back();
      request.topics.back().name = name;
      request.topics.back().num_partitions = 2;
      request.topics.back().replication_factor = 1;
    }
    bool made = false;
    link.call<kmsg::CreateTopicsResponse>(request, 4, 20'000, [&](kmsg::CreateTopicsResponse* answer) {
      OTTLA_CHECK(answer != nullptr);
      made = true;
    });
    OTTLA_CHECK(sim_.run_until([&] { return made; }, 30'000 * kMs));
  }

  bool answers() {
    test::KafkaLink link(sim_.add_node("calm"), "calm");
    bool answered = false, good = false;
    link.call<kmsg::ApiVersionsResponse>(kmsg::ApiVersionsRequest(), 0, 60'000, [&](kmsg::ApiVersionsResponse* answer) {
      answered = true;
      good = answer != nullptr && answer->api_keys.size() > 50;
    });
    sim_.run_until([&] { return answered; }, 120'000 * kMs);
    return good;
  }

  sim::Simulator sim_;
  std::unique_ptr<zk::Server> ensemble_;
  std::unique_ptr<broker::Broker> broker_;
};

class ZkSteps final : public Steps {
 public:
  explicit ZkSteps(rt::World world) : world_(world) {}

 private:
  std::unique_ptr<RawClient> connect(size_t) override {
    auto client = std::make_unique<RawClient>(world_, rt::Endpoint{"zk", 2181}, [](Bytes) {});
    // The last connection's first words are the input's own.
    if (++made_ % kConnections == 0) return client;
    Prng calm(1);
    jute::ConnectRequest request;
    request.time_out = 4000;
    request.passwd = std::string(16, '\0');
    wire::Writer out;
    request.encode(out);
    client->send(framed(out.bytes()));
    return client;
  }
  Buffer prepare(size_t, Bytes frame) override { return Buffer(frame); }
  rt::World world_;
  size_t made_ = 0;
};

// A session that creates a node.
bool serves(sim::Simulator& sim) {
  int answers = 0;
  bool good = true;
  RawClient client(sim.add_node("calm"), {"zk", 2181}, [&](Bytes frame) {
    wire::Reader reader(frame);
    jute::ReplyHeader header;
    if (++answers == 2) good = header.decode(reader) && static_cast<int32_t>(header.err) == 0;
  });
  jute::ConnectRequest connect;
  connect.time_out = 10000;
  connect.passwd = std::string(16, '\0');
  jute::CreateRequest create;
  create.path = "/calm-and-nobody-elses";
  create.data = "x";
  create.acl = std::vector<jute::ACL>(1);
  create.acl->front().perms = 31;
  create.acl->front().id.scheme = "world";
  create.acl->front().id.id = "anyone";
  create.flags = 1;
  wire::Writer one, two;
  connect.encode(one);
  two.i32(1);
  two.i32(static_cast<int32_t>(jute::OpCode::create));
  create.encode(two);
  client.send(framed(one.bytes()));
  client.send(framed(two.bytes()));
  return sim.run_until([&] { return answers >= 2; }, 60'000 * kMs) && good;
}

}  // namespace

void kafka_broker(Bytes input) { KafkaWorld().run(input); }

void zk_server(Bytes input) {
  log::set_level(log::Level::off);
  sim::Simulator sim(1);
  auto server = start_ensemble(sim.add_node("zk"));
  {
    ZkSteps steps(sim.add_node("client"));
    steps.run(sim, input);
  }
  OTTLA_CHECK(serves(sim));
  server->tree().check_invariants();
}

}  // namespace ottla::fuzz
