// The broker alone, for development.
#include <string>
#include <vector>

#include "broker/server/server_main.h"

int main(int argc, char** argv) {
  std::vector<std::string> args(argv + 1, argv + argc);
  return ottla::broker::server_main(args);
}
