#include "emulator/cli/doctor_volumes.h"

#include <unistd.h>

#include "emulator/base/run_tool.h"
#include "namespaces/loop_device.h"

namespace emulator::cli {

Checks check_volumes() {
  Checks checks;
  for (const char* tool : {"mkfs.ext4", "resize2fs", "e2fsck"}) {
    if (base::find_tool(tool)) continue;
    checks.push_back(warn("volumes.tools",
                          std::string(tool) + " is missing: volumes cannot have a quota",
                          "apt-get install -y e2fsprogs"));
    return checks;
  }
  if (::geteuid() != 0) return checks;
  if (auto loop = namespaces::LoopDevice::available(); !loop) {
    checks.push_back(warn("volumes.loop",
                          loop.error().message() + ": a volume with a quota is refused with 501, "
                                                   "volumes without one work",
                          "modprobe loop; in a container: docker run --privileged"));
    return checks;
  }
  checks.push_back(
      ok("volumes", "loop devices, mkfs.ext4, resize2fs and e2fsck: volumes can have quotas"));
  return checks;
}

}  // namespace emulator::cli
