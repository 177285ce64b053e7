#include "namespaces/freezer.h"

#include <algorithm>
#include <chrono>

namespace namespaces {

using base::Errc;
using base::Result;
using std::chrono::microseconds;

namespace {

constexpr std::chrono::seconds kLimit{1};
// The kernel takes about a tenth of a millisecond to freeze one process and half of one for fifty,
// and it needs a processor for that, as asking does. Its own notification (cgroup.events) would
// come up to 10 ms late: it is held back after an earlier one.
constexpr microseconds kShortest{80};
constexpr microseconds kLongest{10000};

}  // namespace

base::Task<> set_frozen(Cgroup& cgroup, bool frozen, const bool& ended) {
  SANDLOT_CO_CHECK(cgroup.set_frozen(frozen));
  auto began = std::chrono::steady_clock::now();
  if (frozen) co_await base::sleep_for(kShortest);  // a thaw is over when the write is
  for (;;) {
    SANDLOT_CO_TRY(bool state, cgroup.is_frozen());
    if (state == frozen) co_return Result<>();
    if (ended) co_return base::fail(Errc::kFailedPrecondition, "the sandbox has ended");
    auto waited = std::chrono::steady_clock::now() - began;
    if (waited > kLimit) {
      co_return base::fail(Errc::kDeadlineExceeded,
                           frozen ? "freeze: timed out" : "thaw: timed out");
    }
    // An eighth late at most.
    auto pause = std::chrono::duration_cast<microseconds>(waited / 8);
    co_await base::sleep_for(std::clamp(pause, kShortest, kLongest));
  }
}

}  // namespace namespaces
