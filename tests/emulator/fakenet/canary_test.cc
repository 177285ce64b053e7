// What is counted, and how packets are read.
#include "emulator/fakenet/canary.h"

#include <sys/socket.h>

#include <array>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <gtest/gtest.h>

#include "emulator/fakenet/packet_watch.h"

namespace emulator::fakenet {
namespace {

// An IPv4 packet to 192.0.2.1 with ports 4000 -> `port` and `payload` behind `transport` bytes.
std::string packet(std::uint8_t protocol,
                   std::uint16_t port,
                   std::size_t transport,
                   const std::string& payload,
                   std::uint16_t fragment = 0) {
  std::size_t total = 20 + transport + payload.size();
  std::string bytes(20 + transport, '\0');
  bytes[0] = 0x45;
  bytes[2] = static_cast<char>(total >> 8U);
  bytes[3] = static_cast<char>(total & 0xffU);
  bytes[6] = static_cast<char>(fragment >> 8U);
  bytes[7] = static_cast<char>(fragment & 0xffU);
  bytes[9] = static_cast<char>(protocol);
  bytes[16] = static_cast<char>(192);
  bytes[18] = 2;
  bytes[19] = 1;
  if (transport >= 4) {
    bytes[20] = static_cast<char>(4000 >> 8U);
    bytes[21] = static_cast<char>(4000 & 0xffU);
    bytes[22] = static_cast<char>(port >> 8U);
    bytes[23] = static_cast<char>(port & 0xffU);
  }
  return bytes + payload;
}

const FarEnd kWeb{kTcp, {192, 0, 2, 1}, 443};

TEST(PacketWatch, CountsASynByItsPort) {
  Canary canary;
  std::string syn = packet(kTcp, 443, 20, "");
  record_packet(syn, syn.size(), canary);
  ASSERT_TRUE(canary.counters().contains(kWeb));
  EXPECT_EQ(canary.counters().at(kWeb).packets, 1U);
  EXPECT_EQ(canary.counters().at(kWeb).bytes, 0U);
  ASSERT_EQ(canary.events().size(), 1U);
  EXPECT_EQ(canary.events()[0].kind, "syn");
  EXPECT_EQ(canary.events()[0].source_port, 4000);
}

TEST(PacketWatch, CountsADatagramWithItsPayload) {
  Canary canary;
  std::string datagram = packet(kUdp, 7777, 8, "hello");
  // A link pads short packets.
  record_packet(datagram + std::string(13, '\0'), datagram.size() + 13, canary);
  FarEnd to{kUdp, {192, 0, 2, 1}, 7777};
  EXPECT_EQ(canary.counters().at(to).bytes, 5U);
  EXPECT_EQ(canary.events()[0].text, "hello");
  // Only its beginning was kept.
  std::string large = packet(kUdp, 7777, 8, std::string(1000, 'x'));
  record_packet(std::string_view(large).substr(0, 256), large.size(), canary);
  EXPECT_EQ(canary.counters().at(to).bytes, 1005U);
}

// One packet in three fragments. 0x2000: more follow; the rest is where it belongs, in eights.
TEST(PacketWatch, CountsAPacketInFragmentsAsOne) {
  Canary canary;
  FarEnd to{kUdp, {192, 0, 2, 1}, 7777};
  std::string first = packet(kUdp, 7777, 8, std::string(1472, 'x'), 0x2000);
  std::string second = packet(kUdp, 0, 0, std::string(1480, 'x'), 0x2000 | 185);
  std::string third = packet(kUdp, 0, 0, std::string(48, 'x'), 370);
  for (const std::string* each : {&first, &second, &third})
    record_packet(*each, each->size(), canary);
  ASSERT_EQ(canary.counters().size(), 1U);
  EXPECT_EQ(canary.counters().at(to).packets, 1U);
  EXPECT_EQ(canary.counters().at(to).bytes, 3000U);
  ASSERT_EQ(canary.events().size(), 1U);
  EXPECT_EQ(canary.events()[0].bytes, 3000U);
  // It is complete: what follows is more of nothing, and so it is after all was forgotten.
  record_packet(third, third.size(), canary);
  EXPECT_TRUE(canary.counters().contains(FarEnd{kUdp, {192, 0, 2, 1}, 0}));
  record_packet(first, first.size(), canary);
  canary.clear();
  record_packet(third, third.size(), canary);
  EXPECT_EQ(canary.counters().size(), 1U);
  EXPECT_TRUE(canary.counters().contains(FarEnd{kUdp, {192, 0, 2, 1}, 0}));
}

TEST(PacketWatch, CountsFragmentsAndForeignProtocolsWithoutAPort) {
  Canary canary;
  std::string fragment = packet(kUdp, 7777, 8, "rest", 100);
  record_packet(fragment, fragment.size(), canary);
  EXPECT_TRUE(canary.counters().contains(FarEnd{kUdp, {192, 0, 2, 1}, 0}));
  std::string gre = packet(47, 0, 4, "x");
  record_packet(gre, gre.size(), canary);
  EXPECT_TRUE(canary.counters().contains(FarEnd{47, {192, 0, 2, 1}, 0}));
  EXPECT_EQ(protocol_name(47), "ip-47");
}

TEST(PacketWatch, SurvivesEveryTruncation) {
  std::string whole = packet(kUdp, 7777, 8, "hello");
  for (std::size_t size = 0; size <= whole.size(); ++size) {
    Canary canary;
    record_packet(std::string_view(whole).substr(0, size), size, canary);
    EXPECT_LE(canary.counters().size(), 1U);
  }
  std::string lying = packet(kTcp, 443, 20, "");
  lying[0] = 0x4f;  // a header of 60 bytes
  Canary canary;
  record_packet(lying, lying.size(), canary);
  EXPECT_EQ(canary.counters().size(), 1U);
}

TEST(Canary, CountsConnectionsAndShowsTheirFirstBytes) {
  Canary canary;
  canary.accepted(kWeb, 4000);
  canary.received(kWeb, 4000, "GET /\r\n", true);
  canary.received(kWeb, 4000, "more", false);
  EXPECT_EQ(canary.counters().at(kWeb).accepts, 1U);
  EXPECT_EQ(canary.counters().at(kWeb).bytes, 11U);
  ASSERT_EQ(canary.events().size(), 2U);
  EXPECT_EQ(canary.events()[1].text, "GET /\\r\\n");
  canary.clear();
  EXPECT_TRUE(canary.counters().empty());
  EXPECT_TRUE(canary.events().empty());
}

TEST(Canary, KeepsTheBeginningOfWhatWasAskedForOnly) {
  Canary canary;
  canary.understood("request", {}, "GET /" + std::string(60'000, 'x'));
  EXPECT_EQ(canary.events()[0].text, "GET /" + std::string(507, 'x') + "...");
  EXPECT_LE(canary.events()[0].text.capacity(), 1024U);
  canary.understood("request", {}, "GET /short");
  EXPECT_EQ(canary.events()[1].text, "GET /short");
}

TEST(PacketWatch, LetsOthersHaveATurnInAFlood) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, ends.data()), 0);
  base::UniqueFd far(ends[0]);
  base::UniqueFd near(ends[1]);
  constexpr int kRoom = 256 << 20;
  if (::setsockopt(far.get(), SOL_SOCKET, SO_SNDBUFFORCE, &kRoom, sizeof kRoom) != 0)
    GTEST_SKIP() << "needs CAP_NET_ADMIN";
  std::string datagram = packet(kUdp, 53, 8, "");
  constexpr std::uint64_t kSent = 25'000;
  for (std::uint64_t i = 0; i < kSent; ++i)
    ASSERT_GT(::send(far.get(), datagram.data(), datagram.size(), 0), 0) << i;
  boost::asio::io_context context;
  Canary canary;
  PacketWatch watch(context.get_executor(), std::move(near), canary);
  auto counted = [&] {
    return canary.counters().empty() ? 0 : canary.counters().begin()->second.packets;
  };
  boost::asio::co_spawn(context, watch.run(), boost::asio::detached);
  for (int i = 0; i < 10 && counted() == 0; ++i) context.run_one_for(std::chrono::seconds(5));
  EXPECT_EQ(counted(), 20'000U) << "and then whoever waits";
  for (int i = 0; i < 10 && counted() < kSent; ++i) context.run_one_for(std::chrono::seconds(5));
  EXPECT_EQ(counted(), kSent);
}

TEST(Canary, IsBounded) {
  Canary canary;
  for (std::uint32_t i = 0; i < 150'000; ++i) {
    FarEnd to{kTcp,
              {192, 0, static_cast<std::uint8_t>(i >> 16U), static_cast<std::uint8_t>(i >> 8U)},
              static_cast<std::uint16_t>(i)};
    canary.packet(to, 1, 0, "");
  }
  EXPECT_LE(canary.counters().size(), 100'001U);
  EXPECT_LE(canary.events().size(), 20'000U);
  EXPECT_EQ(canary.events_dropped(), 130'000U);
  std::uint64_t total = 0;
  for (const auto& [to, count] : canary.counters()) total += count.packets;
  EXPECT_EQ(total, 150'000U) << "what has no counter of its own is still counted";
}

}  // namespace
}  // namespace emulator::fakenet
