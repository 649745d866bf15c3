// zk_diff: one seeded stream of operations to two ZooKeeper servers that both start empty, answers
// compared. Exits 1 at the first difference, with the position, the command that repeats it and the
// script of what was played; `--play FILE` plays such a script again, whole or cut down.
//
//   zk_diff --reference PORT --subject PORT [--seed N] [--operations N] [--as 3.9|3.8] [--script
//   FILE] zk_diff --reference PORT --subject PORT --play FILE zk_diff --dump PORT the whole tree as
//   text
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>
#include <vector>

#include "fmt/core.h"
#include "test/differential/generator.h"
#include "test/differential/player.h"
#include "test/differential/tree_dump.h"

using namespace ottla;
using namespace ottla::differential;

namespace {

struct Options {
  int reference = 0, subject = 0, dump = 0;
  uint64_t seed = 1;
  int64_t operations = 20'000, words_every = 20'000;
  bool as_38 = false, huge = true;
  std::string script, play;
};

int usage() {
  fmt::print(
      stderr,
      "usage: zk_diff --reference PORT --subject PORT [--seed N] [--operations N] [--as 3.9|3.8] "
      "[--script FILE | --play FILE]\n       zk_diff --dump PORT\n");
  return 2;
}

bool parse(int argc, char** argv, Options& options) {
  for (int i = 1; i + 1 < argc; i += 2) {
    std::string key = argv[i], value = argv[i + 1];
    if (key == "--reference")
      options.reference = std::atoi(value.c_str());
    else if (key == "--subject")
      options.subject = std::atoi(value.c_str());
    else if (key == "--dump")
      options.dump = std::atoi(value.c_str());
    else if (key == "--seed")
      options.seed = std::strtoull(value.c_str(), nullptr, 10);
    else if (key == "--operations")
      options.operations = std::atoll(value.c_str());
    else if (key == "--as")
      options.as_38 = value == "3.8";
    else if (key == "--script")
      options.script = value;
    else if (key == "--play")
      options.play = value;
    else
      return false;
  }
  return argc % 2 == 1 && (options.dump != 0 || (options.reference != 0 && options.subject != 0));
}

int failed(const Options& options, const Player& player) {
  fmt::print("DIFFERENCE seed={} operation={}\n{}", options.seed, player.steps_played(),
             player.difference());
  if (options.play.empty())
    fmt::print("repeat: test/interop/test_zk_differential.py --seed {} --operations {} --as {}\n",
               options.seed, options.operations, options.as_38 ? "3.8" : "3.9");
  return 1;
}

// The whole tree of both at the end, and what their operators are told.
bool compare_ends(const Options& options, Player& player) {
  std::vector<Step> words(1);
  words[0].verb = Verb::words;
  if (!player.play(words)) return false;
  std::string told[2] = {dump_tree(options.reference, true), dump_tree(options.subject, true)};
  if (told[0] == told[1] && !told[0].empty()) return true;
  size_t at = 0;
  while (at < told[0].size() && at < told[1].size() && told[0][at] == told[1][at]) ++at;
  size_t from = told[0].rfind('\n', at);
  from = from == std::string::npos ? 0 : from + 1;
  fmt::print("the trees differ at the end:\n  reference: {}\n  subject: {}\n",
             told[0].substr(from, told[0].find('\n', at) - from),
             told[1].substr(from, told[1].find('\n', at) - from));
  return false;
}

int run(const Options& options) {
  auto began = std::chrono::steady_clock::now();
  bool many_ids = options.seed % 2 == 0;
  Player player(options.reference, options.subject,
                {.as_38 = options.as_38, .acls_are_sets = many_ids});
  Generator generator(options.seed,
                      {.as_38 = options.as_38, .many_ids = many_ids, .huge = options.huge});
  std::ofstream script;
  if (!options.script.empty()) script.open(options.script);
  int64_t words_at = options.words_every;
  while (player.steps_played() < options.operations) {
    std::vector<Step> batch = generator.next(player);
    if (script.is_open())
      for (const Step& step : batch) script << to_line(step) << "\n";
    auto asked = std::chrono::steady_clock::now();
    if (!player.play(batch)) return failed(options, player);
    std::chrono::duration<double> waited = std::chrono::steady_clock::now() - asked;
    if (waited.count() > 2)
      fmt::print("slow: {:.1f} s: {}\n", waited.count(), describe(batch.back()));
    generator.learn(batch, player.answers());
    if (player.steps_played() < words_at) continue;
    words_at += options.words_every;
    batch.assign(1, {});
    batch[0].verb = Verb::words;
    batch[0].last = true;
    if (script.is_open()) script << to_line(batch[0]) << "\n";
    if (!player.play(batch)) return failed(options, player);
  }
  if (!compare_ends(options, player)) return failed(options, player);
  std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
  fmt::print(
      "seed {}: {} operations alike, last zxid {}, {:.1f} s (waited {:.1f} s for the reference, "
      "{:.1f} s for the subject)\n",
      options.seed, player.steps_played(), player.last_zxid(), took.count(),
      player.seconds_waited(0), player.seconds_waited(1));
  return 0;
}

int play(const Options& options) {
  Player player(options.reference, options.subject,
                {.as_38 = options.as_38, .acls_are_sets = true});
  std::ifstream in(options.play);
  std::vector<Step> batch;
  for (std::string line; std::getline(in, line);) {
    std::optional<Step> step = from_line(line);
    if (!step) continue;
    // A cut script may have lost the end of a batch.
    if (!batch.empty() &&
        (batch.back().session != step->session || step->verb != Verb::request || step->alone)) {
      if (!player.play(batch)) return failed(options, player);
      batch.clear();
    }
    batch.push_back(*step);
    if (!step->last) continue;
    if (!player.play(batch)) return failed(options, player);
    batch.clear();
  }
  if (!batch.empty() && !player.play(batch)) return failed(options, player);
  return compare_ends(options, player) ? 0 : failed(options, player);
}

}  // namespace

int main(int argc, char** argv) {
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  Options options;
  if (!parse(argc, argv, options)) return usage();
  if (options.dump != 0) {
    std::string text = dump_tree(options.dump, false);
    std::fwrite(text.data(), 1, text.size(), stdout);
    return text.empty() ? 1 : 0;
  }
  return options.play.empty() ? run(options) : play(options);
}
