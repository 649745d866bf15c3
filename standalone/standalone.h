// `ottla standalone`: the embedded default.
#pragma once

#include <span>
#include <string>

namespace ottla::standalone {

// Runs until SIGTERM or SIGINT; the exit status: 0 after a clean end, 1 after one line that says what
// is wrong.
int standalone_main(std::span<const std::string> args);

}  // namespace ottla::standalone
