#include <gtest/gtest.h>

#include "emulator/proxy/sandbox_directory.h"

namespace emulator::proxy {
namespace {

TEST(LiveConnections, CutsEachRegisteredConnectionOnce) {
  auto live = std::make_shared<LiveConnections>();
  int cuts = 0;
  auto one = LiveConnections::add(live, [&] { ++cuts; });
  {
    auto gone = LiveConnections::add(live, [&] { cuts += 100; });
    EXPECT_EQ(live->size(), 2U);
  }
  auto moved = std::move(one);
  EXPECT_EQ(live->size(), 1U);
  live->cut_all();
  live->cut_all();
  EXPECT_EQ(cuts, 1);
  EXPECT_TRUE(live->closed());
  EXPECT_EQ(live->size(), 0U);
}

TEST(LiveConnections, RefusesConnectionsAfterTheCut) {
  auto live = std::make_shared<LiveConnections>();
  live->cut_all();
  auto late = LiveConnections::add(live, [] { FAIL(); });
  EXPECT_EQ(live->size(), 0U);
}

TEST(LiveConnections, ACutMayEndOtherRegistrations) {
  auto live = std::make_shared<LiveConnections>();
  LiveConnections::Registration second;
  auto first = LiveConnections::add(live, [&] { second = LiveConnections::Registration(); });
  int cuts = 0;
  second = LiveConnections::add(live, [&] { ++cuts; });
  live->cut_all();
  EXPECT_LE(cuts, 1);
}

TEST(LiveConnections, SayWhenTheFirstComesAndTheLastHasLeft) {
  auto live = std::make_shared<LiveConnections>();
  std::string seen;
  live->on_change([&](bool connected) { seen += connected ? '+' : '-'; });
  {
    auto first = LiveConnections::add(live, [] {});
    auto second = LiveConnections::add(live, [] {});
    EXPECT_EQ(seen, "+");
  }
  EXPECT_EQ(seen, "+-");
  auto third = LiveConnections::add(live, [] {});
  live->cut_all();
  EXPECT_EQ(seen, "+-+") << "a cut is no leaving";
}

TEST(LiveConnections, OutliveTheirOwner) {
  auto live = std::make_shared<LiveConnections>();
  auto held = LiveConnections::add(live, [] {});
  live.reset();
}

}  // namespace
}  // namespace emulator::proxy
