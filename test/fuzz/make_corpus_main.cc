// Writes the committed corpus anew: make_corpus DIRECTORY (test/fuzz/corpus), from the repository's
// root. What fuzzing found worth keeping is added by hand.
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "test/fuzz/mutate.h"

using namespace ottla;

namespace {

void put(const std::string& directory, const std::string& name, Bytes bytes) {
  std::filesystem::create_directories(directory);
  std::ofstream(directory + "/" + name, std::ios::binary) << as_text(bytes);
}

std::string read(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return std::fprintf(stderr, "usage: make_corpus DIRECTORY\n"), 2;
  std::string top = argv[1];
  Prng prng(1);
  for (int i = 0; i < 6; ++i) {
    std::string name = "seed" + std::to_string(i);
    Buffer steps = fuzz::arbitrary_steps(prng, fuzz::kKafkaSteps, 20);
    while (steps.size() > 5000) steps = fuzz::arbitrary_steps(prng, fuzz::kKafkaSteps, 10);
    put(top + "/kafka_broker", name, steps);
    put(top + "/zk_server", name, fuzz::arbitrary_steps(prng, fuzz::kJuteSteps, 15));
    put(top + "/zk_session", name, fuzz::arbitrary_session_steps(prng, 30));
  }
  for (int i = 0; i < 12; ++i) {
    std::string name = "seed" + std::to_string(i);
    Buffer set = fuzz::mutate_record_input(prng, {});
    while (set.size() > 2000) set = fuzz::mutate_record_input(prng, {});
    put(top + "/record_set", name, set);
    std::string edits(static_cast<size_t>(20 + 4 * i), '\0');
    edits[0] = static_cast<char>(i);
    for (size_t at = 1; at < edits.size(); ++at) edits[at] = static_cast<char>(prng.next());
    put(top + "/broker_log", name, as_bytes(edits));
  }
  put(top + "/broker_log", "nothing", as_bytes(std::string(1, '\0')));
  put(top + "/properties", "broker", as_bytes(std::string(1, '\0') + read("conf/server.properties")));
  put(top + "/properties", "ensemble", as_bytes(std::string(1, '\1') + read("conf/zoo.cfg")));
  put(top + "/properties", "escapes",
      as_bytes(std::string("\0a\\:b=c\\\n  d\\u0041\nlog.dirs=/a,/b\nlisteners=A://:1,B://[::1]:2\n", 72).substr(0, 60)));
}
