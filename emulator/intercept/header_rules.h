// Which headers the requests of one sandbox get on their way out, and the head of a request with
// them. Pure. Made from `network.rules` by emulator/sandboxes, used by Interceptor. Values are
// secrets: nothing here or above writes one anywhere but into a request.
//
// Everything that is to be changed in a head is an Edits: what a sandbox's placeholders become
// would be another member of it, applied in edited_head().
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "emulator/proxy/wire_head.h"

namespace emulator::intercept {

struct Edits {
  // A header of this name is replaced, all of them if there are several; else it is added.
  std::vector<std::pair<std::string, std::string>> set;

  bool empty() const { return set.empty(); }
};

class HeaderRules {
 public:
  // A host as the API writes it: a name in any case, with or without a final dot. Without a port it
  // is meant on every port that is looked into. Headers that say how a message is framed, for whom
  // it is and what becomes of the connection have no effect.
  void add(std::string_view name, std::optional<std::uint16_t> port, Edits edits);

  bool empty() const { return hosts_.empty(); }
  // `name` is normalised (netfilter::normalise_name); "" asks whether any name on this port may be
  // concerned.
  bool concern(std::string_view name, std::uint16_t port) const;
  Edits of(std::string_view name, std::uint16_t port) const;

 private:
  struct Host {
    std::string name;
    std::optional<std::uint16_t> port;
    Edits edits;
  };
  std::vector<Host> hosts_;
};

// The request head that was parsed from `bytes`, with the edits: otherwise as it came, request line
// included.
std::string edited_head(std::string_view bytes, const proxy::WireHead& head, const Edits& edits);

}  // namespace emulator::intercept
