// What pid 1 of a sandbox gives up before it becomes the agent: capabilities, its past
// (descriptors, argv), being dumpable. Runs in the child: raw system calls, no allocation.
#pragma once

#include <cstddef>

#include "namespaces/mount_plan.h"

namespace namespaces {

// The memory that /proc/1/cmdline shows. Found once, when the spawner starts.
struct ArgumentArea {
  char* begin = nullptr;
  std::size_t size = 0;
};
ArgumentArea find_argument_area();

// Uid and gid 0 of the child's user namespace, no supplementary group. Needs the id maps to be
// written.
FailedStep become_root_inside();

// The bounding, permitted and effective sets: what root in a container usually keeps (chown,
// dac_override, fowner, fsetid, kill, setgid, setuid, setpcap, net_bind_service, net_raw,
// sys_chroot, mknod, audit_write, setfcap).
FailedStep drop_capabilities();

// Puts 0, 1, 2 on /dev/null (of the new root), `control_fd` on kControlFd and `oom_score_fd`,
// unless it is -1, on kOomScoreFd; closes everything else.
FailedStep settle_descriptors(int control_fd, int oom_score_fd);
inline constexpr int kControlFd = 3;
inline constexpr int kOomScoreFd = 4;

// Name, argv, umask, and PR_SET_DUMPABLE 0: without it the sandbox's root reads the spawner's heap
// through /proc/1/mem. Last step: a change of credentials would reset it.
FailedStep hide_past(ArgumentArea arguments);

}  // namespace namespaces
