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

TEST(LiveConnections, APrivateSandboxCutsThePublicOnesAndKeepsTheOthers) {
  auto live = std::make_shared<LiveConnections>();
  int daemon = 0;
  int cuts = 0;
  LiveConnections::Registration second;
  auto other = LiveConnections::add(live, [&] { ++daemon; });
  auto first = LiveConnections::add(
      live,
      [&] {
        ++cuts;
        second = LiveConnections::Registration();
      },
      LiveConnections::Kind::kPublic);
  second = LiveConnections::add(
      live, [&] { ++cuts; }, LiveConnections::Kind::kPublic);
  live->cut_public();
  EXPECT_EQ(cuts, 1) << "the second one ended with the first";
  EXPECT_EQ(daemon, 0);
  EXPECT_FALSE(live->closed());
  EXPECT_EQ(live->size(), 2U);
  live->cut_public();
  EXPECT_EQ(cuts, 2) << "a client that stayed and began something new";
  live->cut_all();
  EXPECT_EQ(daemon, 1);
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

TEST(LiveConnections, WhatTheFrontDoorKeepsForItselfIsNoClient) {
  auto live = std::make_shared<LiveConnections>();
  std::string seen;
  live->on_change([&](bool connected) { seen += connected ? '+' : '-'; });
  int cuts = 0;
  LiveConnections::Registration own;
  {
    auto client = LiveConnections::add(live, [] {});
    own = LiveConnections::add(
        live, [&] { ++cuts; }, LiveConnections::Kind::kOwn);
    EXPECT_EQ(live->size(), 1U);
  }
  EXPECT_EQ(seen, "+-");
  EXPECT_EQ(live->size(), 0U);
  live->cut_all();
  EXPECT_EQ(cuts, 1);
}

TEST(LiveConnections, OutliveTheirOwner) {
  auto live = std::make_shared<LiveConnections>();
  auto held = LiveConnections::add(live, [] {});
  live.reset();
}

}  // namespace
}  // namespace emulator::proxy
