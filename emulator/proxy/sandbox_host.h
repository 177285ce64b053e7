// Where a request wants to go: the control plane, or a port of a sandbox. Pure. Used by the front
// door for every request and by TLS to decide which names get a certificate. Knows nothing of which
// sandboxes exist.
//   source  contract-network 3.2 (the algorithm of the cloud's proxy), contract-novita 4.7
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace emulator::proxy {

// Header values, "" when absent. The vendor's names win over E2B's when both are there.
struct RoutingHeaders {
  std::string_view novita_id;
  std::string_view novita_port;
  std::string_view e2b_id;
  std::string_view e2b_port;
};

struct Target {
  enum class Kind { kControlPlane, kSandbox, kError };
  Kind kind = Kind::kError;
  std::string_view sandbox_id;  // a view into the host or a header
  std::uint64_t port = 0;       // as asked for: 0 and > 65535 are "not open" later
  std::string_view error;       // for kError: the sentence of the 400 answer
};

// Names that mean the control plane, compared without case, port and final dot: `<domain>` and
// `api.<domain>`, `api.localhost`, and what `extra` lists. "localhost" and IP literals are control
// plane unless routing headers say otherwise.
struct HostNames {
  std::string domain = "localhost";  // without a port, lower case
  std::vector<std::string> extra;
};

Target find_target(std::string_view host, const RoutingHeaders& headers, const HostNames& names);

// The host without its port; brackets of an IPv6 literal removed ("[::1]:80" -> "::1").
std::string_view strip_port(std::string_view host);
// An IPv4 or IPv6 address, without brackets or port.
bool is_ip_literal(std::string_view host);
// True for `localhost`, the domain, and every name below one of them (a valid DNS name of at most
// 253 bytes): the names that a certificate may be made for.
bool is_local_name(std::string_view name, const HostNames& names);

}  // namespace emulator::proxy
