// `ottla broker FILE [--override KEY=VALUE]...`: a broker on the real runtime until SIGTERM or
// SIGINT.
#pragma once

#include <span>
#include <string>

namespace ottla::broker {

// The exit status: 0 after a clean end, 1 after one line that says what is wrong.
int server_main(std::span<const std::string> args);

}  // namespace ottla::broker
