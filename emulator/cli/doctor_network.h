// The network as the emulator makes it, tried for real in throw-away namespaces; and the ports it
// wants on this machine. Used by `doctor`.
#pragma once

#include "emulator/cli/doctor_report.h"
#include "emulator/config/options.h"

namespace emulator::cli {

// A switch namespace with the constant rules and one slot on it, and what the uplink of
// `--internet` needs: with `host`, its rules are tried in a namespace of their own, never in the
// machine's.
Checks check_network(const config::Options& options);
// Whether each listening port is free, or held by an emulator that runs.
Checks check_ports(const config::Options& options);
// Whether names under the domain resolve on this machine.
Check check_names(const std::string& domain);

}  // namespace emulator::cli
