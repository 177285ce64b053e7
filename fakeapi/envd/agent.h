// Pid 1 of a sandbox: serves envd on port 49983, reaps, runs the user's processes. Entered by the spawner's child
// without an exec (namespaces/container_runtime.h, AgentEntry).
#pragma once

namespace fakeapi::envd {

// Listens on 49983 (IPv4 and IPv6) in the current network namespace, sends "ready" on the control channel, waits
// there for its SandboxConfiguration, answers it, and serves until the channel closes. Returns the exit status.
int agent_main(int control_fd);

}  // namespace fakeapi::envd
