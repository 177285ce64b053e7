#include "fakeapi/envd/caller.h"

#include "fakeapi/envd/base64.h"
#include "fakeapi/envd/path_resolution.h"

namespace fakeapi::envd {

using http::ConnectCode;
using http::rpc_fail;

std::optional<std::string> basic_user(const http::Headers& headers) {
  constexpr std::string_view kScheme = "basic ";
  std::string_view value = headers.get("Authorization");
  if (value.size() < kScheme.size() || !http::iequals(value.substr(0, kScheme.size()), kScheme)) {
    return std::nullopt;
  }
  auto decoded = base64_decode(value.substr(kScheme.size()));
  if (!decoded) return std::nullopt;
  auto colon = decoded->find(':');
  if (colon == std::string::npos) return std::nullopt;
  return decoded->substr(0, colon);
}

tl::expected<User, http::ConnectError> rpc_caller(const http::Headers& headers,
                                                  SandboxState& state) {
  auto name = basic_user(headers);
  if (name && !name->empty()) {
    auto user = state.users.find(*name);
    if (user) return *user;
    return rpc_fail(ConnectCode::kUnauthenticated, "invalid username: '" + *name + "'");
  }
  const std::string& fallback = state.configuration.default_user;
  if (fallback.empty()) return rpc_fail(ConnectCode::kUnauthenticated, "no user specified");
  auto user = state.users.find(fallback);
  if (user) return *user;
  return rpc_fail(ConnectCode::kUnauthenticated, "invalid default user: '" + fallback + "'");
}

tl::expected<RpcTarget, http::ConnectError> rpc_target(std::string_view path,
                                                       const http::Headers& headers,
                                                       SandboxState& state) {
  auto user = rpc_caller(headers, state);
  if (!user) return tl::unexpected<http::ConnectError>(user.error());
  auto resolved = resolve_path(path, user->home, state.configuration.default_workdir);
  if (!resolved) return rpc_fail(ConnectCode::kInvalidArgument, resolved.error().message());
  return RpcTarget{std::move(*user), std::move(*resolved)};
}

}  // namespace fakeapi::envd
