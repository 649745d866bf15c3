// differential_kafka: one seeded stream of requests in lock step to Apache's broker and to ours.
//   differential_kafka --apache PORT --ours PORT [--seed N] [--requests N] [--keep-going] [--trace]
//   [--times]
//     [--own TEXT_OF_APACHES=TEXT_OF_OURS=SYMBOL]...   (paths and the like)
// Both must be fresh. Exit 0: no difference; 1: at least one, with what repeats it; --allowed
// prints the list of allowed differences.
#include <fmt/core.h>

#include <cstdlib>
#include <cstring>
#include <vector>

#include "proto/kafka/api_key.h"
#include "test/interop/differential_kafka/world.h"

namespace ottla::differential {
namespace {

void print_allowed() {
  for (const Rule& rule : allowed_differences())
    fmt::print("{} {}: {}\n", kmsg::api_name(static_cast<kmsg::ApiKey>(rule.key)), rule.pattern,
               rule.reason);
}

int main(int argc, char** argv) {
  Settings settings;
  std::vector<std::string> own;
  for (int i = 1; i < argc; ++i) {
    std::string_view flag = argv[i];
    auto value = [&] { return i + 1 < argc ? argv[++i] : "0"; };
    if (flag == "--apache")
      settings.ports[0] = std::atoi(value());
    else if (flag == "--ours")
      settings.ports[1] = std::atoi(value());
    else if (flag == "--seed")
      settings.seed = std::strtoull(value(), nullptr, 10);
    else if (flag == "--requests")
      settings.requests = std::atoll(value());
    else if (flag == "--keep-going")
      settings.keep_going = true;
    else if (flag == "--trace")
      settings.trace = true;
    else if (flag == "--times")
      settings.times = true;
    else if (flag == "--own")
      own.push_back(value());
    else if (flag == "--allowed")
      return print_allowed(), 0;
    else
      return fmt::print(stderr, "unknown argument {}\n", flag), 2;
  }
  settings.command = fmt::format("test/interop/differential_kafka.py --seed {} --requests {}",
                                 settings.seed, settings.requests);
  Run run(settings);
  run.symbols.add_own(std::to_string(settings.ports[0]), std::to_string(settings.ports[1]), "PORT");
  for (const std::string& each : own) {
    size_t first = each.find('='), second = each.find('=', first + 1);
    run.symbols.add_own(each.substr(0, first), each.substr(first + 1, second - first - 1),
                        each.substr(second + 1));
  }
  Steps steps(run);
  steps.set_up();
  constexpr int64_t kSay = 10'000;
  for (int64_t next = kSay; run.sent() < settings.requests && !run.stop();) {
    steps.one();
    if (run.sent() < next) continue;
    fmt::print("{} requests\n", next);
    std::fflush(stdout);
    next += kSay;
  }
  if (!run.stop()) steps.finish();
  run.report();
  return run.failed() ? 1 : 0;
}

}  // namespace
}  // namespace ottla::differential

int main(int argc, char** argv) { return ottla::differential::main(argc, argv); }
