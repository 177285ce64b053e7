// Host names and the patterns that `allowOut` may hold: `example.com`, `*.example.com`, `*`. Pure.
// Used by policy.cc, and by whoever takes a name off the wire (egress/). Resolves nothing.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace netfilter {

// A name as it is compared: lower case (NET-37), without one trailing dot (NET-45) and without
// ":port" (NET-46). nullopt for what is no host name: empty, an empty label, a character outside
// letters, digits, '-', '_', longer than 253, or an IP literal (NET-44: such a connection has no
// name, so that only address rules speak about it).
std::optional<std::string> normalise_name(std::string_view text);

// One entry of `allowOut` that is not an address. Anything is accepted, as in the cloud; what is
// neither a name nor one of the two wildcard forms never matches (contract-network 1.9).
class DomainPattern {
 public:
  explicit DomainPattern(std::string_view entry);

  // `name` is normalised. `*.x.com` covers every depth below x.com but not x.com itself (NET-33,
  // NET-34), `x.com` only itself (NET-35), `*` everything that has a name (NET-39).
  bool matches(std::string_view name) const;
  // False for `a.*.com`, `http://x.com`, `x.com:443`, ``: worth a warning to whoever wrote it.
  bool can_match() const { return kind_ != Kind::kNothing; }

 private:
  enum class Kind { kNothing, kEverything, kExact, kBelow };
  Kind kind_ = Kind::kNothing;
  std::string name_;  // kExact: the name; kBelow: ".x.com"
};

}  // namespace netfilter
