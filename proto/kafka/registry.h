// Messages by API key at run time: for debug logging, tools and fuzzing. Servers dispatch by type.
#pragma once

#include <cstdint>
#include <string>

#include "common/base/bytes.h"
#include "common/base/result.h"
#include "proto/kafka/api_key.h"

namespace ottla::kmsg {

enum class MessageSide { request, response };

// The body of a message as one line of text. Errors: unsupported (no such API or version), corrupt.
Result<std::string> describe_message(int16_t api_key, MessageSide side, int16_t version,
                                     Bytes body);

}  // namespace ottla::kmsg
