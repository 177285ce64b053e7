// The emulator's end of a sandbox's control channel: tells a waiting agent whose sandbox it has
// become.
#pragma once

#include "emulator/base/result.h"
#include "fakeapi/envd/sandbox_configuration.h"

namespace emulator::sandboxes {

// Sends the configuration and waits (at most 5 s) for the agent's "ok". The descriptor is borrowed.
// Errors: kUnavailable when the agent is gone, kInternal with its own words when it refused.
base::Task<> configure_agent(int control_fd, fakeapi::envd::SandboxConfiguration configuration);

// What its /metrics shows as its memory from now on. As below.
base::Task<> set_agent_memory(int control_fd, std::int64_t bytes);

// A new setting of the clock, which the agent obeys when this returns. Not for a frozen one, which
// cannot answer.
base::Task<> set_agent_clock(int control_fd, fakeapi::envd::ClockSetting clock);

}  // namespace emulator::sandboxes
