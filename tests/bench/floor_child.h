// What a floor sandbox does between clone3 and its answer: attach and make mounts, change the root,
// name the host, configure the network, load a seccomp filter; then it waits as pid 1, never having
// exec'ed. Raw system calls.
#pragma once

#include <cstdint>

namespace bench {

struct ChildPlan {
  int socket = -1;           // to the floor program, SOCK_SEQPACKET
  int overlay = -1;          // detached mount of the root
  std::uint32_t link = 0;    // number of its veth; configured by the child if `own_network`
  bool own_network = false;  // fresh: the network namespace (and so sysfs) is the child's own
};

// What the child sends: once when it is ready, and for every configuration message it receives.
struct ChildAnswer {
  std::int64_t cpu_ns = 0;  // user and system time of the child so far
  int error = 0;            // errno
  char step[52] = {};       // the step that failed; empty = none
};

// The marks the parent sends before the child may go on.
inline constexpr char kIdsMapped = 'i';
inline constexpr char kLinkMade = 'l';

// Never returns. Ends when the socket is closed.
[[noreturn]] void run_child(const ChildPlan& plan);

}  // namespace bench
