// How many bytes a second one sandbox's eth0 carries, each way: a token bucket of the kernel at
// both ends of its veth. Used by the faults that tests ask for. The slot belongs to the initial
// user namespace, so root in the sandbox can neither see past nor remove it. What reaches the
// sandbox from inside its own network namespace (the front door) does not cross eth0.
#pragma once

#include <cstdint>
#include <optional>

#include "emulator/base/result.h"

namespace netfilter {

inline constexpr std::uint64_t kLeastBandwidth = 1024;            // bytes per second
inline constexpr std::uint64_t kMostBandwidth = 100'000'000'000;  // likewise

// From now on, in place of what held before; nullopt: as fast as it goes. Bytes of whole Ethernet
// frames. Both ends or none. kUnimplemented when the kernel has no token bucket (sch_tbf).
// Blocking (under a millisecond).
base::Result<> set_bandwidth(int switch_fd,
                             int slot_fd,
                             std::optional<std::uint64_t> bytes_per_second);

}  // namespace netfilter
