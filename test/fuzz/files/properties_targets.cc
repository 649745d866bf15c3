#include "broker/config/broker_config.h"
#include "common/base/check.h"
#include "test/fuzz/files/file_targets.h"
#include "zk-ensemble/config/server_config.h"

namespace ottla::fuzz {

namespace {
// One line that names the file.
void check_line(const Error& error) {
  OTTLA_CHECK(error.code != Errc::io);
  OTTLA_CHECK(error.context.find("fuzz.conf") != std::string::npos);
}
}  // namespace

void properties_file(Bytes input) {
  if (input.empty()) return;
  std::string_view text = as_text(input.subspan(1));
  if ((input[0] & 1) != 0) {
    auto loaded = zk::load_config(text, "fuzz.conf");
    if (!loaded) check_line(loaded.error());
    return;
  }
  auto properties = config::Properties::parse(text, "fuzz.conf");
  if (!properties) return check_line(properties.error());
  auto loaded = broker::load_broker_config(*properties, "fuzz.conf");
  if (!loaded) check_line(loaded.error());
}

}  // namespace ottla::fuzz
