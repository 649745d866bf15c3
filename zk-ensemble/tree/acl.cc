#include "zk-ensemble/tree/acl.h"

#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <set>
#include <tuple>

#include "common/base/check.h"
#include "zk-ensemble/tree/jute_io.h"

namespace ottla::zk {

const AclRef& open_acl() {
  static const AclRef list = std::make_shared<AclList>(AclList{{kPermAll, {"world", "anyone"}}});
  return list;
}
const AclRef& read_acl() {
  static const AclRef list = std::make_shared<AclList>(AclList{{kPermRead, {"world", "anyone"}}});
  return list;
}

void encode_acls(wire::Writer& out, const AclList& acls) {
  out.i32(static_cast<int32_t>(acls.size()));
  for (const Acl& acl : acls) {
    out.i32(acl.perms);
    put_string(out, acl.id.scheme);
    put_string(out, acl.id.id);
  }
}

bool decode_acls(wire::Reader& in, AclList& acls) {
  acls.clear();
  int32_t count = in.i32();
  if (count <= 0) return in.ok();
  if (!in.claim_count(count, 12)) return false;
  acls.resize(static_cast<size_t>(count));
  for (Acl& acl : acls) {
    acl.perms = in.i32();
    acl.id.scheme = get_string(in);
    acl.id.id = get_string(in);
  }
  return in.ok();
}

bool decode_raw_acls(wire::Reader& in, std::vector<RawAcl>& acls) {
  acls.clear();
  int32_t count = in.i32();
  if (count < 0) return in.ok();  // null; another negative count is no entry, as Apache reads it
  if (!in.claim_count(count, 12)) return false;
  acls.resize(static_cast<size_t>(count));
  for (RawAcl& acl : acls) {
    acl.perms = in.i32();
    acl.scheme = get_nullable(in);
    acl.id = get_nullable(in);
  }
  return in.ok();
}

AuthRef with_auth(const AuthRef& auth, AuthId id) {
  if (auth && std::ranges::find(*auth, id) != auth->end()) return auth;
  auto grown = auth ? std::make_shared<AuthInfo>(*auth) : std::make_shared<AuthInfo>();
  grown->push_back(std::move(id));
  return grown;
}

bool acl_allows(const AclList& acls, int32_t perms, const AuthInfo& auth,
                const CoreOptions& options) {
  if (options.skip_acl || acls.empty()) return true;
  for (const AuthId& id : auth)
    if (id.scheme == "super") return true;
  for (const Acl& acl : acls) {
    if ((acl.perms & perms) == 0) continue;
    if (acl.id.scheme == "world" && acl.id.id == "anyone") return true;
    bool by_digest = acl.id.scheme == "digest" && options.digest_auth_enabled;
    bool by_ip = acl.id.scheme == "ip";
    if (!by_digest && !by_ip) continue;
    for (const AuthId& id : auth) {
      if (id.scheme != acl.id.scheme) continue;
      if (by_digest ? id.id == acl.id.id : ip_matches(id.id, acl.id.id, options.ip_v6_acls))
        return true;
    }
  }
  return false;
}

namespace {

// Exactly two parts between colons, trailing empty ones not counted: "x:" has one, ":y" two.
bool digest_id_valid(std::string_view id) {
  while (!id.empty() && id.back() == ':') id.remove_suffix(1);
  return std::ranges::count(id, ':') == 1;
}

bool java_int(std::string_view text, int base, int32_t& value) {
  if (!text.empty() && text.front() == '+') text.remove_prefix(1);
  if (text.empty() || text.front() == '+') return false;
  auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  return error == std::errc() && stop == text.data() + text.size();
}

std::vector<std::string_view> split(std::string_view text, std::string_view by) {
  std::vector<std::string_view> parts;
  for (;;) {
    size_t at = text.find(by);
    parts.push_back(text.substr(0, at));
    if (at == std::string_view::npos) return parts;
    text.remove_prefix(at + by.size());
  }
}

struct Address {
  std::array<uint8_t, 16> bytes{};
  size_t size = 0;  // 4 or 16; 0: not an address
};

bool put_v6_segments(Address& into, size_t at, const std::vector<std::string_view>& segments) {
  for (std::string_view segment : segments) {
    int32_t value = 0;
    if (segment.empty() || segment.size() > 4 || !java_int(segment, 16, value)) return false;
    into.bytes[at++] = static_cast<uint8_t>(value >> 8);
    into.bytes[at++] = static_cast<uint8_t>(value);
  }
  return true;
}

Address parse_v6(std::string_view text) {
  Address address;
  std::vector<std::string_view> halves = split(text, "::"), head, tail;
  if (halves.size() > 2) return {};
  if (halves.size() == 1 || !halves[0].empty()) head = split(halves[0], ":");
  if (halves.size() == 1) {
    if (head.size() != 8) return {};
  } else {
    if (!halves[1].empty()) tail = split(halves[1], ":");
    if (head.size() + tail.size() >= 8) return {};
  }
  if (!put_v6_segments(address, 0, head) || !put_v6_segments(address, 16 - tail.size() * 2, tail))
    return {};
  address.size = 16;
  return address;
}

Address parse_address(std::string_view text, bool v6) {
  if (text.find(':') != std::string_view::npos) return v6 ? parse_v6(text) : Address();
  Address address;
  std::vector<std::string_view> parts = split(text, ".");
  if (parts.size() != 4) return {};
  for (size_t i = 0; i < 4; ++i) {
    int32_t value = 0;
    if (!java_int(parts[i], 10, value) || value < 0 || value > 255) return {};
    address.bytes[i] = static_cast<uint8_t>(value);
  }
  address.size = 4;
  return address;
}

struct IpExpression {
  Address address;
  size_t bits = 0;
};

std::optional<IpExpression> parse_expression(std::string_view text, bool v6) {
  size_t slash = text.find('/');
  IpExpression parsed{parse_address(text.substr(0, slash), v6), 0};
  if (parsed.address.size == 0) return std::nullopt;
  int32_t bits = static_cast<int32_t>(parsed.address.size * 8);
  if (slash != std::string_view::npos) {
    int32_t limit = bits;
    if (!java_int(text.substr(slash + 1), 10, bits) || bits < 0 || bits > limit)
      return std::nullopt;
  }
  parsed.bits = static_cast<size_t>(bits);
  return parsed;
}

}  // namespace

bool ip_expression_valid(std::string_view expression, bool v6) {
  return parse_expression(expression, v6).has_value();
}

bool ip_matches(std::string_view address, std::string_view expression, bool v6) {
  std::optional<IpExpression> wanted = parse_expression(expression, v6);
  if (!wanted) return false;
  Address actual = parse_address(address, v6);
  if (actual.size != wanted->address.size) return false;
  for (size_t bit = 0; bit < wanted->bits; bit += 8) {
    size_t left = wanted->bits - bit;
    auto mask = static_cast<uint8_t>(left >= 8 ? 0xff : 0xff << (8 - left));
    if (((actual.bytes[bit / 8] ^ wanted->address.bytes[bit / 8]) & mask) != 0) return false;
  }
  return true;
}

namespace {
// "SHA-256" and "SHA3-256" are Java's names of what OpenSSL calls SHA256 and SHA3-256.
std::string openssl_name(std::string algorithm) {
  if (algorithm.starts_with("SHA-")) algorithm.erase(3, 1);
  return algorithm;
}
}  // namespace

// Apache looks for duplicates first, and trips over a null that it must compare: a scheme with an
// earlier entry of the same permissions, an id with one of the same scheme too.
static bool compares_null(const std::vector<RawAcl>& raw) {
  std::set<int32_t> perms;
  std::set<std::pair<int32_t, std::string_view>> schemes;
  for (const RawAcl& acl : raw) {
    if (!acl.scheme && perms.contains(acl.perms)) return true;
    if (acl.scheme && !acl.id && schemes.contains({acl.perms, *acl.scheme})) return true;
    perms.insert(acl.perms);
    if (acl.scheme) schemes.insert({acl.perms, *acl.scheme});
  }
  return false;
}

ZkError normalize_acls(const std::vector<RawAcl>& raw, const AuthInfo& auth,
                       const CoreOptions& options, size_t& room, AclRef& into) {
  if (raw.empty()) return ZkError::invalid_acl;
  if (raw.size() == 1 && raw[0].perms == kPermAll && raw[0].scheme == "world" &&
      raw[0].id == "anyone") {
    into = open_acl();
    return ZkError::ok;
  }
  if (compares_null(raw)) return ZkError::marshalling_error;
  auto list = std::make_shared<AclList>();
  auto before = [](const RawAcl* a, const RawAcl* b) {
    return std::tie(a->perms, a->scheme, a->id) < std::tie(b->perms, b->scheme, b->id);
  };
  std::set<const RawAcl*, decltype(before)> seen(before);
  for (const RawAcl& acl : raw) {
    if (!seen.insert(&acl).second) continue;
    if (!acl.scheme) return ZkError::invalid_acl;
    bool digest = *acl.scheme == "digest" && options.digest_auth_enabled;
    if (*acl.scheme == "auth") {
      bool any = false;
      for (const AuthId& id : auth) {
        if (id.scheme != "digest" || !options.digest_auth_enabled)
          continue;  // ip does not authenticate
        size_t bytes = sizeof(Acl) + id.id.size();
        if (bytes > room) return ZkError::invalid_acl;
        room -= bytes;
        list->push_back({acl.perms, id});
        any = true;
      }
      if (!any) return ZkError::invalid_acl;
      continue;
    }
    if (*acl.scheme != "world" && *acl.scheme != "ip" && !digest) return ZkError::invalid_acl;
    if (!acl.id) return ZkError::marshalling_error;
    bool valid = *acl.scheme == "world" ? *acl.id == "anyone"
                 : digest               ? digest_id_valid(*acl.id)
                                        : ip_expression_valid(*acl.id, options.ip_v6_acls);
    if (!valid) return ZkError::invalid_acl;
    list->push_back({acl.perms, {*acl.scheme, *acl.id}});
  }
  into = std::move(list);
  return ZkError::ok;
}

bool digest_available(const std::string& algorithm) {
  return EVP_get_digestbyname(openssl_name(algorithm).c_str()) != nullptr;
}

std::string digest_id(std::string_view user_and_password, const std::string& algorithm) {
  uint8_t hash[EVP_MAX_MD_SIZE];
  unsigned hash_size = 0;
  OTTLA_CHECK(EVP_Digest(user_and_password.data(), user_and_password.size(), hash, &hash_size,
                         EVP_get_digestbyname(openssl_name(algorithm).c_str()), nullptr) == 1);
  uint8_t text[EVP_MAX_MD_SIZE * 2];
  int text_size = EVP_EncodeBlock(text, hash, static_cast<int>(hash_size));
  std::string id(user_and_password.substr(0, user_and_password.find(':')));
  id += ':';
  id.append(reinterpret_cast<const char*>(text), static_cast<size_t>(text_size));
  return id;
}

std::optional<AuthInfo> authenticate(std::string_view scheme, Bytes data,
                                     std::string_view remote_address, const CoreOptions& options) {
  if (scheme == "ip") return AuthInfo{{"ip", std::string(remote_address)}};
  if (scheme != "digest" || !options.digest_auth_enabled) return std::nullopt;
  AuthInfo granted;
  std::string id = digest_id(as_text(data), options.digest_algorithm);
  if (!options.super_digest.empty() && id == options.super_digest) granted.push_back({"super", ""});
  granted.push_back({"digest", std::move(id)});
  return granted;
}

std::string user_of(const AuthId& id) {
  if (id.scheme == "digest") return id.id.substr(0, id.id.find(':'));
  return id.id;
}

int64_t AclCache::acquire(const AclRef& acls) {
  if (acls == open_acl() || *acls == *open_acl()) return kOpenRef;
  auto known = by_list_.find(acls);
  int64_t ref = known != by_list_.end() ? known->second : ++last_ref_;
  Entry& entry = by_ref_[ref];
  if (entry.acls == nullptr) {
    entry.acls = acls;
    by_list_.emplace(acls, ref);
  }
  ++entry.uses;
  return ref;
}

void AclCache::add_use(int64_t ref) {
  auto it = by_ref_.find(ref);
  if (it != by_ref_.end()) ++it->second.uses;
  // The number of a list that the snapshot's map was too early for: whoever got it anew, when the log
  // is replayed, would share it with this node.
  last_ref_ = std::max(last_ref_, ref);
}

void AclCache::release(int64_t ref) {
  auto it = by_ref_.find(ref);
  if (it == by_ref_.end() || --it->second.uses > 0) return;
  by_list_.erase(it->second.acls);
  by_ref_.erase(it);
}

const AclRef& AclCache::list(int64_t ref) const {
  // A list with no entries would allow everything; an unknown number must allow nobody.
  static const AclRef nobody = std::make_shared<AclList>(AclList{{0, {"world", "anyone"}}});
  if (ref == kOpenRef) return open_acl();
  auto it = by_ref_.find(ref);
  return it == by_ref_.end() ? nobody : it->second.acls;
}

void AclCache::load(int64_t ref, AclList acls) {
  if (ref == kOpenRef) return;
  auto list = std::make_shared<const AclList>(std::move(acls));
  by_ref_[ref].acls = list;
  by_list_.insert_or_assign(list, ref);
  last_ref_ = std::max(last_ref_, ref);
}

void AclCache::purge_unused() {
  std::erase_if(by_ref_, [](const auto& item) { return item.second.uses <= 0; });
  by_list_.clear();
  for (const auto& [ref, entry] : by_ref_) by_list_.emplace(entry.acls, ref);
}

void AclCache::clear() {
  by_ref_.clear();
  by_list_.clear();
}

void AclCache::check_invariants() const {
  // Two numbers for one list may come out of a snapshot; only one of them is given out again.
  OTTLA_CHECK(by_list_.size() <= by_ref_.size());
  for (const auto& [ref, entry] : by_ref_) {
    OTTLA_CHECK(entry.uses > 0 && ref <= last_ref_);
    OTTLA_CHECK(by_list_.contains(entry.acls));
  }
}

}  // namespace ottla::zk
