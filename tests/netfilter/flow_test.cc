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

Decision judge(const Flow& flow) {
  return decide(Policy(), destination_of(flow));
}

TEST(Flow, GoesToTheInternetByDefault) {
  Decision decision = judge(flow_to({93, 184, 216, 34}));
  EXPECT_TRUE(decision.allowed);
  EXPECT_EQ(decision.rule, "default");
}

TEST(Flow, RefusesInternalRangesEvenIfTheKernelDidNot) {
  for (Ipv4 address :
       {Ipv4{10, 0, 0, 1}, Ipv4{127, 0, 0, 1}, Ipv4{169, 254, 169, 254}, Ipv4{192, 168, 1, 1}}) {
    Decision verdict = judge(flow_to(address));
    EXPECT_FALSE(verdict.allowed) << to_string(address);
    EXPECT_EQ(verdict.rule, "internal");
  }
}

TEST(Flow, RefusesPublicAddressesThatAreTheMachinesOwn) {
  Flow flow = flow_to({198, 51, 100, 7});
  flow.machine_local = true;
  EXPECT_FALSE(judge(flow).allowed);
}

TEST(Flow, Net49WaitsForANameWhereOneMayDecideOrTheAddressIsDenied) {
  Policy open;
  Policy addresses = *Policy::compile({{"1.1.1.1"}, {"0.0.0.0/0"}});
  Policy names = *Policy::compile({{"example.com", "1.1.1.1"}, {"0.0.0.0/0"}});
  auto waits = [](const Policy& policy, FlowClass kind, Ipv4 address) {
    Flow flow = flow_to(address);
    flow.kind = kind;
    return waits_for_name(policy, flow);
  };
  for (FlowClass kind : {FlowClass::kHttp, FlowClass::kTls}) {
    EXPECT_FALSE(waits(open, kind, {9, 9, 9, 9}));
    EXPECT_TRUE(waits(addresses, kind, {9, 9, 9, 9}));
    EXPECT_FALSE(waits(addresses, kind, {1, 1, 1, 1}));
    EXPECT_TRUE(waits(names, kind, {1, 1, 1, 1}));
    EXPECT_FALSE(waits(names, kind, {10, 0, 0, 1}));
  }
  EXPECT_FALSE(waits(names, FlowClass::kOther, {9, 9, 9, 9}));
}

TEST(Flow, OurOwnDoorIsJudgedAsTheWebWhicheverPortItUses) {
  Policy names = *Policy::compile({{"*.sandlot.test"}, {"0.0.0.0/0"}});
  Flow flow = flow_to({198, 18, 0, 1});
  flow.port = 7463;
  flow.own_door = true;
  EXPECT_TRUE(may_have_name(flow));
  EXPECT_TRUE(waits_for_name(names, flow));
  EXPECT_FALSE(decide(names, destination_of(flow)).allowed);
  flow.name = "3000-x.sandlot.test";
  for (FlowClass kind : {FlowClass::kHttp, FlowClass::kTls}) {
    flow.kind = kind;
    EXPECT_TRUE(decide(names, destination_of(flow)).by_name());
  }
  flow.own_door = false;
  EXPECT_FALSE(decide(names, destination_of(flow)).allowed) << "a name does not count on this port";
}

}  // namespace
}  // namespace netfilter::egress
