// How long a sandbox may live (contract-novita 3.2). Pure.
#pragma once

#include <chrono>
#include <optional>

#include "fakeapi/cloud/sandbox_service.h"

namespace fakeapi::cloud {

inline constexpr std::chrono::seconds kDefaultTimeout{300};
inline constexpr std::chrono::hours kLongestTimeout{1};

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
