// The composition: builds every part, starts and stops them in order; the only place that knows all
// of them. Used by main.cc through cli/ (ServeFunction). What it takes from a request's way is in
// docs/architecture.md.
#pragma once

#include <optional>

#include "emulator/cli/cli.h"
#include "emulator/config/options.h"

namespace emulator {

// Serves until SIGINT or SIGTERM, or until the child of `exec` has ended; returns the exit code
// (config::ExitCode, or the child's). Call while no thread exists: the spawner is started first.
int serve(const config::Options& options, std::optional<cli::ExecRequest> exec);

}  // namespace emulator
