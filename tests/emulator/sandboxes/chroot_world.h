// Runs programs in a derived template, mounted in a mount namespace of their own: a stand-in for
// the container runtime in the template's tests (no user namespace, no id mapping). Nothing is left
// behind: the mounts die with the program.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "emulator/sandboxes/base_template.h"

namespace emulator::sandboxes {

struct Outcome {
  int status = -1;     // exit code, or 256 + signal
  std::string output;  // stdout and stderr together
};

class ChrootWorld {
 public:
  // `scratch` takes the upper and work directories.
  ChrootWorld(BaseTemplate base, std::filesystem::path scratch);
  // `/bin/bash -l -c SCRIPT` as this uid (0 or 1000) with a clean environment.
  Outcome run(const std::string& script, unsigned uid = 1000) const;

 private:
  BaseTemplate base_;
  std::filesystem::path scratch_;
};

}  // namespace emulator::sandboxes
