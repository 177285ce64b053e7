// A slot whose network is as slow as somebody said, both ways, and fast again.
#include "netfilter/bandwidth.h"

#include <unistd.h>

#include "tests/netfilter/support/world.h"

namespace netfilter::tests {
namespace {

using std::chrono::steady_clock;

constexpr std::size_t kBytes = 300'000;

// Of both directions together: all there, then as much back.
milliseconds exchange_with(const World& world, const Slot& slot) {
  // In the switch, on its port: no proxy in between.
  TcpServer server(world.network->fd(), kGateway, 5018, [](int connection) {
    std::size_t count = 0;
    std::string buffer(65536, '\0');
    while (count < kBytes) {
      auto got = ::read(connection, buffer.data(), buffer.size());
      if (got <= 0) return;
      count += static_cast<std::size_t>(got);
    }
    send_text(connection, std::string(kBytes, 'y'));
  });
  auto begin = steady_clock::now();
  auto connection = connect_from(slot.netns.get(), kWebServer, 7, kPatience);
  EXPECT_TRUE(connection);
  if (!connection) return milliseconds(0);
  send_text(connection->get(), std::string(kBytes, 'x'));
  EXPECT_EQ(read_to_end(connection->get()).size(), kBytes);
  return std::chrono::duration_cast<milliseconds>(steady_clock::now() - begin);
}

TEST(Bandwidth, HoldsBothWaysForOneSlotUntilItEnds) {
  World world;
  auto set = [&](std::optional<std::uint64_t> rate) {
    return set_bandwidth(world.network->fd(), world.a.netns.get(), rate);
  };
  EXPECT_LT(exchange_with(world, world.a), milliseconds(700));
  auto slowed = set(300'000);
  ASSERT_TRUE(slowed) << slowed.error().message();
  auto slow = exchange_with(world, world.a);
  EXPECT_GT(slow, milliseconds(1400)) << "a second each way";
  EXPECT_LT(slow, milliseconds(6000));
  EXPECT_LT(exchange_with(world, world.b), milliseconds(700)) << "its neighbour";
  ASSERT_TRUE(set(50'000'000)) << "in place of the first";
  EXPECT_LT(exchange_with(world, world.a), milliseconds(700));
  ASSERT_TRUE(set(300'000));
  ASSERT_TRUE(set(std::nullopt));
  EXPECT_LT(exchange_with(world, world.a), milliseconds(700));
  EXPECT_TRUE(set(std::nullopt)) << "none any more is fine";
}

TEST(Bandwidth, TakesEveryRateThatCanBeAskedFor) {
  World world;
  for (std::uint64_t rate : {kLeastBandwidth, std::uint64_t{1} << 32U, kMostBandwidth}) {
    auto set = set_bandwidth(world.network->fd(), world.a.netns.get(), rate);
    EXPECT_TRUE(set) << rate << ": " << set.error().message();
  }
  EXPECT_LT(exchange_with(world, world.a), milliseconds(700)) << "100 GB/s";
}

TEST(Bandwidth, OfASlotWithoutALinkIsAnErrorAndChangesNothing) {
  World world;
  // No eth0 in the switch itself.
  EXPECT_FALSE(set_bandwidth(world.network->fd(), world.network->fd(), 300'000));
  EXPECT_LT(exchange_with(world, world.a), milliseconds(700));
}

}  // namespace
}  // namespace netfilter::tests
