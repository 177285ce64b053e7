// Who may use the public URLs of one sandbox, and what its servers see as Host. Pure. Written by
// emulator/sandboxes, read for every request by session and relay.
//   source  contract-network 3.4 (order), 3.6 (token), 1.8 (mask)
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace emulator::proxy {

// The daemon's port: has its own token, and no mask.
inline constexpr std::uint64_t kDaemonPort = 49983;

// Shared by every lifecycle of a sandbox. A change counts from the next request on, also on
// connections that are open already.
struct IngressRules {
  std::string traffic_token;      // "" = everybody may come in
  std::string host_mask;          // "" = Host is passed on
  std::string daemon_token = {};  // what port 49983 asks for itself; "" = nothing
};

enum class TokenVerdict { kPass, kMissing, kInvalid };
// `given`: the value of the header `e2b-traffic-access-token`, "" when there is none.
TokenVerdict check_token(const IngressRules& rules, std::uint64_t port, std::string_view given);

// Whether a request may wake a paused sandbox: it must bring what its port asks for (3.7). The port
// of the daemon asks for `access` (X-Access-Token), the others for `traffic`.
bool may_resume(const IngressRules& rules,
                std::uint64_t port,
                std::string_view traffic,
                std::string_view access);

// The Host for this port, every ${PORT} of the mask replaced; "" = as it came.
std::string masked_host(const IngressRules& rules, std::uint64_t port);

}  // namespace emulator::proxy
