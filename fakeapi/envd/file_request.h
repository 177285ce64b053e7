// What GET and POST /files have in common: the query, the access check, the user, the path
// (contract-envd 1.6-1.8).
#pragma once

#include <optional>
#include <string>

#include "fakeapi/envd/http_call.h"
#include "fakeapi/envd/sandbox_state.h"

namespace fakeapi::envd {

struct FileRequest {
  std::optional<std::string> path;  // the query's, not resolved
  User user;
};

// Checks in the daemon's order: parameters 400, signature or token 401, user 400/401. `operation`
// is "read" or "write". A 400 for a malformed parameter is text, not JSON: `text` says so.
struct FileRequestError : HttpError {
  bool text = false;
};
tl::expected<FileRequest, FileRequestError> check_file_request(const http::RequestHead& head,
                                                               SandboxState& state,
                                                               std::string operation);

// The path in the file system, or 400 "error expanding and resolving path".
tl::expected<std::string, HttpError> file_path(std::string_view path,
                                               const User& user,
                                               const SandboxState& state);

// The user by name, or the default one: 400 without any, 401 for an unknown one.
tl::expected<User, HttpError> file_user(const std::optional<std::string>& name,
                                        SandboxState& state);

}  // namespace fakeapi::envd
