#include "fakeapi/envd/signature.h"

#include "emulator/base/secret.h"
#include "fakeapi/envd/base64.h"
#include "fakeapi/envd/sha256.h"

namespace fakeapi::envd {

using base::Errc;

std::string file_signature(const SignedRequest& request, std::string_view token) {
  std::string text = request.path + ":" + request.operation + ":" + request.username + ":";
  text.append(token);
  if (request.expiration) text += ":" + std::to_string(*request.expiration);
  auto digest = sha256(text);
  std::string out = "v1_";
  base64_append(out, std::string_view(reinterpret_cast<const char*>(digest.data()), digest.size()));
  while (out.back() == '=') out.pop_back();
  return out;
}

base::Result<> check_file_access(const SignedRequest& request,
                                 std::string_view token,
                                 std::optional<std::string_view> header_token,
                                 std::int64_t now) {
  if (token.empty()) return {};
  if (header_token) {
    if (base::same_secret(*header_token, token)) return {};
    return base::fail(Errc::kUnauthenticated, "access token present in header but does not match");
  }
  if (!request.signature)
    return base::fail(Errc::kUnauthenticated, "missing signature query parameter");
  // The MAC first: only a genuine URL may learn that it has expired.
  if (!base::same_secret(*request.signature, file_signature(request, token))) {
    return base::fail(Errc::kUnauthenticated, "invalid signature");
  }
  if (request.expiration && *request.expiration < now) {
    return base::fail(Errc::kUnauthenticated, "signature is already expired");
  }
  return {};
}

}  // namespace fakeapi::envd
