// The keys of request bodies, and what Sandlot does with each (bodies.h).
#include <array>

#include "fakeapi/cloud/bodies.h"

namespace fakeapi::cloud {

namespace {

using Use = KeyUse;

constexpr std::array kNewSandboxKeys{
    BodyKey{"templateID", Use::kUsed},
    BodyKey{"timeout", Use::kUsed},
    BodyKey{"metadata", Use::kUsed},
    BodyKey{"envVars", Use::kUsed},
    BodyKey{"secure", Use::kUsed},
    BodyKey{"autoPause", Use::kUsed},
    BodyKey{"allow_internet_access", Use::kUsed},
    BodyKey{"allowInternetAccess", Use::kUsed},
    BodyKey{"network", Use::kUsed},
    BodyKey{"autoResume", Use::kUsed},
    BodyKey{"autoPauseMemory", Use::kUsed},
    BodyKey{"nodeID", Use::kNotBuilt},
    BodyKey{"volumeMounts", Use::kUsed},
    BodyKey{"secrets", Use::kUsed},
    BodyKey{"iam", Use::kNotBuilt},
    BodyKey{"mcp", Use::kNoEffect},  // the SDK starts the gateway itself (contract-novita 3.3)
};

constexpr std::array kConnectKeys{
    BodyKey{"timeout", Use::kUsed},   BodyKey{"secure", Use::kUsed},
    BodyKey{"autoPause", Use::kUsed}, BodyKey{"memory", Use::kUsed},
    BodyKey{"network", Use::kUsed},   BodyKey{"allowPublicTraffic", Use::kUsed},
};

constexpr std::array kNetworkKeys{
    BodyKey{"allowOut", Use::kUsed},
    BodyKey{"denyOut", Use::kUsed},
    BodyKey{"allowPublicTraffic", Use::kUsed},
    BodyKey{"maskRequestHost", Use::kUsed},
    BodyKey{"rules", Use::kUsed},
    BodyKey{"egressProxy", Use::kNotBuilt},
    BodyKey{"httpsPorts", Use::kNotBuilt},
};

constexpr std::array kNetworkUpdateKeys{
    BodyKey{"allowOut", Use::kUsed},
    BodyKey{"denyOut", Use::kUsed},
    BodyKey{"allow_internet_access", Use::kUsed},
    BodyKey{"allowInternetAccess", Use::kUsed},
    BodyKey{"rules", Use::kUsed},
    BodyKey{"egressProxy", Use::kNotBuilt},
    BodyKey{"httpsPorts", Use::kNotBuilt},
};

}  // namespace

std::span<const BodyKey> new_sandbox_keys() {
  return kNewSandboxKeys;
}
std::span<const BodyKey> connect_keys() {
  return kConnectKeys;
}
std::span<const BodyKey> network_keys() {
  return kNetworkKeys;
}
std::span<const BodyKey> network_update_keys() {
  return kNetworkUpdateKeys;
}

}  // namespace fakeapi::cloud
