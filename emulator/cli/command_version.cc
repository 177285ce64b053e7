#include <iostream>

#include <nlohmann/json.hpp>

#include "emulator/cli/commands.h"

namespace emulator::cli {

int run_version(const config::CommandLine& line) {
  if (line.json) {
    const nlohmann::ordered_json object = {{"name", "sandlot"}, {"version", SANDLOT_VERSION}};
    std::cout << object.dump(2) << std::endl;
  } else {
    std::cout << "sandlot " << SANDLOT_VERSION << std::endl;
  }
  return config::kOk;
}

}  // namespace emulator::cli
