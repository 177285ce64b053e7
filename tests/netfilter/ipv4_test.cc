#include "netfilter/ipv4.h"

#include <gtest/gtest.h>

namespace netfilter {
namespace {

TEST(Ipv4, ReadsFourDecimalNumbersAndNothingElse) {
  EXPECT_EQ(parse_ipv4("10.71.0.7"), (Ipv4{10, 71, 0, 7}));
  EXPECT_EQ(parse_ipv4("255.255.255.255"), (Ipv4{255, 255, 255, 255}));
  for (const char* text :
       {"", "1", "1.2.3", "1.2.3.4.5", "1.2.3.256", "1.2.3.", "1..2.3", "01.2.3.4", "1.2.3.4 ",
        " 1.2.3.4", "a.b.c.d", "-1.2.3.4", "1.2.3.4/8"}) {
    EXPECT_FALSE(parse_ipv4(text)) << text;
  }
}

TEST(Ipv4, IsWrittenAsItIsRead) {
  EXPECT_EQ(to_string(Ipv4{169, 254, 1, 1}), "169.254.1.1");
  EXPECT_EQ(to_string(Ipv4Range{{100, 64, 0, 0}, 10}), "100.64.0.0/10");
}

TEST(Ipv4Range, HoldsItsFirstAndLastAddressAndNotTheirNeighbours) {
  Ipv4Range range{{172, 16, 0, 0}, 12};
  EXPECT_TRUE(range.contains({172, 16, 0, 0}));
  EXPECT_TRUE(range.contains({172, 31, 255, 255}));
  EXPECT_FALSE(range.contains({172, 15, 255, 255}));
  EXPECT_FALSE(range.contains({172, 32, 0, 0}));
}

TEST(Ipv4Range, OfLengthZeroHoldsEverythingAndOfLength32OneAddress) {
  EXPECT_TRUE((Ipv4Range{{0, 0, 0, 0}, 0}).contains({255, 1, 2, 3}));
  EXPECT_TRUE((Ipv4Range{{8, 8, 8, 8}, 32}).contains({8, 8, 8, 8}));
  EXPECT_FALSE((Ipv4Range{{8, 8, 8, 8}, 32}).contains({8, 8, 8, 9}));
}

TEST(AlwaysDenied, CoversThePrivateRangesAndTheirEdges) {
  for (const char* text :
       {"10.0.0.0", "10.255.255.255", "100.64.0.0", "100.127.255.255", "127.0.0.1", "169.254.1.1",
        "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.168.0.0", "192.168.255.255",
        "0.0.0.0", "0.255.255.255", "224.0.0.1", "240.0.0.1", "255.255.255.255"}) {
    EXPECT_TRUE(is_always_denied(*parse_ipv4(text))) << text;
  }
  for (const char* text :
       {"1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0",
        "126.255.255.255", "128.0.0.0", "169.253.255.255", "169.255.0.0", "172.15.255.255",
        "172.32.0.0", "192.167.255.255", "192.169.0.0", "223.255.255.255"}) {
    EXPECT_FALSE(is_always_denied(*parse_ipv4(text))) << text;
  }
}

}  // namespace
}  // namespace netfilter
