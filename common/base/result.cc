#include "common/base/result.h"

#include <cerrno>
#include <cstring>

namespace ottla {

std::string_view errc_name(Errc code) {
  switch (code) {
    case Errc::io: return "io";
    case Errc::no_space: return "no_space";
    case Errc::not_found: return "not_found";
    case Errc::exists: return "exists";
    case Errc::permission: return "permission";
    case Errc::in_use: return "in_use";
    case Errc::corrupt: return "corrupt";
    case Errc::invalid: return "invalid";
    case Errc::too_large: return "too_large";
    case Errc::closed: return "closed";
    case Errc::refused: return "refused";
    case Errc::timed_out: return "timed_out";
    case Errc::unsupported: return "unsupported";
  }
  return "?";
}

Errc errc_from_errno(int error_number) {
  switch (error_number) {
    case ENOSPC:
    case EDQUOT: return Errc::no_space;
    case ENOENT:
    case ENOTDIR: return Errc::not_found;
    case EEXIST: return Errc::exists;
    case EACCES:
    case EPERM:
    case EROFS: return Errc::permission;
    case EADDRINUSE: return Errc::in_use;
    case ECONNREFUSED: return Errc::refused;
    case ECONNRESET:
    case EPIPE:
    case ENOTCONN: return Errc::closed;
    case ETIMEDOUT: return Errc::timed_out;
    case EINVAL: return Errc::invalid;
    default: return Errc::io;
  }
}

std::unexpected<Error> fail_errno(int error_number, std::string_view what) {
  return fail(errc_from_errno(error_number), std::string(what) + ": " + std::strerror(error_number));
}

}  // namespace ottla
