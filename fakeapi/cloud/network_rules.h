// `network.rules`: headers that the proxy sets in requests to the named hosts (E2B only). Plain
// values as they were sent, and the cloud's checks of them. Pure; who carries them out is
// emulator/intercept. Values may be secrets: they are read back through the API and appear nowhere
// else. Source: contract-network 2.10 (limits), the cloud's words.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "emulator/base/result.h"

namespace fakeapi::cloud {

struct NetworkTransform {
  std::optional<std::map<std::string, std::string>> headers;
};
struct NetworkRule {
  std::optional<NetworkTransform> transform;
};
// By host, as sent.
using NetworkRules = std::map<std::string, std::vector<NetworkRule>>;

// "api.example.com", or with a port: public URLs may have one here, which the cloud's never do.
struct RuleHost {
  std::string_view name;
  std::optional<std::uint16_t> port;
};
// nullopt when what follows the colon is no port. Says nothing about the name.
std::optional<RuleHost> split_rule_host(std::string_view host);

// Where the public URLs of sandboxes are: "3000-<id>.<domain>" on one of the ports.
struct PublicUrls {
  std::string domain;  // without a port, in lower case
  std::vector<std::uint16_t> ports;

  bool have(const RuleHost& host) const;
};

// kInvalidArgument; the first host in alphabetical order that is wrong is named. As in the cloud, a
// port makes a host wrong, unless it is one of `urls`.
base::Result<> validate(const NetworkRules& rules, const PublicUrls& urls);

}  // namespace fakeapi::cloud
