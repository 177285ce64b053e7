// Which index the next slot gets: it is an address, and somebody may still send to it.
#include "emulator/sandboxes/slot_pool.h"

#include <optional>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>

namespace emulator::sandboxes {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;

struct Made {
  int index;
  bool used;
  bool operator==(const Made&) const = default;
};

struct Pool {
  explicit Pool(std::chrono::seconds rest) {
    auto make = [this](int index, std::uint32_t, bool used) -> base::Result<netfilter::Slot> {
      if (failing) return base::fail(base::Errc::kInternal, "refused");
      made.push_back({index, used});
      netfilter::Slot slot;
      slot.index = index;
      return slot;
    };
    slots = std::make_shared<SlotPool>(blocking, make, 0, SlotPoolLimits{3, rest});
  }
  base::Result<SlotLease> take() {
    std::optional<base::Result<SlotLease>> result;
    asio::co_spawn(context, slots->take(), [&](const std::exception_ptr&, auto lease) {
      result.emplace(std::move(lease));
    });
    context.restart();
    while (!result) context.run_one_for(5s);
    return std::move(*result);
  }

  asio::io_context context;
  base::BlockingPool blocking{1};
  bool failing = false;
  std::vector<Made> made;
  std::shared_ptr<SlotPool> slots;
};

TEST(SlotPool, AnAddressThatNobodyHadComesFirstThenTheOneThatRestedLongest) {
  Pool pool(0s);
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(pool.take());
  EXPECT_EQ(pool.made, (std::vector<Made>{{1, false}, {2, false}, {3, false}}));
  pool.made.clear();
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(pool.take());
  EXPECT_EQ(pool.made, (std::vector<Made>{{1, true}, {2, true}, {3, true}, {1, true}}));
}

TEST(SlotPool, NoAddressGoesOnWhileItIsUsedOrRests) {
  Pool pool(60s);
  auto first = pool.take();
  auto second = pool.take();
  { auto third = pool.take(); }
  auto refused = pool.take();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), base::Errc::kResourceExhausted);
  EXPECT_EQ(pool.slots->alive(), 2U);
}

TEST(SlotPool, AnAddressWhoseSlotWasHalfMadeCountsAsUsed) {
  Pool pool(0s);
  pool.failing = true;
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(pool.take());
  pool.failing = false;
  ASSERT_TRUE(pool.take());
  EXPECT_EQ(pool.made, (std::vector<Made>{{1, true}}));
}

}  // namespace
}  // namespace emulator::sandboxes
