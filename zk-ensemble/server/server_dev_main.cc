// The ensemble server alone, for tests.
#include "zk-ensemble/server/server_main.h"

int main(int argc, char** argv) {
  return ottla::zk::server_main(std::vector<std::string>(argv + 1, argv + argc));
}
