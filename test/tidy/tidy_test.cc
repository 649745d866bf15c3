// House rules that a machine can check: which room includes which, calls that would break
// determinism or the build's cost, words that do not belong here, a README in each room. A rule
// that is not checked erodes. Run from the source directory (CTest does).
#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

namespace {

namespace fs = std::filesystem;

struct Source {
  std::string path;  // from the root, '/' between
  std::string text;
};

std::string room_of(const std::string& path) {
  size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : path.substr(0, slash);
}
std::string top_of(const std::string& path) { return path.substr(0, path.find('/')); }

bool is_header(const std::string& path) { return path.ends_with(".h"); }
bool is_code(const std::string& path) { return is_header(path) || path.ends_with(".cc"); }
bool is_test(const std::string& path) {
  return path.starts_with("test/") || path.ends_with("_test.cc") || path.ends_with("_fuzz.cc") ||
         path.ends_with("_bench.cc") || path.find("/test_") != std::string::npos;
}

std::vector<Source> sources() {
  std::vector<Source> all;
  const std::set<std::string> skipped = {"build", "dist", "logs", "data"};
  for (auto at = fs::recursive_directory_iterator("."); at != fs::recursive_directory_iterator();
       ++at) {
    std::string path = at->path().lexically_relative(".").generic_string();
    std::string name = at->path().filename().string();
    if (at->is_directory()) {
      if ((name.starts_with(".") && name != ".ci") || (skipped.contains(path)))
        at.disable_recursion_pending();
      continue;
    }
    if (!at->is_regular_file() || at->file_size() > (1 << 20)) continue;
    std::ifstream file(path, std::ios::binary);
    std::ostringstream text;
    text << file.rdbuf();
    if (text.str().find('\0') == std::string::npos) all.push_back({path, text.str()});
  }
  std::sort(all.begin(), all.end(), [](auto& a, auto& b) { return a.path < b.path; });
  return all;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

std::string without_comment(const std::string& line) { return line.substr(0, line.find("//")); }

// --------------------------------------------------------------------------------------- direction

// What each room may include besides itself. A new room adds its line here and in its README.
const std::map<std::string, std::set<std::string>> kMayInclude = {
    {"common/base", {}},
    {"common/wire", {"common/base"}},
    {"common/wire/gen", {"common/base", "common/wire"}},
    {"common/config", {"common/base"}},
    {"common/compress", {"common/base"}},
    {"common/rt", {"common/base"}},
    {"common/rt_asio", {"common/base", "common/rt"}},
    {"common/rt_sim", {"common/base", "common/rt"}},
    {"common/metrics", {"common/base", "common/rt"}},
    {"proto/zookeeper", {"common/base", "common/wire"}},
    {"proto/kafka", {"common/base", "common/wire"}},

    {"zk-ensemble/tree", {"common/base", "common/wire", "proto/zookeeper"}},
    {"zk-ensemble/session",
     {"common/base", "common/wire", "common/metrics", "proto/zookeeper", "zk-ensemble/tree"}},
    {"zk-ensemble/txnlog",
     {"common/base", "common/wire", "common/compress", "common/metrics", "common/rt",
      "proto/zookeeper", "zk-ensemble/tree", "zk-ensemble/session"}},
    {"zk-ensemble/config", {"common/base", "common/config"}},
    {"zk-ensemble/server",
     {"common/base", "common/wire", "common/config", "common/metrics", "common/rt",
      "proto/zookeeper", "zk-ensemble/tree", "zk-ensemble/session", "zk-ensemble/txnlog",
      "zk-ensemble/config"}},

    {"broker/config", {"common/base", "common/config"}},
    {"broker/record", {"common/base", "common/wire", "common/compress"}},
    {"broker/log",
     {"common/base", "common/wire", "common/compress", "common/metrics", "common/rt",
      "broker/record"}},
    {"broker/metadata", {"common/base", "proto/kafka"}},
    {"broker/group", {"common/base", "common/wire", "proto/kafka", "broker/record"}},
    {"broker/zk",
     {"common/base", "common/wire", "common/rt", "proto/zookeeper", "proto/kafka",
      "broker/metadata", "broker/config"}},
    {"broker/controller",
     {"common/base", "common/rt", "common/metrics", "proto/kafka", "broker/zk", "broker/metadata",
      "broker/config"}},
    {"broker/partition",
     {"common/base", "common/wire", "common/rt", "common/metrics", "common/compress", "proto/kafka",
      "broker/log", "broker/record", "broker/metadata", "broker/config"}},
    {"broker/api",
     {"common/base", "common/wire", "common/rt", "common/metrics", "common/compress",
      "common/config", "proto/kafka", "broker/config", "broker/record", "broker/log",
      "broker/metadata", "broker/group", "broker/zk", "broker/controller", "broker/partition"}},
    {"standalone",
     {"common/base", "common/config", "common/rt", "common/rt_asio", "zk-ensemble/config",
      "zk-ensemble/server", "broker/config", "broker/server"}},
    {"broker/server",
     {"common/base", "common/wire", "common/rt", "common/metrics", "common/compress",
      "common/config", "proto/kafka", "proto/zookeeper", "broker/config", "broker/record",
      "broker/log", "broker/metadata", "broker/group", "broker/zk", "broker/controller",
      "broker/partition", "broker/api"}},
};

// Empty when `path` may include `included`, else why not.
std::string include_fault(const std::string& path, const std::string& included) {
  std::string from = room_of(path), to = room_of(included);
  if (from == to || from.starts_with("test/") || top_of(path) == "tools") return {};
  bool servers_meet = (top_of(path) == "broker" && top_of(included) == "zk-ensemble") ||
                      (top_of(path) == "zk-ensemble" && top_of(included) == "broker");
  if (servers_meet) return "broker and zk-ensemble meet only on the wire";
  if (is_test(path) || path.ends_with("_main.cc")) {
    // Tests and programs name runtimes, what tests share, and their neighbours.
    if (top_of(included) == "common" || top_of(included) == top_of(path) ||
        top_of(included) == "proto" || included.starts_with("test/support/"))
      return {};
  }
  auto row = kMayInclude.find(from);
  if (row == kMayInclude.end()) return "room " + from + " has no line in test/tidy's table";
  if (row->second.contains(to)) return {};
  return from + " may not include " + to;
}

// ------------------------------------------------------------------------------------------- bans

struct Ban {
  std::string token;
  std::string why;
  std::vector<std::string> allowed;  // prefixes of paths
  bool headers_only = false;
};

const std::vector<std::string> kReal = {"common/rt_asio/", "standalone/", "tools/", "test/"};
const std::vector<Ban> kBans = {
    {"std::thread", "threads belong to common/rt_asio", kReal},
    {"std::jthread", "threads belong to common/rt_asio", kReal},
    {"std::async", "threads belong to common/rt_asio", kReal},
    {"std::mutex", "rooms are single-threaded; cross threads by Loop::post", kReal},
    {"std::shared_mutex", "rooms are single-threaded; cross threads by Loop::post", kReal},
    {"std::condition_variable", "rooms are single-threaded", kReal},
    {"system_clock", "time comes from rt::Loop or as an argument", kReal},
    {"steady_clock", "time comes from rt::Loop or as an argument", kReal},
    {"high_resolution_clock", "time comes from rt::Loop or as an argument", kReal},
    {"clock_gettime", "time comes from rt::Loop or as an argument", kReal},
    {"gettimeofday", "time comes from rt::Loop or as an argument", kReal},
    {"random_device", "randomness comes from rt::Entropy or a seeded Prng", kReal},
    {"std::mt19937", "randomness comes from rt::Entropy or a seeded Prng", kReal},
    {"sleep_for", "nothing sleeps on a loop", kReal},
    {"usleep(", "nothing sleeps on a loop", kReal},
    {"#include <boost/asio", "Asio is known to common/rt_asio alone", {"common/rt_asio/"}},
    {"#include <spdlog", "spdlog is known to common/base/log.cc alone", {"common/base/log.cc"}},
    {"#include <regex>", "costs 0.7 s of compile time for each includer", {}, true},
    {"#include <iostream>", "has no place in a header", {}, true},
    {"#include <format>", "not in libstdc++ 12; use fmt", {}},
    {"#include <print>", "not in libstdc++ 12; use fmt", {}},
};

std::vector<std::string> ban_faults(const Source& source) {
  std::vector<std::string> faults;
  auto lines = lines_of(source.text);
  for (size_t i = 0; i < lines.size(); ++i) {
    std::string code = without_comment(lines[i]);
    for (const Ban& ban : kBans) {
      if (ban.headers_only && !is_header(source.path)) continue;
      if (code.find(ban.token) == std::string::npos) continue;
      bool allowed = std::any_of(ban.allowed.begin(), ban.allowed.end(), [&](const auto& prefix) {
        return source.path.starts_with(prefix);
      });
      if (!allowed)
        faults.push_back(source.path + ":" + std::to_string(i + 1) + ": " + ban.token + ": " +
                         ban.why);
    }
  }
  return faults;
}

std::vector<std::string> include_faults(const Source& source) {
  std::vector<std::string> faults;
  auto lines = lines_of(source.text);
  for (size_t i = 0; i < lines.size(); ++i) {
    const std::string start = "#include \"";
    if (!lines[i].starts_with(start)) continue;
    std::string included = lines[i].substr(start.size());
    included = included.substr(0, included.find('"'));
    if (included.starts_with("fmt/")) continue;
    std::string fault = included.find('/') == std::string::npos
                            ? "include " + included + " by its full path"
                            : include_fault(source.path, included);
    if (!fault.empty()) faults.push_back(source.path + ":" + std::to_string(i + 1) + ": " + fault);
  }
  return faults;
}

// Split, so that this file does not contain them.
const std::vector<std::string> kForeignWords = {
    std::string("/wo") + "rk/",    std::string("Clau") + "de",
    std::string("Anth") + "ropic", std::string("Chat") + "GPT",
    std::string("Copi") + "lot",   std::string("language ") + "model",
    std::string("FIX") + "ME",     std::string("DO NOT ") + "SUBMIT",
    std::string("<<<<") + "<<< ",  std::string(">>>>") + ">>> ",
};

void report(const std::vector<std::string>& faults) {
  for (const std::string& fault : faults) {
    UNSCOPED_INFO(fault);
  }
  CHECK(faults.empty());
}

}  // namespace

TEST_CASE("rooms include only what they may") {
  std::vector<std::string> faults;
  for (const Source& source : sources())
    if (is_code(source.path))
      for (auto& fault : include_faults(source)) faults.push_back(fault);
  report(faults);
}

TEST_CASE("no call that breaks determinism, no include that costs too much") {
  std::vector<std::string> faults;
  for (const Source& source : sources())
    if (is_code(source.path) && source.path != "test/tidy/tidy_test.cc")  // it names them
      for (auto& fault : ban_faults(source)) faults.push_back(fault);
  report(faults);
}

TEST_CASE("no foreign words, no leftovers") {
  std::vector<std::string> faults;
  for (const Source& source : sources())
    for (const std::string& word : kForeignWords)
      if (source.text.find(word) != std::string::npos)
        faults.push_back(source.path + ": contains \"" + word + "\"");
  report(faults);
}

TEST_CASE("headers guard themselves with pragma once, and files end in a newline") {
  std::vector<std::string> faults;
  for (const Source& source : sources()) {
    if (!is_code(source.path)) continue;
    if (is_header(source.path) && source.text.find("#pragma once") == std::string::npos)
      faults.push_back(source.path + ": no #pragma once");
    if (!source.text.ends_with('\n')) faults.push_back(source.path + ": no newline at the end");
  }
  report(faults);
}

TEST_CASE("each room has a README of at most 60 lines with the headings of the house", "[readme]") {
  std::set<std::string> rooms;
  std::map<std::string, std::string> texts;
  for (const Source& source : sources()) {
    if (source.path.ends_with(".cc")) rooms.insert(room_of(source.path));
    if (source.path.ends_with("README.md")) texts[room_of(source.path)] = source.text;
  }
  std::vector<std::string> faults;
  for (const std::string& room : rooms) {
    if (!texts.contains(room)) {
      faults.push_back(room + ": no README.md");
      continue;
    }
    for (const char* heading : {"## What this room is", "## Start reading at", "## Invariants",
                                "## How it is tested", "## Sources", "## May include"})
      if (texts[room].find(heading) == std::string::npos)
        faults.push_back(room + "/README.md: no \"" + heading + "\"");
    if (lines_of(texts[room]).size() > 60) faults.push_back(room + "/README.md: over 60 lines");
  }
  report(faults);
}

TEST_CASE("the checks themselves notice what they should") {
  CHECK(!include_fault("broker/log/log.cc", "zk-ensemble/tree/tree.h").empty());
  CHECK(!include_fault("broker/log/log_test.cc", "zk-ensemble/tree/tree.h").empty());
  CHECK(!include_fault("broker/log/log.cc", "common/rt_asio/runtime.h").empty());
  CHECK(!include_fault("common/base/result.h", "common/rt/world.h").empty());
  CHECK(!include_fault("zk-ensemble/tree/tree.cc", "common/rt/world.h").empty());
  CHECK(!include_fault("broker/new_room/x.cc", "common/base/result.h").empty());
  CHECK(include_fault("broker/log/log_test.cc", "common/rt_sim/simulator.h").empty());
  CHECK(include_fault("test/sim/cluster.cc", "broker/server/broker.h").empty());
  CHECK(include_fault("broker/log/log.cc", "broker/log/segment.h").empty());
  CHECK(ban_faults({"broker/log/a.cc", "int x;\nstd::mutex m;  // why\n"}).size() == 1);
  CHECK(ban_faults({"broker/log/a.cc", "// std::mutex\n"}).empty());
  CHECK(ban_faults({"common/rt_asio/a.cc", "std::mutex m;\n"}).empty());
  CHECK(ban_faults({"a/b.cc", "#include <iostream>\n"}).empty());
  CHECK(ban_faults({"a/b.h", "#include <iostream>\n"}).size() == 1);
  CHECK(include_faults({"common/wire/a.cc", "#include \"reader.h\"\n"}).size() == 1);
}
