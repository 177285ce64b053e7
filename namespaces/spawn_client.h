// The server's end of the spawner: starts the process from a sealed copy of this binary and sends
// requests to it. Used by linux_runtime.cc from one worker thread. Blocking (well under a
// millisecond a request).
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "emulator/base/result.h"
#include "emulator/base/unique_fd.h"
#include "namespaces/container_runtime.h"

namespace namespaces {

// Borrowed descriptors of one new sandbox.
struct SandboxParts {
  IdRange ids;
  std::string hostname;
  int netns_fd = -1;
  int control_fd = -1;
  int root_fd = -1;
  int dev_fd = -1;
  int usr_fd = -1;
  int cgroup_fd = -1;
  std::vector<int> task_fds;
};

struct SpawnedSandbox {
  pid_t pid = -1;
  base::UniqueFd pidfd;
};

class SpawnClient {
 public:
  // Call before the process has other threads. Returns when the spawner has answered that it is up.
  static base::Result<SpawnClient> start();
  SpawnClient(SpawnClient&& other) noexcept;
  SpawnClient& operator=(SpawnClient&&) = delete;
  // Closes the socket and waits for the process, which ends at once and takes every sandbox with
  // it.
  ~SpawnClient();

  base::Result<SpawnedSandbox> spawn(const SandboxParts& parts);
  base::Result<base::UniqueFd> make_userns(IdRange ids);
  pid_t pid() const { return pid_; }

 private:
  SpawnClient(base::UniqueFd socket, pid_t pid) : socket_(std::move(socket)), pid_(pid) {}

  base::UniqueFd socket_;
  pid_t pid_ = -1;
  std::uint32_t sequence_ = 0;
};

// What a spawned child that could not become a sandbox says before it ends, as an error:
// "failed: <step>: errno <n>" (child.cc). kInternal when the line is something else.
base::Failure child_failure(std::string_view line);

}  // namespace namespaces
