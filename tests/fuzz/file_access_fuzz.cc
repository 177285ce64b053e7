// The query of /files and its signature: only the right token or a genuine signature passes.
#include <array>

#include <openssl/sha.h>

#include "fakeapi/envd/base64.h"
#include "fakeapi/envd/file_query.h"
#include "fakeapi/envd/sha256.h"
#include "fakeapi/envd/signature.h"
#include "tests/fuzz/target.h"

namespace {

using tests::fuzz::require;

constexpr std::string_view kToken = "secret";
constexpr std::int64_t kNow = 1700000000;

void check_hash(std::string_view bytes) {
  std::array<std::uint8_t, 32> expected{};
  SHA256(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(), expected.data());
  require(fakeapi::envd::sha256(bytes) == expected, "sha256 is SHA-256");
}

void check_base64(std::string_view bytes) {
  auto back = fakeapi::envd::base64_decode(fakeapi::envd::base64_encode(bytes));
  require(back && *back == bytes, "base64 gives back what it got");
  if (auto decoded = fakeapi::envd::base64_decode(bytes)) {
    require(decoded->size() <= bytes.size() / 4 * 3 + 3, "base64 does not grow");
  }
}

}  // namespace

// The first line: X-Access-Token, or nothing; then the query.
FUZZ_TARGET(file_access) {
  tests::fuzz::Input in(input);
  std::string_view header = in.line();
  check_hash(input);
  check_base64(input);
  auto query = fakeapi::envd::parse_file_query(in.rest(), "read");
  if (!query) return;
  auto& access = query->access;
  std::optional<std::string_view> token;
  if (!header.empty()) token = header;
  auto allowed = fakeapi::envd::check_file_access(access, kToken, token, kNow);
  bool genuine = access.signature &&
                 *access.signature == fakeapi::envd::file_signature(access, kToken) &&
                 (!access.expiration || *access.expiration >= kNow);
  require(allowed.has_value() == (token ? *token == kToken : genuine),
          "the token or a genuine signature, nothing else");

  // What we sign ourselves passes, until it expires.
  access.signature = fakeapi::envd::file_signature(access, kToken);
  bool fresh = !access.expiration || *access.expiration >= kNow;
  require(fakeapi::envd::check_file_access(access, kToken, std::nullopt, kNow).has_value() == fresh,
          "our own signature passes");
  access.operation = "write";
  require(!fakeapi::envd::check_file_access(access, kToken, std::nullopt, kNow),
          "a signature is for one operation");
}
