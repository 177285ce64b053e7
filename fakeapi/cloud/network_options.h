// The `network` object of create, connect and PUT /network as plain values, as it was sent, and the
// cloud's checks of it. Pure; says nothing about enforcement. Sources: contract-network 1.9 (texts
// and order), 2.1 (fields).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "emulator/base/result.h"

namespace fakeapi::cloud {

struct NetworkOptions {
  // An absent list is not shown back; an empty one is (contract-network 2.1).
  std::optional<std::vector<std::string>> allow_out;  // address, CIDR, or else a domain
  std::optional<std::vector<std::string>> deny_out;   // address or CIDR
  std::optional<bool> allow_public_traffic;
  std::optional<std::string> mask_request_host;
  bool has_rules = false;         // E2B only, non-empty
  bool has_egress_proxy = false;  // E2B only, not null
  bool has_https_ports = false;   // E2B only, non-empty

  // Something beside the lists, which alone are enforced; false for {} and for the defaults.
  bool asks_for_more_than_lists() const;
  // Any list or other option that is not empty or the default.
  bool asks_for_something() const;
};

// The cloud's checks in its order (mask, denied, allowed, domains); the first error wins.
// kInvalidArgument.
base::Result<> validate(const NetworkOptions& options);

}  // namespace fakeapi::cloud
