#include "fakeapi/envd/file_request.h"

#include <charconv>
#include <chrono>

#include "fakeapi/envd/path_resolution.h"
#include "fakeapi/envd/signature.h"

namespace fakeapi::envd {

namespace {

std::int64_t unix_now() {
  auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::seconds>(now).count();
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
  SignedRequest access;
  access.operation = std::move(operation);
  std::optional<std::string> path;
  std::optional<std::string> username;
  for (auto& [name, value] : http::parse_query(head.query())) {
    if (name == "path" && !path) path = value;
    if (name == "username" && !username) username = value;
    if (name == "signature" && !access.signature) access.signature = value;
    if (name == "signature_expiration" && !access.expiration) {
      std::int64_t number = 0;
      auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
      if (value.empty() || error != std::errc() || end != value.data() + value.size()) {
        return request_fail(
            400,
            "Invalid format for parameter signature_expiration: error binding string parameter: "
            "strconv.ParseInt: parsing \"" +
                value + "\": invalid syntax",
            true);
      }
      access.expiration = number;
    }
  }
  access.path = path.value_or("");
  access.username = username.value_or("");
  auto allowed = check_file_access(access, state.configuration.access_token,
                                   head.headers.find("X-Access-Token"), unix_now());
  if (!allowed) return request_fail(401, allowed.error().message());
  auto user = file_user(username, state);
  if (!user) return request_fail(user.error().status, user.error().message);
  FileRequest request;
  request.path = std::move(path);
  request.user = std::move(*user);
  return request;
}

}  // namespace fakeapi::envd
