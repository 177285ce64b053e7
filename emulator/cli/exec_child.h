// The child of `sandlot exec`: a program in a private mount namespace whose resolver asks the
// embedded DNS, so that names under the domain resolve without a change to the machine. Used by the
// application (run_exec_child); the rest is public for its tests.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/awaitable.hpp>

#include "emulator/base/result.h"
#include "emulator/base/unique_fd.h"
#include "emulator/cli/cli.h"
#include "emulator/cli/endpoint.h"

namespace emulator::cli {

// A file that the child sees in place of another: bind-mounted in its own mount namespace.
struct FileOverride {
  std::filesystem::path source;
  std::filesystem::path target;  // exists; symbolic links are followed
};

struct ExecChild {
  std::vector<std::string> argv;
  std::vector<std::string> environment;  // "NAME=value"
  std::vector<FileOverride> overrides;   // not empty: a mount namespace of its own (root)
};

struct RunningChild {
  pid_t pid = -1;
  base::UniqueFd pidfd;
};

// Starts it with our stdin, stdout and stderr, default signal dispositions and an empty signal
// mask. Shares our memory until the exec (no page table is copied, whatever the heap), so it may be
// called from a big, threaded process. Errors: kNotFound when the program is not on PATH,
// kPermissionDenied, or the step that failed in the child.
base::Result<RunningChild> start_exec_child(const ExecChild& child);

// Waits for the end (blocking unless it has ended) and returns the exit code; 128 + signal when
// killed by one.
int reap_exec_child(const RunningChild& child);

// Writes resolv.conf and nsswitch.conf for the child into `directory` and says what they replace.
// The nsswitch is the machine's with "hosts: files dns".
base::Result<std::vector<FileOverride>> prepare_name_resolution(
    const std::filesystem::path& directory, const std::string& dns_host);

// All of it: files in <instance_dir>/exec, environment, start, signals passed on (SIGTERM, SIGHUP,
// SIGUSR1, SIGUSR2, SIGWINCH, SIGCONT; SIGINT and SIGQUIT too unless a terminal has already sent
// them to the child), exit code. 127 and 126 as shells use them when the program cannot be started;
// the reason goes to stderr. Without endpoint.dns_port the child gets the *_URL variables. Must be
// awaited to its end.
boost::asio::awaitable<int> run_exec_child(ExecRequest request,
                                           Endpoint endpoint,
                                           std::filesystem::path instance_dir);

}  // namespace emulator::cli
