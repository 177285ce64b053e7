#include "emulator/base/error.h"

#include <array>
#include <system_error>

namespace base {

std::string_view to_string(Errc code) {
  switch (code) {
    case Errc::kInvalidArgument:
      return "invalid_argument";
    case Errc::kUnauthenticated:
      return "unauthenticated";
    case Errc::kPermissionDenied:
      return "permission_denied";
    case Errc::kNotFound:
      return "not_found";
    case Errc::kAlreadyExists:
      return "already_exists";
    case Errc::kConflict:
      return "conflict";
    case Errc::kFailedPrecondition:
      return "failed_precondition";
    case Errc::kResourceExhausted:
      return "resource_exhausted";
    case Errc::kNoSpace:
      return "no_space";
    case Errc::kTooLarge:
      return "too_large";
    case Errc::kUnavailable:
      return "unavailable";
    case Errc::kDeadlineExceeded:
      return "deadline_exceeded";
    case Errc::kCanceled:
      return "canceled";
    case Errc::kUnimplemented:
      return "unimplemented";
    case Errc::kInternal:
      return "internal";
  }
  return "internal";
}

Errc errc_of(std::string_view word) {
  for (int i = 0; i <= static_cast<int>(Errc::kInternal); ++i) {
    if (to_string(static_cast<Errc>(i)) == word) return static_cast<Errc>(i);
  }
  return Errc::kInternal;
}

Error&& Error::context(std::string_view where) && {
  message_.insert(0, std::string(where) + ": ");
  return std::move(*this);
}

Error& Error::context(std::string_view where) & {
  message_.insert(0, std::string(where) + ": ");
  return *this;
}

namespace {

Errc code_of(int error_number) {
  switch (error_number) {
    case ENOENT:
      return Errc::kNotFound;
    case EACCES:
    case EPERM:
      return Errc::kPermissionDenied;
    case EEXIST:
      return Errc::kAlreadyExists;
    case ENOSPC:
    case EDQUOT:
      return Errc::kNoSpace;
    case EMFILE:
    case ENFILE:
    case ENOMEM:
      return Errc::kResourceExhausted;
    case ETIMEDOUT:
      return Errc::kDeadlineExceeded;
    case ECANCELED:
      return Errc::kCanceled;
    case EINVAL:
      return Errc::kInvalidArgument;
    case ENOSYS:
    case EOPNOTSUPP:
      return Errc::kUnimplemented;
    case ECONNREFUSED:
    case ECONNRESET:
    case EPIPE:
    case ENETUNREACH:
    case EHOSTUNREACH:
      return Errc::kUnavailable;
    default:
      return Errc::kInternal;
  }
}

}  // namespace

Error os_error(std::string_view what, int error_number) {
  std::string message(what);
  message += ": ";
  message += std::generic_category().message(error_number);
  return Error(code_of(error_number), std::move(message), error_number);
}

}  // namespace base
