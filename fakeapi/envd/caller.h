// Who asks: the user that a request selects (contract-envd 1.11, 2.1). The user decides home and
// ownership; file operations run as root whoever it is.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "fakeapi/envd/sandbox_state.h"
#include "fakeapi/http/connect_frame.h"
#include "fakeapi/http/message.h"

namespace fakeapi::envd {

// The user name of "Authorization: Basic ..."; nullopt without one. The password is ignored.
std::optional<std::string> basic_user(const http::Headers& headers);

// For RPCs: the Basic user or the default one; unauthenticated with the daemon's message.
tl::expected<User, http::ConnectError> rpc_caller(const http::Headers& headers,
                                                  SandboxState& state);

// Who asks, and the path that they named, expanded for them; also invalid_argument when it cannot
// be.
struct RpcTarget {
  User user;
  std::string path;
};

tl::expected<RpcTarget, http::ConnectError> rpc_target(std::string_view path,
                                                       const http::Headers& headers,
                                                       SandboxState& state);

}  // namespace fakeapi::envd
