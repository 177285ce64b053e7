#include "emulator/base/log_budget.h"

#include <gtest/gtest.h>

namespace base {
namespace {

using namespace std::chrono_literals;

TEST(LogBudget, WritesSoManyInSoLongAndSaysHowManyItLeftOut) {
  LogBudget budget(2, 10s);
  LogBudget::Clock::time_point now(100s);
  EXPECT_EQ(budget.take(now), "0");
  EXPECT_EQ(budget.take(now), "0");
  for (int i = 0; i < 1000; ++i) EXPECT_FALSE(budget.take(now + 9s));
  EXPECT_EQ(budget.take(now + 10s), "1000");
  EXPECT_EQ(budget.take(now + 10s), "0");
  EXPECT_FALSE(budget.take(now + 10s));
}

}  // namespace
}  // namespace base
