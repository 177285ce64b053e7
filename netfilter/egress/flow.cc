#include "netfilter/egress/flow.h"

namespace netfilter::egress {

Verdict decide(const Flow& flow) {
  if (is_always_denied(flow.address) || flow.machine_local) return {false, "internal"};
  return {true, "default"};
}

}  // namespace netfilter::egress
