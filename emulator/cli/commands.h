// One function per command; each lives in command_<name>.cc and returns the exit code
// (config::ExitCode). Used by run_cli.cc.
#pragma once

#include "emulator/cli/cli.h"
#include "emulator/config/command_line.h"

namespace emulator::cli {

int run_config_show(const config::CommandLine& line);
int run_doctor(const config::CommandLine& line);
int run_env(const config::CommandLine& line);
int run_exec(const config::CommandLine& line, const ServeFunction& serve);
int run_explain(const config::CommandLine& line);
int run_gc(const config::CommandLine& line);
int run_ready(const config::CommandLine& line);
int run_version(const config::CommandLine& line);

// The port somebody asked for, when somebody did: chooses among several running emulators.
std::optional<std::uint16_t> asked_port(const config::CommandLine& line);

}  // namespace emulator::cli
