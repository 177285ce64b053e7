#include "fakeapi/cloud/auth.h"

#include <algorithm>

#include "emulator/base/secret.h"

namespace fakeapi::cloud {

namespace {

constexpr std::string_view kBearer = "Bearer ";

}  // namespace

std::string_view bearer_token(const http::Headers& headers) {
  std::string_view value = headers.get("Authorization");
  if (!http::iequals(value.substr(0, kBearer.size()), kBearer)) return {};
  value.remove_prefix(kBearer.size());
  while (!value.empty() && value.front() == ' ') value.remove_prefix(1);
  return value;
}

std::string_view presented_key(const http::Headers& headers) {
  std::string_view key = headers.get("X-API-KEY");
  return key.empty() ? bearer_token(headers) : key;
}

base::Result<> check_key(const std::vector<std::string>& keys, const http::Headers& headers) {
  if (keys.empty()) return {};
  // Both may be sent; one good one is enough.
  std::string_view key = headers.get("X-API-KEY");
  std::string_view token = bearer_token(headers);
  if (key.empty() && token.empty()) {
    return base::fail(base::Errc::kUnauthenticated, "authorization header is missing");
  }
  bool known = std::any_of(keys.begin(), keys.end(), [&](const std::string& candidate) {
    return base::same_secret(candidate, key) || base::same_secret(candidate, token);
  });
  if (known) return {};
  return base::fail(
      base::Errc::kUnauthenticated,
      "Invalid API key, please visit https://e2b.dev/docs/api-key for more information.");
}

bool is_novita_client(const http::Headers& headers) {
  constexpr std::string_view kAgent = "novita-";
  return headers.has("X-Novita-SDK-Name") ||
         http::iequals(headers.get("User-Agent").substr(0, kAgent.size()), kAgent);
}

}  // namespace fakeapi::cloud
