// What the daemon knows about its sandbox: the configuration from the control channel, changed
// later by POST /init, and the users of its root. Shared by every handler; plain data.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>

#include "fakeapi/envd/sandbox_configuration.h"
#include "fakeapi/envd/user_database.h"

namespace fakeapi::envd {

struct SandboxState {
  SandboxState(std::string passwd_path, std::string group_path)
      : users(std::move(passwd_path), std::move(group_path)) {}

  // The variables every process gets after the base ones: the user's, then the daemon's own, which
  // cannot be overridden (contract-envd 1.5, 2.4).
  std::map<std::string, std::string> global_environment() const;

  // What time it is for everything that expires or is stamped. Programs in the sandbox see the
  // machine's.
  std::chrono::system_clock::time_point now() const;

  SandboxConfiguration configuration;
  UserDatabase users;
  // Of the last POST /init that was applied.
  std::optional<std::chrono::system_clock::time_point> last_init;
};

}  // namespace fakeapi::envd
