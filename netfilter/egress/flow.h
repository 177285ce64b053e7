// What is known of one outgoing connection, and what is decided about it. Plain values and one pure
// function.
#pragma once

#include <cstdint>
#include <string>

#include "netfilter/ipv4.h"

namespace netfilter::egress {

// By destination port, as the cloud's proxy sorts them: 80, 443, the rest.
enum class FlowClass { kHttp, kTls, kOther };

// One lifecycle of one sandbox. Addresses and ids are re-used; a lifecycle is not.
struct SandboxRef {
  std::string id;
};

struct Flow {
  SandboxRef sandbox;
  FlowClass kind = FlowClass::kOther;
  Ipv4 address{};  // what the sandbox dialled
  std::uint16_t port = 0;
  bool machine_local = false;  // the address belongs to the machine that Sandlot runs on
};

struct Verdict {
  bool allowed = false;
  std::string rule;  // which one decided: "default", "internal", ...
};

// The one decision (architecture.md, decision 6). For now: everything but internal addresses is
// allowed. The kernel rules have dropped most of those before; an address of the machine that looks
// public gets this far.
Verdict decide(const Flow& flow);

}  // namespace netfilter::egress
