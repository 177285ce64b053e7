// Which sandbox and port a request means: hosts and routing headers.
#include "emulator/base/ids.h"
#include "emulator/proxy/sandbox_host.h"
#include "tests/fuzz/target.h"

namespace proxy = emulator::proxy;
using tests::fuzz::require;

// Five lines: the host, then the four routing headers.
FUZZ_TARGET(sandbox_host) {
  tests::fuzz::Input in(input);
  std::string_view host = in.line();
  proxy::RoutingHeaders headers{in.line(), in.line(), in.line(), in.line()};
  proxy::HostNames names;
  names.domain = "sandlot.example";
  names.extra = {"control.example"};
  auto target = proxy::find_target(host, headers, names);
  switch (target.kind) {
    case proxy::Target::Kind::kSandbox:
      require(base::is_sandbox_id(target.sandbox_id), "a sandbox has an id");
      break;
    case proxy::Target::Kind::kError:
      require(!target.error.empty(), "an error has a sentence");
      break;
    case proxy::Target::Kind::kControlPlane:
      break;
  }
  std::string_view name = proxy::strip_port(host);
  require(name.size() <= host.size(), "stripping shortens");
  if (proxy::is_local_name(name, names)) {
    require(name.size() <= 254 && name.find_first_of("*/\\\"\r\n ,") == std::string_view::npos,
            "a certificate's name is a DNS name");
    require(!proxy::is_ip_literal(name), "an address is not a name");
  }
}
