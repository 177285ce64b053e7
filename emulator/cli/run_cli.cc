#include <unistd.h>

#include <cstdlib>
#include <iostream>
#include <string>
#include <vector>

#include "emulator/base/log.h"
#include "emulator/cli/cli.h"
#include "emulator/cli/commands.h"
#include "emulator/config/command_line.h"

namespace emulator::cli {
namespace {

std::vector<std::string> variable_names() {
  std::vector<std::string> names;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text = *entry;
    names.push_back(text.substr(0, text.find('=')));
  }
  return names;
}

int dispatch(const config::CommandLine& line, const ServeFunction& serve) {
  if (line.command == "serve") return serve(line.options, std::nullopt);
  if (line.command == "exec") return run_exec(line, serve);
  if (line.command == "env") return run_env(line);
  if (line.command == "doctor") return run_doctor(line);
  if (line.command == "ready") return run_ready(line);
  if (line.command == "explain") return run_explain(line);
  if (line.command == "gc") return run_gc(line);
  if (line.command == "config show") return run_config_show(line);
  return run_version(line);
}

}  // namespace

std::optional<std::uint16_t> asked_port(const config::CommandLine& line) {
  if (line.is_default("port")) return std::nullopt;
  return line.options.port;
}

int run_cli(int argc, char** argv, const ServeFunction& serve) {
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  // No thread exists yet: getenv is safe.
  const config::Environment environment = [](const char* name) -> const char* {
    return std::getenv(name);  // NOLINT(concurrency-mt-unsafe)
  };
  auto line = config::read_command_line(arguments, environment, variable_names());
  if (!line) {
    std::cerr << line.error().message << std::endl;
    return line.error().exit_code;
  }
  if (!line->help.empty()) {
    std::cout << line->help;
    return config::kOk;
  }
  for (const std::string& warning : line->warnings)
    std::cerr << "sandlot: " << warning << std::endl;
  base::log::configure(line->options.log_level, line->options.log_format);
  return dispatch(*line, serve);
}

}  // namespace emulator::cli
