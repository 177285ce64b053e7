// Pid 1 of a sandbox: serves envd on port 49983, reaps, runs the user's processes. Entered by the
// spawner's child without an exec (namespaces/container_runtime.h, AgentEntry). Outside a sandbox
// (tests, benchmarks) it is an ordinary process on a port of the caller's choice.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace fakeapi::envd {

// Listens on 49983 (IPv4 and IPv6) in the current network namespace, sends "ready" on the control
// channel, waits there for its SandboxConfiguration, answers it, and serves until the channel
// closes. Returns the exit status. `oom_score_fd`: see AgentOptions.
int agent_main(int control_fd, int oom_score_fd);

struct AgentOptions {
  std::uint16_t port = 49983;
  // A socket that already listens, instead of `port`; owned by the agent then.
  int listen_fd = -1;
  // This process's own oom_score_adj, open; -1: opened here. Owned by the agent.
  int oom_score_fd = -1;
  std::string passwd_path = "/etc/passwd";
  std::string group_path = "/etc/group";
  // A connection on which nobody asks for anything for this long is closed; time in which the
  // sandbox is frozen does not count (contract-envd 1.1).
  std::chrono::steady_clock::duration idle_limit = std::chrono::seconds(640);
  // Where /run/e2b and /.e2b are written: "" = the root.
  std::string identity_root;
  // Pid 1 of a sandbox: its own session, its dispositions reset, not dumpable.
  bool init = true;
};

int run_agent(int control_fd, const AgentOptions& options);

// Builds the tables that the first messages would build (descriptors, JSON type information), so
// that every agent forked afterwards shares them. The spawner calls it once, before it clones.
void warm_up();

}  // namespace fakeapi::envd
