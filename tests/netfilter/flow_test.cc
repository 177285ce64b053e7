#include "netfilter/egress/flow.h"

#include <gtest/gtest.h>

namespace netfilter::egress {
namespace {

Flow flow_to(Ipv4 address) {
  Flow flow;
  flow.address = address;
  flow.port = 443;
  return flow;
}

TEST(Decide, AllowsTheInternet) {
  Verdict verdict = decide(flow_to({93, 184, 216, 34}));
  EXPECT_TRUE(verdict.allowed);
  EXPECT_EQ(verdict.rule, "default");
}

TEST(Decide, RefusesInternalRangesEvenIfTheKernelDidNot) {
  for (Ipv4 address :
       {Ipv4{10, 0, 0, 1}, Ipv4{127, 0, 0, 1}, Ipv4{169, 254, 169, 254}, Ipv4{192, 168, 1, 1}}) {
    Verdict verdict = decide(flow_to(address));
    EXPECT_FALSE(verdict.allowed) << to_string(address);
    EXPECT_EQ(verdict.rule, "internal");
  }
}

TEST(Decide, RefusesPublicAddressesThatAreTheMachinesOwn) {
  Flow flow = flow_to({198, 51, 100, 7});
  flow.machine_local = true;
  EXPECT_FALSE(decide(flow).allowed);
}

}  // namespace
}  // namespace netfilter::egress
