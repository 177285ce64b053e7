// How many descriptors there may be: pid 1 takes as many as it is allowed, because a program in the
// sandbox may hold thousands of connections to it; its children get what it was started with. The
// real daemon does the same. Used by the agent and for launches.
#pragma once

#include <sys/resource.h>

namespace fakeapi::envd {

// Once, before anything is launched. Best effort.
void raise_descriptor_limit();

// The limit of before.
const rlimit& started_descriptor_limit();

}  // namespace fakeapi::envd
