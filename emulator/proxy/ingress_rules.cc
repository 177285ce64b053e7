#include "emulator/proxy/ingress_rules.h"

#include "emulator/base/secret.h"

namespace emulator::proxy {

TokenVerdict check_token(const IngressRules& rules, std::uint64_t port, std::string_view given) {
  const std::string& token = rules.traffic_token;
  if (token.empty() || port == kDaemonPort) return TokenVerdict::kPass;
  if (given.empty()) return TokenVerdict::kMissing;
  return base::same_secret(given, token) ? TokenVerdict::kPass : TokenVerdict::kInvalid;
}

bool may_resume(const IngressRules& rules,
                std::uint64_t port,
                std::string_view traffic,
                std::string_view access) {
  if (port != kDaemonPort) return check_token(rules, port, traffic) == TokenVerdict::kPass;
  return rules.daemon_token.empty() || base::same_secret(access, rules.daemon_token);
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
