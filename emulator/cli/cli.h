// The program's face: picks the command and runs it. Used by main.cc, which hands in the one thing
// that only the application can do: serve. Exit codes are config::ExitCode.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "emulator/config/options.h"

namespace emulator::cli {

// `sandlot exec`: what to run once the emulator answers.
struct ExecRequest {
  std::vector<std::string> command;  // argv, not empty
};

// Serves in the foreground until SIGINT or SIGTERM and returns the exit code. No thread exists when
// it is called.
//
// With an ExecRequest it serves for one child instead, in this order:
//   1. start on options.port (0 there: take a free one) with the embedded DNS on
//   options.dns_host:*options.dns_port;
//      `exec` has already picked a free 127.x.y.z for it (unset dns_port: not root, go without);
//   2. write_endpoint(...) (cli/endpoint.h), as always;
//   3. when ready, co_await run_exec_child(request, endpoint, instance_dir) (cli/exec_child.h) in
//   place of waiting for a signal: it passes on
//      the signals that arrive. Do not stop on SIGINT or SIGTERM while it runs.
//   4. shut down, return its exit code. announce_ready is not called: stdout is the child's.
using ServeFunction = std::function<int(const config::Options&, std::optional<ExecRequest>)>;

// The whole program but for the spawner's role.
int run_cli(int argc, char** argv, const ServeFunction& serve);

}  // namespace emulator::cli
