// The system calls that no sandbox may make: a deny list in the spirit of the usual container
// default. Built by libseccomp once, when the spawner starts, and loaded there: every sandbox
// inherits the one filter for nothing (architecture.md section 4). What a filter cannot express is
// left to the user and pid namespaces.
#pragma once

#include <linux/filter.h>

#include <vector>

#include "emulator/base/result.h"

namespace namespaces {

// The program: EPERM for what is on the list, for the machine's own and the 32-bit compatible call
// tables.
base::Result<std::vector<sock_filter>> build_seccomp_program();

// Installs it in this thread without no_new_privs (sudo must work): needs CAP_SYS_ADMIN.
base::Result<> load_seccomp_program(std::vector<sock_filter>& program);

}  // namespace namespaces
