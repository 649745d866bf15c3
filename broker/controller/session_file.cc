// Room broker/controller: the session file. See the header.
#include "broker/controller/session_file.h"

#include <fmt/core.h>

#include <charconv>
#include <map>

#include "common/base/crc32c.h"

namespace ottla::broker {
namespace {

constexpr uint64_t kMaxFileBytes = 64 << 10;

template <class T>
bool parse(std::string_view text, T& value, int base = 10) {
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  return error == std::errc() && end == text.data() + text.size();
}

}  // namespace

std::string encode_session(const SessionRecord& record) {
  std::string text = fmt::format(
      "version=0\nsession.id={:x}\nsession.password={}\nbroker.id={}\ncluster.id={}\n"
      "zookeeper.chroot={}\n",
      static_cast<uint64_t>(record.session.session_id), to_hex(as_bytes(record.session.password)),
      record.broker_id, record.cluster_id, record.chroot);
  return text + fmt::format("crc32c={:08x}\n", crc32c(as_bytes(text)));
}

std::optional<SessionRecord> decode_session(std::string_view text) {
  size_t crc_at = text.rfind("crc32c=");
  if (crc_at == std::string_view::npos || text.back() != '\n') return std::nullopt;
  uint32_t crc = 0;
  if (!parse(text.substr(crc_at + 7, text.size() - crc_at - 8), crc, 16) ||
      crc != crc32c(as_bytes(text.substr(0, crc_at))))
    return std::nullopt;
  std::map<std::string, std::string, std::less<>> fields;
  for (std::string_view rest = text.substr(0, crc_at); !rest.empty();) {
    size_t end = rest.find('\n');
    std::string_view line = rest.substr(0, end);
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    size_t equals = line.find('=');
    if (equals == std::string_view::npos) return std::nullopt;
    fields.emplace(line.substr(0, equals), line.substr(equals + 1));
  }
  SessionRecord record;
  uint64_t id = 0;
  if (fields["version"] != "0" || !parse(fields["session.id"], id, 16) || id == 0 ||
      !parse(fields["broker.id"], record.broker_id))
    return std::nullopt;
  record.session.session_id = static_cast<int64_t>(id);
  record.session.password = from_hex(fields["session.password"]);
  record.cluster_id = fields["cluster.id"];
  record.chroot = fields["zookeeper.chroot"];
  return record;
}

std::optional<SessionRecord> read_session_file(rt::Disk& disk, const std::string& dir) {
  auto text = rt::read_file(disk, dir + "/" + kSessionFileName, kMaxFileBytes);
  if (!text) return std::nullopt;
  return decode_session(*text);
}

Result<void> write_session_file(rt::Disk& disk, const std::string& dir,
                                const SessionRecord& record) {
  return rt::replace_file(disk, dir + "/" + kSessionFileName, as_bytes(encode_session(record)));
}

}  // namespace ottla::broker
