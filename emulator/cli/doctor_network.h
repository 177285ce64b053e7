// The network as the emulator makes it, tried for real in throw-away namespaces; and the ports it
// wants on this machine. Used by `doctor`.
#pragma once

#include "emulator/cli/doctor_report.h"
#include "emulator/config/options.h"

namespace emulator::cli {

// A switch namespace with the constant rules and one slot on it.
Checks check_network();
// Whether each listening port is free, or held by an emulator that runs.
Checks check_ports(const config::Options& options);
// Whether names under the domain resolve on this machine.
Check check_names(const std::string& domain);

}  // namespace emulator::cli
