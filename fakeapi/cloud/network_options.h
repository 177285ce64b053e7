// The `network` object of create, connect and PUT /network as plain values, as it was sent, and the
// cloud's checks of it. Pure; says nothing about enforcement. Sources: contract-network 1.9 (texts
// and order), 2.1 (fields).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "emulator/base/result.h"
#include "fakeapi/cloud/network_rules.h"

namespace fakeapi::cloud {

struct NetworkOptions {
  // An absent list is not shown back; an empty one is (contract-network 2.1).
  std::optional<std::vector<std::string>> allow_out;  // address, CIDR, or else a domain
  std::optional<std::vector<std::string>> deny_out;   // address or CIDR
  std::optional<bool> allow_public_traffic;
  std::optional<std::string> mask_request_host;
  std::optional<NetworkRules> rules;  // E2B only
  bool has_egress_proxy = false;      // E2B only, not null
  bool has_https_ports = false;       // E2B only, non-empty

  // One of the E2B options above that are not built.
  bool asks_for_what_is_not_built() const;
  // {} and what is not built do not.
  bool says_something() const {
    return allow_out || deny_out || allow_public_traffic || mask_request_host || rules;
  }
  // The public URLs want the traffic access token (contract-network 3.6).
  bool is_private() const { return !allow_public_traffic.value_or(true); }
};

// `change` on top of `base`, member by member: what is absent in `change` stays.
NetworkOptions merged(NetworkOptions base, const NetworkOptions& change);

// The cloud's checks in its order (mask, denied, allowed, domains, rules); the first error
// wins. kInvalidArgument. `urls`: the hosts of rules that may have a port.
base::Result<> validate(const NetworkOptions& options, const PublicUrls& urls);
// A private sandbox must be a secure one (contract-network 3.6). kInvalidArgument.
base::Result<> validate_secure(const NetworkOptions& options, bool secure);
// Both, of what a sandbox would have after a change; rules that it has been living with are not
// judged again.
base::Result<> validate_change(const std::optional<NetworkOptions>& before,
                               const NetworkOptions& change,
                               bool secure,
                               const PublicUrls& urls);

}  // namespace fakeapi::cloud
