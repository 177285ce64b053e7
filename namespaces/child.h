// The life of a sandbox's pid 1 between clone and the agent. The order of the steps is in
// README.md.
#pragma once

#include <array>
#include <cstddef>

#include "namespaces/container_runtime.h"
#include "namespaces/mount_plan.h"
#include "namespaces/privileges.h"
#include "namespaces/spawn_protocol.h"

namespace namespaces {

// Everything the child needs, prepared by the spawner before the clone. Descriptors are borrowed.
struct ChildPlan {
  int go_fd = -1;  // an eventfd; readable when the id maps are written
  int control_fd = -1;
  MountInputs mounts;
  std::array<int, kMaxTaskFds> task_fds{};
  std::size_t task_count = 0;
  const char* hostname = "";
  const ProtectedPaths* paths = nullptr;
  ArgumentArea arguments;
  AgentEntry agent = nullptr;
};

// Never returns. On failure sends "failed: <step>: errno <n>" on the control channel and exits
// with 1.
[[noreturn]] void run_child(const ChildPlan& plan);

}  // namespace namespaces
