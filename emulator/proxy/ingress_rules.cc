#include "emulator/proxy/ingress_rules.h"

#include <openssl/crypto.h>

namespace emulator::proxy {

namespace {

// The length is no secret, the rest is compared in constant time.
bool same(std::string_view given, std::string_view token) {
  return given.size() == token.size() &&
         CRYPTO_memcmp(given.data(), token.data(), token.size()) == 0;
}

}  // namespace

TokenVerdict check_token(const IngressRules& rules, std::uint64_t port, std::string_view given) {
  const std::string& token = rules.traffic_token;
  if (token.empty() || port == kDaemonPort) return TokenVerdict::kPass;
  if (given.empty()) return TokenVerdict::kMissing;
  return same(given, token) ? TokenVerdict::kPass : TokenVerdict::kInvalid;
}

bool may_resume(const IngressRules& rules,
                std::uint64_t port,
                std::string_view traffic,
                std::string_view access) {
  if (port != kDaemonPort) return check_token(rules, port, traffic) == TokenVerdict::kPass;
  return rules.daemon_token.empty() || same(access, rules.daemon_token);
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
