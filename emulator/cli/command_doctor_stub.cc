#include "emulator/cli/commands.h"
namespace emulator::cli { int run_doctor(const config::CommandLine&) { return config::kOk; } }
