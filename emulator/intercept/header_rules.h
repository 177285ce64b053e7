// What is changed in the requests of one sandbox on their way out, and the head of a request with
// that. Pure. Made from `network.rules` and the sandbox's secrets by emulator/sandboxes, used by
// Interceptor. Values are secrets: nothing here or above writes one anywhere but into a request.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "emulator/proxy/wire_head.h"
#include "netfilter/domain_pattern.h"

namespace emulator::intercept {

struct Edits {
  // A header of this name is replaced, all of them if there are several; else it is added.
  std::vector<std::pair<std::string, std::string>> set;
  // Within the values of all headers each of these texts becomes the other one.
  std::vector<std::pair<std::string, std::string>> swap;
  // Not empty: why the request cannot go out as it should. It is refused.
  std::string problem;

  bool empty() const { return set.empty() && swap.empty() && problem.empty(); }
};

class HeaderRules {
 public:
  // A host as the API writes it: a name in any case, with or without a final dot. Without a port it
  // is meant on every port that is looked into. Headers that say how a message is framed, for whom
  // it is and what becomes of the connection have no effect.
  void add(std::string_view name, std::optional<std::uint16_t> port, Edits edits);
  // In requests over TLS, and only those, to these hosts ("x.com", or "*.x.com" for what is below
  // it) the placeholder becomes the value.
  void add_secret(std::span<const std::string> hosts, std::string placeholder, std::string value);

  bool empty() const { return hosts_.empty() && secrets_.empty(); }
  // `name` is normalised (netfilter::normalise_name); "" asks whether any name on this port may be
  // concerned.
  bool concern(std::string_view name, std::uint16_t port, bool tls) const;
  Edits of(std::string_view name, std::uint16_t port, bool tls) const;

 private:
  struct Host {
    std::string name;
    std::optional<std::uint16_t> port;
    Edits edits;
  };
  struct Secret {
    bool goes_to(std::string_view name) const;
    std::vector<netfilter::DomainPattern> hosts;
    std::string placeholder;
    std::string value;
  };
  std::vector<Host> hosts_;
  std::vector<Secret> secrets_;
};

// The request head that was parsed from `bytes`, with the edits: otherwise as it came, request line
// included.
std::string edited_head(std::string_view bytes, const proxy::WireHead& head, const Edits& edits);

}  // namespace emulator::intercept
