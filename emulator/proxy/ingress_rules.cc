#include "emulator/proxy/ingress_rules.h"

#include <openssl/crypto.h>

namespace emulator::proxy {

TokenVerdict check_token(const IngressRules& rules, std::uint64_t port, std::string_view given) {
  const std::string& token = rules.traffic_token;
  if (token.empty() || port == kDaemonPort) return TokenVerdict::kPass;
  if (given.empty()) return TokenVerdict::kMissing;
  // The length is no secret, the rest is compared in constant time.
  bool same =
      given.size() == token.size() && CRYPTO_memcmp(given.data(), token.data(), token.size()) == 0;
  return same ? TokenVerdict::kPass : TokenVerdict::kInvalid;
}

std::string masked_host(const IngressRules& rules, std::uint64_t port) {
  constexpr std::string_view kPlaceholder = "${PORT}";
  if (rules.host_mask.empty() || port == kDaemonPort) return {};
  std::string host = rules.host_mask;
  const std::string number = std::to_string(port);
  for (std::size_t at = host.find(kPlaceholder); at != std::string::npos;
       at = host.find(kPlaceholder, at + number.size())) {
    host.replace(at, kPlaceholder.size(), number);
  }
  return host;
}

}  // namespace emulator::proxy
