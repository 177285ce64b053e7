#include "fakeapi/envd/file_request.h"

#include <chrono>

#include "fakeapi/envd/file_query.h"
#include "fakeapi/envd/path_resolution.h"
#include "fakeapi/envd/signature.h"

namespace fakeapi::envd {

namespace {

std::int64_t unix_now(const SandboxState& state) {
  return std::chrono::duration_cast<std::chrono::seconds>(state.now().time_since_epoch()).count();
}

tl::unexpected<HttpError> http_fail(int status, std::string message) {
  HttpError error;
  error.status = status;
  error.message = std::move(message);
  return tl::unexpected<HttpError>(std::move(error));
}

tl::unexpected<FileRequestError> request_fail(int status, std::string message, bool text = false) {
  FileRequestError error;
  error.status = status;
  error.message = std::move(message);
  error.text = text;
  return tl::unexpected<FileRequestError>(std::move(error));
}

}  // namespace

tl::expected<User, HttpError> file_user(const std::optional<std::string>& name,
                                        SandboxState& state) {
  std::string wanted = name.value_or("");
  if (wanted.empty()) wanted = state.configuration.default_user;
  if (wanted.empty()) return http_fail(400, "username not provided");
  auto user = state.users.find(wanted);
  if (user) return *user;
  return http_fail(401, "error looking up user '" + wanted + "': user: unknown user " + wanted);
}

tl::expected<std::string, HttpError> file_path(std::string_view path,
                                               const User& user,
                                               const SandboxState& state) {
  auto resolved = resolve_path(path, user.home, state.configuration.default_workdir);
  if (resolved) return *resolved;
  return http_fail(400, "error expanding and resolving path '" + std::string(path) +
                            "': " + resolved.error().message());
}

tl::expected<FileRequest, FileRequestError> check_file_request(const http::RequestHead& head,
                                                               SandboxState& state,
                                                               std::string operation) {
  auto query = parse_file_query(head.query(), std::move(operation));
  if (!query) return request_fail(400, query.error().message(), true);
  auto allowed = check_file_access(query->access, state.configuration.access_token,
                                   head.headers.find("X-Access-Token"), unix_now(state));
  if (!allowed) return request_fail(401, allowed.error().message());
  auto user = file_user(query->username, state);
  if (!user) return request_fail(user.error().status, user.error().message);
  FileRequest request;
  request.path = std::move(query->path);
  request.user = std::move(*user);
  return request;
}

}  // namespace fakeapi::envd
