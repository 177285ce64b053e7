// The file of `--internet fake:FILE` (TOML or JSON): read strictly, because a mistyped key would
// make a test pass for the wrong reason. The format is described in docs/fake-internet.md. Also the
// hosts that are always there, written in the same format (default_hosts.cc).
#pragma once

#include <filesystem>
#include <string_view>

#include "emulator/base/result.h"
#include "emulator/fakenet/hosts.h"

namespace emulator::fakenet {

// kInvalidArgument names the place: "hosts[0].routes[1]: unknown key 'stauts'".
base::Result<HostList> parse_hosts(std::string_view json);

// Either of the two: JSON begins with '{' (or '[', or a comment of its own), which TOML does not.
base::Result<HostList> parse_host_file(std::string_view text);

// The built-in hosts' text, as documentation and `GET hosts` show them.
std::string_view default_hosts();

// The built-in hosts, with those of `file` on top of them unless it says "defaults": false. An
// empty path: the built-in ones. Errors name the file. Blocking.
base::Result<Hosts> load_hosts(const std::filesystem::path& file);

}  // namespace emulator::fakenet
