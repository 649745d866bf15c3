// Which bytes are UTF-8.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace ottla::wire {

// Length of the well-formed sequence at the front of a text that is not empty, 0 when there is
// none.
size_t utf8_length(std::string_view text);

// The text with U+FFFD for each byte that is no UTF-8.
std::string to_utf8(std::string_view text);

}  // namespace ottla::wire
