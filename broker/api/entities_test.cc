#include "broker/api/entities.h"

#include <catch2/catch.hpp>

using namespace ottla::broker;

TEST_CASE("names in paths are percent-encoded and come back") {
  CHECK(sanitize("CN=a b,O=*~/ü") == "CN%3Da%20b%2CO%3D%2A%7E%2F%C3%BC");
  CHECK(sanitize("a.b-c_D9") == "a.b-c_D9");
  for (const char* name : {"", "<default>", "100%", "%", "%zz", "a+b", "ü/x"})
    CHECK(desanitize(sanitize(name)) == name);
  CHECK(entity_path_part(std::nullopt) == "<default>");
  CHECK(entity_path_part("<default>") == "%3Cdefault%3E");
  CHECK(entity_name("%3Cdefault%3E") == "<default>");
  CHECK_FALSE(entity_name("<default>"));
}

TEST_CASE("quotas are stored as Java writes their numbers") {
  CHECK(java_double_text(50.25) == "50.25");
  CHECK(java_double_text(50) == "50.0");
  CHECK(java_double_text(0.001) == "0.001");
  CHECK(java_double_text(0.0001) == "1.0E-4");
  CHECK(java_double_text(12345678) == "1.2345678E7");
  CHECK(java_double_text(1e7) == "1.0E7");
  CHECK(quota_text(QuotaType::int64, 9685014.0) == "9685014");
  CHECK(quota_text(QuotaType::int64, 4.9999999) == "5");
  CHECK_FALSE(quota_text(QuotaType::int64, 1.5));
  CHECK_FALSE(quota_text(QuotaType::int64, -5));
  CHECK_FALSE(quota_text(QuotaType::int32, 3e9));
  CHECK(quota_type("connection_creation_rate", true) == QuotaType::int32);
  CHECK_FALSE(quota_type("connection_creation_rate", false));
  CHECK_FALSE(quota_type("SCRAM-SHA-256", false));
}

TEST_CASE("addresses in Java's short forms") {
  for (const char* good : {"1.2.3.4", "1.2.65535", "1.16777215", "4294967295", "localhost"})
    CHECK(is_address(good));
  for (const char* bad : {"1.2.3.256", "1.2.3.4.5", "256.1", "1..2", "4294967296", "not%20an%20ip"})
    CHECK_FALSE(is_address(bad));
}

TEST_CASE("a SCRAM credential as Kafka stores it") {
  // RFC 7677, section 3: user "user", password "pencil"; its salted password and keys.
  std::string salt = "\x5b\x6d\x99\x68\x9d\x12\x35\x8e\xec\xa0\x4b\x14\x12\x36\xfa\x81";
  std::string salted_password(
      "\xc4\xa4\x95\x10\x32\x3a\xb4\xf9\x52\xca\xc1\xfa\x99\x44\x19\x39\xe7\x8e\xa7\x4d\x6b\xe8\x1d"
      "\xdf\x70\x96\xe8\x75\x13\xdc\x61\x5d",
      32);
  std::string stored = scram_credential(1, salt, salted_password, 4096);
  CHECK(stored ==
        "salt=W22ZaJ0SNY7soEsUEjb6gQ==,stored_key=WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=,"
        "server_key=wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=,iterations=4096");
  CHECK(scram_iterations(stored) == 4096);
  CHECK_FALSE(scram_iterations("salt=x"));
  CHECK(scram_mechanism_name(3) == nullptr);
}
