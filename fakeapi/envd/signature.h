// The signature of a file URL, version 1, and the check that /files makes (contract-envd 1.8).
// Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "emulator/base/result.h"

namespace fakeapi::envd {

struct SignedRequest {
  std::string path;       // raw query value, decoded, not resolved
  std::string operation;  // "read" or "write"
  std::string username;   // raw query value or ""
  std::optional<std::string> signature;
  std::optional<std::int64_t> expiration;  // unix seconds
};

// "v1_" and unpadded base64.
std::string file_signature(const SignedRequest& request, std::string_view token);

// kUnauthenticated with the daemon's message unless the request may pass. `header_token` is
// X-Access-Token.
base::Result<> check_file_access(const SignedRequest& request,
                                 std::string_view token,
                                 std::optional<std::string_view> header_token,
                                 std::int64_t now);

}  // namespace fakeapi::envd
