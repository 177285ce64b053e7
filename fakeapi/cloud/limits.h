// How long a sandbox may live, and how large it may be (contract-novita 3.2). Pure.
#pragma once

#include <chrono>
#include <optional>

#include "fakeapi/cloud/sandbox_service.h"

namespace fakeapi::cloud {

inline constexpr std::chrono::seconds kDefaultTimeout{300};
inline constexpr std::chrono::hours kLongestTimeout{1};
// The largest sandbox of the cloud's paid tier, and its disk (contract-novita 3.2).
inline constexpr int kMaxVcpu = 8;
inline constexpr int kMaxRamMb = 8192;
inline constexpr int kDiskMb = 20480;

// At most an hour from now, unless metadata says long_running = "true". The cloud shortens, it does
// not refuse.
inline std::chrono::seconds cap_timeout(std::chrono::seconds timeout,
                                        const std::optional<StringMap>& metadata) {
  if (metadata) {
    auto mark = metadata->find("long_running");
    if (mark != metadata->end() && mark->second == "true") return timeout;
  }
  return timeout < kLongestTimeout ? timeout : std::chrono::seconds(kLongestTimeout);
}

}  // namespace fakeapi::cloud
