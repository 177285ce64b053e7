#include <unistd.h>

#include <algorithm>
#include <iostream>

#include "emulator/cli/commands.h"
#include "emulator/cli/doctor_host.h"
#include "emulator/cli/doctor_kernel.h"
#include "emulator/cli/doctor_network.h"
#include "emulator/cli/doctor_volumes.h"

namespace emulator::cli {

// Changes nothing: what is tried is tried in namespaces that end with the check, and in directories
// that are removed.
int run_doctor(const config::CommandLine& line) {
  const config::Options& options = line.options;
  Checks checks = {check_privilege()};
  const auto add = [&checks](Checks more) {
    std::move(more.begin(), more.end(), std::back_inserter(checks));
  };
  add(check_kernel(options.data_dir));
  add(check_cgroups());
  add(check_network(options));
  add(check_ports(options));
  add({check_names(options.domain)});
  add(check_limits());
  add({check_merged_usr()});
  add(check_base_tools());
  add(check_disk(options.data_dir));
  add(check_volumes());
  std::cout << (line.json ? format_as_json(checks)
                          : format_for_people(checks, ::isatty(STDOUT_FILENO) == 1))
            << std::flush;
  const bool good = std::none_of(checks.begin(), checks.end(), [](const Check& check) {
    return check.verdict == Verdict::kFail;
  });
  return good ? config::kOk : config::kPrivilege;
}

}  // namespace emulator::cli
