// How long a sandbox may live, and how large it may be (contract-novita 3.2). Pure.
#pragma once

#include <charconv>
#include <chrono>
#include <optional>

#include "fakeapi/cloud/sandbox_service.h"

namespace fakeapi::cloud {

inline constexpr std::chrono::seconds kDefaultTimeout{300};
inline constexpr std::chrono::hours kLongestTimeout{1};
inline constexpr std::chrono::seconds kLongestIdle{366 * 24 * 3600};
// The largest sandbox of the cloud's paid tier, and its disk (contract-novita 3.2).
inline constexpr int kMaxVcpu = 8;
inline constexpr int kMaxRamMb = 8192;
inline constexpr int kDiskMb = 20480;
// What memory is plugged and unplugged in.
inline constexpr int kMemoryBlockMb = 2;

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

// A new life, by create, resume or fork, is longer than nothing (e2b infra, timeout_helper.go);
// setting or extending one may end it. kInvalidArgument.
inline base::Result<> check_new_life(std::chrono::seconds timeout) {
  if (timeout.count() > 0) return {};
  return base::fail(base::Errc::kInvalidArgument, "Timeout must be greater than 0");
}

// metadata.idle_timeout, seconds as text: how long a sandbox lives without a client. 0 = for ever.
// kInvalidArgument for other texts.
inline base::Result<std::chrono::seconds> idle_timeout(const std::optional<StringMap>& metadata) {
  if (!metadata) return std::chrono::seconds(0);
  auto mark = metadata->find("idle_timeout");
  if (mark == metadata->end()) return std::chrono::seconds(0);
  const std::string& text = mark->second;
  std::int64_t seconds = -1;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  bool whole = error == std::errc() && end == text.data() + text.size();
  if (whole && seconds >= 0 && seconds <= kLongestIdle.count())
    return std::chrono::seconds(seconds);
  return base::fail(base::Errc::kInvalidArgument,
                    "metadata.idle_timeout must be a whole number of seconds, as a string");
}

}  // namespace fakeapi::cloud
