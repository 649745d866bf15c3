// Result<T>: what a call that touches the environment gives back. Refusals that a client must see
// are protocol codes as values (proto/), bugs are OTTLA_CHECKs (check.h); only "the world failed" is here.
#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace ottla {

// A code exists only where some caller reacts to it differently.
enum class Errc {
  io,           // read, write or sync failed; the context names the path
  no_space,     // ENOSPC, EDQUOT
  not_found,    //
  exists,       //
  permission,   //
  in_use,       // address or lock held by another process
  corrupt,      // bytes that do not decode or fail their checksum
  invalid,      // an argument or a configuration value
  too_large,    // over a named limit
  closed,       // connection or object is gone
  refused,      // nobody listens there
  timed_out,    //
  unsupported,  // a version or feature this program does not speak
};
std::string_view errc_name(Errc code);
// Maps errno to Errc; unknown values are io.
Errc errc_from_errno(int error_number);

struct [[nodiscard]] Error {
  Errc code;
  std::string context;  // one line for the operator: what was attempted on what, and why it failed
};

template <class T = void>
using Result = std::expected<T, Error>;

inline std::unexpected<Error> fail(Errc code, std::string context) {
  return std::unexpected<Error>(Error{code, std::move(context)});
}
// "<what>: <strerror>" with the code that errno maps to.
std::unexpected<Error> fail_errno(int error_number, std::string_view what);

}  // namespace ottla

// OTTLA_TRY(expr): returns the error of a Result<anything> from the enclosing function.
#define OTTLA_TRY(expression)                                       \
  do {                                                              \
    if (auto ottla_try_result = (expression); !ottla_try_result)    \
      return std::unexpected(std::move(ottla_try_result).error());  \
  } while (false)

#define OTTLA_CONCAT_(a, b) a##b
#define OTTLA_CONCAT(a, b) OTTLA_CONCAT_(a, b)
// OTTLA_ASSIGN(auto x, expr): x = value of expr, or returns its error.
#define OTTLA_ASSIGN(target, expression)                                               \
  auto OTTLA_CONCAT(ottla_result_, __LINE__) = (expression);                           \
  if (!OTTLA_CONCAT(ottla_result_, __LINE__))                                          \
    return std::unexpected(std::move(OTTLA_CONCAT(ottla_result_, __LINE__)).error());  \
  target = std::move(*OTTLA_CONCAT(ottla_result_, __LINE__))
