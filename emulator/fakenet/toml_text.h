// TOML as the JSON that says the same, for the file of `--internet fake:FILE`: one reader then
// checks both (host_file.cc). The only user of the TOML library.
#pragma once

#include <string>
#include <string_view>

#include "emulator/base/result.h"

namespace emulator::fakenet {

// kInvalidArgument says where: "line 3, column 7: ...". Dates and times, for which JSON has no
// type, are refused, as are numbers that are not finite.
base::Result<std::string> json_of_toml(std::string_view toml);

}  // namespace emulator::fakenet
