#include "namespaces/freezer.h"

#include <algorithm>
#include <chrono>

namespace namespaces {

using base::Errc;
using base::Result;
using std::chrono::microseconds;

namespace {

constexpr std::chrono::seconds kLimit{1};

}  // namespace

base::Task<> set_frozen(Cgroup& cgroup, bool frozen, const bool& ended) {
  SANDLOT_CO_CHECK(cgroup.set_frozen(frozen));
  auto limit = std::chrono::steady_clock::now() + kLimit;
  auto pause = microseconds(100);
  for (;;) {
    SANDLOT_CO_TRY(bool state, cgroup.is_frozen());
    if (state == frozen) co_return Result<>();
    if (ended) co_return base::fail(Errc::kFailedPrecondition, "the sandbox has ended");
    if (std::chrono::steady_clock::now() > limit) {
      co_return base::fail(Errc::kDeadlineExceeded,
                           frozen ? "freeze: timed out" : "thaw: timed out");
    }
    co_await base::sleep_for(pause);
    pause = std::min(pause * 2, microseconds(10000));
  }
}

}  // namespace namespaces
