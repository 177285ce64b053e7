// What went wrong, as a value: a code that callers branch on, a sentence for people, and the errno
// when the kernel said no. Used by every folder; mapped to HTTP and Connect codes in one place each
// (fakeapi).
#pragma once

#include <cerrno>
#include <string>
#include <string_view>

namespace base {

enum class Errc {
  kInvalidArgument,
  kUnauthenticated,
  kPermissionDenied,
  kNotFound,
  kAlreadyExists,
  kConflict,  // the object is in a state that forbids this (HTTP 409)
  kFailedPrecondition,
  kResourceExhausted,  // a limit or quota (HTTP 429)
  kNoSpace,            // disk or inodes (HTTP 507)
  kTooLarge,           // body over the limit (HTTP 413)
  kUnavailable,
  kDeadlineExceeded,
  kCanceled,
  kUnimplemented,
  kInternal,
};

// The code in lower snake case, as Connect and our logs write it ("not_found").
std::string_view to_string(Errc code);
// The other way round; kInternal for a word that is none.
Errc errc_of(std::string_view word);

class [[nodiscard]] Error {
 public:
  Error(Errc code, std::string message, int os_errno = 0)
      : code_(code), os_errno_(os_errno), message_(std::move(message)) {}

  Errc code() const { return code_; }
  int os_errno() const { return os_errno_; }
  const std::string& message() const { return message_; }

  // Prepends where this happened: "mount overlay: no space left on device".
  Error&& context(std::string_view where) &&;
  Error& context(std::string_view where) &;

 private:
  Errc code_;
  int os_errno_;
  std::string message_;
};

// An Error from an errno value. The message is "<what>: <strerror>"; the code follows the errno
// (ENOENT not_found, EACCES/EPERM permission_denied, ENOSPC/EDQUOT no_space, ...).
Error os_error(std::string_view what, int error_number = errno);

}  // namespace base
