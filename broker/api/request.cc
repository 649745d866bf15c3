#include "broker/api/request.h"

#include "common/base/log.h"
#include "common/wire/reader.h"
#include "proto/kafka/headers.h"

namespace ottla::broker {

namespace {
constexpr log::Room kLog{"broker.api"};

const kmsg::ApiInfo* info_of(int16_t key) {
  static_assert(std::size(kmsg::kApis) > 0);
  for (const kmsg::ApiInfo& info : kmsg::kApis)
    if (static_cast<int16_t>(info.key) == key) return &info;
  return nullptr;
}
}  // namespace

Request::~Request() {
  if (!answered_)
    if (auto sink = sink_.lock()) sink->on_dropped();
  if (client_->release_bytes) client_->release_bytes(frame_.size());
  if (client_->pool) client_->pool->give(std::move(frame_));
}

bool Request::parse_header() {
  wire::Reader reader(frame_.bytes());
  int16_t key = reader.i16();
  version_ = reader.i16();
  info_ = reader.ok() ? info_of(key) : nullptr;
  if (info_ == nullptr) return false;
  bool supported = version_ >= info_->min && version_ <= info_->max;
  bool is_api_versions = info_->key == kmsg::ApiKey::api_versions;
  if (!supported && !is_api_versions) return false;
  if (!supported) {
    // Whatever its header looks like from here on: the answer needs the correlation id alone.
    unsupported_version_ = true;
    correlation_id_ = reader.i32();
    body_at_ = frame_.size();
    return reader.ok();
  }
  int16_t header_version = version_ >= info_->flexible_from ? 2 : 1;
  if (info_->key == kmsg::ApiKey::controlled_shutdown && version_ == 0) header_version = 0;
  kmsg::RequestHeader header;
  wire::Reader again(frame_.bytes());
  if (!header.decode(again, header_version)) return false;
  correlation_id_ = header.correlation_id;
  if (header_version > 0) client_id_ = std::move(header.client_id);
  body_at_ = again.position();
  return true;
}

bool Request::is_inter_broker() const {
  switch (api()) {
    case kmsg::ApiKey::leader_and_isr:
    case kmsg::ApiKey::stop_replica:
    case kmsg::ApiKey::update_metadata:
    case kmsg::ApiKey::alter_partition:
      return true;
    default:
      return false;
  }
}

void Request::begin_reply(wire::Writer& writer) {
  writer.i32(0);  // the frame's size, patched when it is known
  writer.i32(correlation_id_);
  bool flexible = version_ >= info_->flexible_from && !unsupported_version_ &&
                  info_->key != kmsg::ApiKey::api_versions;
  if (flexible) writer.u8(0);
}

void Request::finish_reply(wire::Writer& writer, const Result<void>& encoded,
                           std::vector<rt::OutPiece> externals) {
  OTTLA_CHECK(!answered_);
  if (!encoded) {
    log::error(kLog, "an answer cannot be written; closing", "api={} version={} why={}",
               info_->name, version_, encoded.error().context);
    return close();
  }
  uint64_t size = writer.size() - 4 + writer.external_bytes();
  if (size > INT32_MAX) {
    log::error(kLog, "an answer is too large to be sent; closing", "api={} bytes={}", info_->name,
               size);
    return close();
  }
  answered_ = true;
  writer.patch_i32(0, static_cast<int32_t>(size));
  std::vector<rt::OutPiece> pieces;
  if (writer.external_marks().empty()) {
    pieces.emplace_back(writer.take());
  } else {
    Bytes all = writer.bytes();
    size_t at = 0;
    pieces.reserve(2 * writer.external_marks().size() + 1);
    for (const auto& mark : writer.external_marks()) {
      if (mark.position > at) pieces.emplace_back(Buffer(all.subspan(at, mark.position - at)));
      at = mark.position;
      pieces.push_back(std::move(externals[mark.id]));
    }
    if (at < all.size()) pieces.emplace_back(Buffer(all.subspan(at)));
  }
  if (auto sink = sink_.lock()) sink->on_reply(std::move(pieces));
}

void Request::reply_nothing() {
  OTTLA_CHECK(!answered_);
  answered_ = true;
  if (auto sink = sink_.lock()) sink->on_reply({});
}

void Request::close_as_malformed() {
  log::warn(kLog, "a request that does not decode; its connection is closed",
            "api={} version={} bytes={} client={}", info_->name, version_, frame_.size(),
            client_->host);
  close();
}

void Request::close() {
  answered_ = true;
  if (auto sink = sink_.lock()) sink->on_close();
}

}  // namespace ottla::broker
