// Starts one program of the user's: credentials, directory, standard streams or a terminal. A
// vfork-style clone, so the cost does not grow with the agent; only raw system calls between it and
// the exec. Used by process_table. Does not wait for the child and does not read its output.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "emulator/base/result.h"
#include "emulator/base/unique_fd.h"
#include "fakeapi/envd/oom_score.h"
#include "fakeapi/envd/pty.h"

namespace fakeapi::envd {

struct LaunchRequest {
  std::vector<std::string>
      argv;  // argv[0] is looked up in the PATH of `environment` unless it has a slash
  std::vector<std::string> environment;  // "NAME=value"
  std::string cwd;
  uid_t uid = 0;
  gid_t gid = 0;
  std::vector<gid_t> groups;
  std::optional<WindowSize> pty;  // set: a terminal instead of pipes
  bool stdin_pipe = true;         // false: /dev/null
};

struct LaunchedChild {
  pid_t pid = 0;
  base::UniqueFd stdin_write;  // empty without a stdin pipe
  base::UniqueFd stdout_read;
  base::UniqueFd stderr_read;
  base::UniqueFd pty_master;  // instead of the three above
};

// A program that cannot be executed is not an error here: the child says so on its stderr and exits
// with 127 (not found) or 126, as a shell's would. Errors: pipes, terminal, clone, credentials, the
// directory (kPermissionDenied, kNotFound, with the errno).
base::Result<LaunchedChild> launch(const LaunchRequest& request, const OomScore& oom_score);

}  // namespace fakeapi::envd
