// The command line, the environment and sandlot.toml, read into one value (flag > environment >
// file > default). The only file that sees CLI11 is command_line.cc. Used by cli/.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include <tl/expected.hpp>

#include "emulator/config/options.h"
#include "emulator/config/settings.h"

namespace emulator::config {

// Exit codes of every command (cli-and-control 1).
enum ExitCode : int {
  kOk = 0,
  kFailure = 1,
  kUsage = 2,
  kPortBusy = 3,
  kPrivilege = 4,  // missing privilege or kernel feature
  kConfiguration = 5,
  kNotReady = 6,
};

struct CommandLine {
  std::string command;  // "serve", "env", "config show", ...; empty with `help`
  std::string help;     // not empty: print it and exit 0
  Options options;
  std::vector<SettingValue> values;   // one per setting that is built, in the table's order
  std::vector<std::string> warnings;  // for stderr
  // What belongs to single commands.
  bool json = false;          // doctor, version, config show, explain
  bool no_dns = false;        // env
  std::string format = "sh";  // env: sh, fish, dotenv, json, github
  bool dry_run = false;       // gc
  bool wait = false;          // ready
  std::chrono::milliseconds timeout{30000};
  std::vector<std::string> arguments;  // explain: sandbox, destination
  std::vector<std::string> child;      // exec: what follows "--"

  // True when nobody set it.
  bool is_default(std::string_view setting) const;
};

// Why it does not run: a line for stderr and the exit code (2: the command line, 5: environment or
// file).
struct Refusal {
  int exit_code = kUsage;
  std::string message;
};

// Looks up an environment variable; null when absent. Injected for tests.
using Environment = std::function<const char*(const char* name)>;

//   arguments   without the program's name
//   names       the environment's variable names, for warnings about misspelt SANDLOT_* ones
// Reads the file of --config or SANDLOT_CONFIG (which must exist), else ./sandlot.toml, else
// /etc/sandlot/sandlot.toml.
tl::expected<CommandLine, Refusal> read_command_line(const std::vector<std::string>& arguments,
                                                     const Environment& environment,
                                                     const std::vector<std::string>& names = {});

}  // namespace emulator::config
