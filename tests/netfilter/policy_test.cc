// The rules of contract-network 1.1-1.5 and 1.9 as tables. Each table's name carries the number.
#include "netfilter/policy.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace netfilter {
namespace {

using List = std::vector<std::string>;

constexpr const char* kNeedsBlockAll =
    "When specifying allowed domains in allow out, you must include 'ALL_TRAFFIC' in deny out to "
    "block all other traffic.";

Policy policy_of(List allow, List deny, bool internet = true) {
  auto policy = Policy::compile({std::move(allow), std::move(deny), internet});
  EXPECT_TRUE(policy) << policy.error().message();
  return policy ? *policy : Policy::closed();
}

std::string error_of(List allow, List deny, bool internet = true) {
  auto policy = Policy::compile({std::move(allow), std::move(deny), internet});
  if (policy) return "(accepted)";
  EXPECT_EQ(policy.error().code(), base::Errc::kInvalidArgument);
  return policy.error().message();
}

Destination tcp(const char* address, std::uint16_t port, std::string name = "") {
  return {*parse_ipv4(address), port, Protocol::kTcp, std::move(name), false};
}
Destination tls(const char* address, std::string name = "") {
  return tcp(address, 443, std::move(name));
}
Destination udp(const char* address, std::uint16_t port, std::string name = "") {
  return {*parse_ipv4(address), port, Protocol::kUdp, std::move(name), false};
}

struct Row {
  Destination destination;
  bool allowed;
  const char* rule = nullptr;  // nullptr = not looked at
};

void expect_rows(const Policy& policy, const std::vector<Row>& rows) {
  for (const Row& row : rows) {
    Decision decision = decide(policy, row.destination);
    std::string what = to_string(row.destination.address) + ":" +
                       std::to_string(row.destination.port) + " " + row.destination.name;
    EXPECT_EQ(decision.allowed, row.allowed) << what << " by " << decision.rule;
    if (row.rule != nullptr) {
      EXPECT_EQ(decision.rule, row.rule) << what;
    }
  }
}

TEST(Decide, Net01WithoutAPolicyEveryPublicDestinationIsAllowed) {
  expect_rows(Policy(), {{tls("93.184.216.34", "example.com"), true, "default"},
                         {tcp("93.184.216.34", 22), true, "default"},
                         {udp("8.8.8.8", 53), true, "default"},
                         {{{1, 1, 1, 1}, 0, Protocol::kIcmp}, true, "default"}});
  EXPECT_FALSE(Policy().restricts());
}

TEST(Decide, Net03Net05InternetAccessFalseIsTheSameAsDenyingEverything) {
  Policy off = policy_of({}, {}, false);
  Policy denied = policy_of({}, {"0.0.0.0/0"});
  for (const Destination& destination :
       {tls("1.1.1.1", "one.one"), tcp("1.1.1.1", 80), tcp("1.1.1.1", 22), tcp("1.1.1.1", 8080),
        udp("1.1.1.1", 7777), udp("8.8.8.8", 53), Destination{{1, 1, 1, 1}, 0, Protocol::kIcmp}}) {
    EXPECT_FALSE(decide(off, destination).allowed);
    EXPECT_FALSE(decide(denied, destination).allowed);
    EXPECT_EQ(decide(off, destination).rule, "allowInternetAccess=false");
    EXPECT_EQ(decide(denied, destination).rule, "denyOut[0]=0.0.0.0/0");
  }
}

TEST(Decide, Net08InternetAccessFalseLeavesTheHolesOfTheAllowList) {
  expect_rows(policy_of({"8.8.8.8"}, {}, false),
              {{tls("8.8.8.8"), true, "allowOut[0]=8.8.8.8"},
               {tls("1.1.1.1"), false, "allowInternetAccess=false"}});
}

TEST(Decide, Net09InternetAccessFalseReplacesTheDenyList) {
  expect_rows(policy_of({}, {"1.1.1.1"}, false),
              {{tls("1.1.1.1"), false, "allowInternetAccess=false"}, {tls("9.9.9.9"), false}});
}

TEST(Compile, Net10InternetAccessFalseDoesNotStandForBlockAll) {
  EXPECT_EQ(error_of({"example.com"}, {}, false), kNeedsBlockAll);
}

TEST(Decide, Net11InternetAccessTrueChangesNothing) {
  expect_rows(policy_of({}, {"0.0.0.0/0"}, true), {{tls("1.1.1.1"), false}});
}

TEST(Decide, Net14AllowsAddressesAndRangesThroughABlock) {
  expect_rows(policy_of({"1.1.1.1", "8.8.8.0/24"}, {"0.0.0.0/0"}),
              {{tls("1.1.1.1"), true, "allowOut[0]=1.1.1.1"},
               {tls("8.8.8.8"), true, "allowOut[1]=8.8.8.0/24"},
               {tls("8.8.8.4"), true},
               {udp("8.8.8.8", 53), true},
               {tls("9.9.9.9"), false, "denyOut[0]=0.0.0.0/0"},
               {udp("9.9.9.9", 53), false}});
}

TEST(Decide, Net15DenyingOneAddressLeavesTheRestOpen) {
  expect_rows(policy_of({}, {"8.8.8.8"}), {{tls("8.8.8.8"), false, "denyOut[0]=8.8.8.8"},
                                           {udp("8.8.8.8", 53), false},
                                           {tls("1.1.1.1"), true, "default"}});
}

TEST(Compile, Net17TheConstantsNameIsNoValue) {
  EXPECT_EQ(error_of({}, {"ALL_TRAFFIC"}), "invalid denied CIDR ALL_TRAFFIC");
}

TEST(Decide, Net18AnAllowListAloneRestrictsNothing) {
  Policy policy = policy_of({"8.8.8.8"}, {});
  expect_rows(policy, {{tls("1.1.1.1"), true, "default"}, {udp("1.1.1.1", 53), true}});
  EXPECT_FALSE(policy.restricts());
}

TEST(Decide, Net19EmptyListsRestrictNothing) {
  EXPECT_FALSE(policy_of({}, {}).restricts());
  expect_rows(policy_of({}, {}), {{tls("1.1.1.1"), true, "default"}});
}

TEST(Decide, Net20ADeniedRangeIsBlockedWhole) {
  expect_rows(policy_of({}, {"1.1.1.0/24"}), {{tls("1.1.1.1"), false},
                                              {tls("1.1.1.2"), false},
                                              {tls("1.1.1.255"), false},
                                              {tls("1.1.2.0"), true},
                                              {tls("8.8.8.8"), true}});
}

TEST(Decide, Net21AllowingEverythingBeatsDenyingEverything) {
  for (const List& allow :
       {List{"0.0.0.0/0"}, List{"0.0.0.0/0", "0.0.0.0/0"}, List{"8.8.8.8", "0.0.0.0/0"}}) {
    expect_rows(policy_of(allow, {"0.0.0.0/0"}), {{tls("8.8.8.8"), true},
                                                  {tls("1.1.1.1"), true},
                                                  {udp("9.9.9.9", 7777), true},
                                                  {tls("10.0.0.1"), false, "internal"}});
  }
}

TEST(Decide, Net22RangesMayReachTheLastAddress) {
  expect_rows(policy_of({}, {"240.0.0.0/4", "255.255.255.255/32", "128.0.0.0/1"}),
              {{tls("191.255.255.255"), false, "denyOut[2]=128.0.0.0/1"},
               {tls("127.255.255.255"), false, "internal"},
               {tls("93.184.216.34"), true}});
}

TEST(Decide, Net23RangesOfOneListMayOverlap) {
  expect_rows(policy_of({}, {"10.0.0.0/8", "10.1.0.0/16", "1.1.1.0/24", "1.1.1.1", "1.1.1.1"}),
              {{tls("1.1.1.1"), false, "denyOut[2]=1.1.1.0/24"}, {tls("1.1.2.1"), true}});
}

TEST(Decide, TheLengthOfARangeMayHaveLeadingZeros) {
  for (const char* range : {"8.8.8.0/024", "8.8.8.0/00024", "::ffff:8.8.8.0/0120"}) {
    Policy policy = policy_of({}, {range});
    expect_rows(policy, {{tls("8.8.8.9"), false}, {tls("8.8.9.8"), true}});
    EXPECT_EQ(error_of({range}, {}), "(accepted)") << range << " is no domain";
  }
}

TEST(Decide, Net24HostBitsOfARangeAreMasked) {
  Policy policy = policy_of({"8.8.8.9/24", "77.77.77.77/9"}, {"0.0.0.0/0"});
  expect_rows(policy, {{tls("8.8.8.1"), true, "allowOut[0]=8.8.8.9/24"},
                       {tls("8.8.9.1"), false},
                       {tls("77.0.0.1"), true},
                       {tls("77.128.0.1"), false}});
  EXPECT_EQ(to_string(policy.allowed()[0].range), "8.8.8.0/24");
  EXPECT_EQ(to_string(policy.allowed()[1].range), "77.0.0.0/9");
}

TEST(Decide, Net25AddressRulesCoverEveryPortAndProtocol) {
  Policy policy = policy_of({"8.8.8.8"}, {"0.0.0.0/0"});
  for (std::uint16_t port : std::initializer_list<std::uint16_t>{80, 443, 22, 9000})
    expect_rows(policy, {{tcp("8.8.8.8", port), true}});
  expect_rows(policy, {{udp("8.8.8.8", 53), true},
                       {udp("8.8.8.8", 7777), true},
                       {{{8, 8, 8, 8}, 0, Protocol::kIcmp}, true},
                       {{{8, 8, 8, 8}, 0, Protocol::kOther}, true},
                       {{{1, 1, 1, 1}, 0, Protocol::kOther}, false}});
}

TEST(Decide, Net26ANameInTheAllowListIsReachedByName) {
  Policy policy = policy_of({"google.com"}, {"0.0.0.0/0"});
  Decision decision = decide(policy, tls("142.250.0.1", "google.com"));
  EXPECT_TRUE(decision.by_name());
  EXPECT_EQ(decision.match, MatchType::kDomain);
  EXPECT_EQ(decision.rule, "allowOut[0]=google.com");
  expect_rows(policy, {{tls("104.16.1.1", "cloudflare.com"), false, "denyOut[0]=0.0.0.0/0"}});
}

TEST(Compile, Net28TheDenyListTakesNoDomains) {
  EXPECT_EQ(error_of({}, {"example.com"}), "invalid denied CIDR example.com");
  EXPECT_EQ(error_of({}, {"0.0.0.0/0", "example.com"}), "invalid denied CIDR example.com");
  EXPECT_EQ(error_of({"example.com"}, {"0.0.0.0/0", "*.x.com"}), "invalid denied CIDR *.x.com");
}

TEST(Decide, Net29Net30WithADomainTheNameserverIsAllowedWhole) {
  expect_rows(policy_of({"example.com"}, {"0.0.0.0/0"}), {{udp("8.8.8.8", 53), true, "nameserver"},
                                                          {tcp("8.8.8.8", 53), true, "nameserver"},
                                                          {tls("8.8.8.8"), true, "nameserver"},
                                                          {udp("1.1.1.1", 53), false},
                                                          {udp("8.8.8.9", 53), false}});
}

TEST(Decide, Net31WithoutADomainTheNameserverIsNotAllowed) {
  expect_rows(policy_of({"1.1.1.1"}, {"0.0.0.0/0"}), {{udp("8.8.8.8", 53), false}});
}

TEST(Compile, Net36ADomainNeedsTheBlockOfEverything) {
  EXPECT_EQ(error_of({"example.com"}, {}), kNeedsBlockAll);
  EXPECT_EQ(error_of({"example.com"}, {"1.1.1.1"}), kNeedsBlockAll);
  EXPECT_EQ(error_of({"example.com"}, {"1.0.0.0/1", "128.0.0.0/1"}), kNeedsBlockAll);
  EXPECT_EQ(error_of({"*.example.com"}, {}), kNeedsBlockAll);
  EXPECT_EQ(error_of({"8.8.8.8", "example.com"}, {}), kNeedsBlockAll);
  EXPECT_EQ(error_of({"example.com"}, {"1.1.1.1", "0.0.0.0/0"}), "(accepted)");
}

TEST(Decide, Net38NamesAddressesAndRangesMixInOneList) {
  expect_rows(policy_of({"api.example.com", "*.github.com", "8.8.8.8"}, {"0.0.0.0/0"}),
              {{tls("93.184.216.34", "api.example.com"), true, "allowOut[0]=api.example.com"},
               {tls("140.82.112.3", "api.github.com"), true, "allowOut[1]=*.github.com"},
               {tls("140.82.112.3", "a.b.github.com"), true},
               {tls("8.8.8.8"), true, "allowOut[2]=8.8.8.8"},
               {tls("140.82.112.3", "github.com"), false},
               {tls("93.184.216.34", "example.com"), false},
               {tls("1.1.1.1"), false}});
}

TEST(Decide, Net39ABareStarAllowsWhateverHasAName) {
  expect_rows(policy_of({"*"}, {"0.0.0.0/0"}), {{tls("142.250.0.1", "google.com"), true},
                                                {tls("1.1.1.1"), false},
                                                {tcp("142.250.0.1", 22), false},
                                                {udp("142.250.0.1", 443, "google.com"), false}});
}

TEST(Decide, Net40Net41Net43NamesCountOnTcp80And443Only) {
  expect_rows(policy_of({"example.com"}, {"0.0.0.0/0"}),
              {{tcp("93.184.216.34", 80, "example.com"), true},
               {tcp("93.184.216.34", 443, "example.com"), true},
               {tcp("93.184.216.34", 8080, "example.com"), false},
               {tcp("93.184.216.34", 8443, "example.com"), false},
               {udp("93.184.216.34", 443, "example.com"), false}});
}

TEST(Decide, Net42OtherPortsFallBackToAddresses) {
  expect_rows(policy_of({"example.com", "93.184.216.34/32"}, {"0.0.0.0/0"}),
              {{tcp("93.184.216.34", 8443, "example.com"), true},
               {tcp("93.184.216.34", 22), true},
               {udp("93.184.216.34", 443), true}});
}

TEST(Decide, Net44WithoutANameOnlyAddressesSpeak) {
  expect_rows(policy_of({"cloudflare.com"}, {"0.0.0.0/0"}), {{tls("1.1.1.1"), false}});
}

TEST(Decide, Net54AllowBeatsDeny) {
  expect_rows(policy_of({"1.1.1.1"}, {"1.1.1.1"}), {{tls("1.1.1.1"), true, "allowOut[0]=1.1.1.1"}});
}

TEST(Decide, Net55AllowBeatsDenyHoweverSpecific) {
  expect_rows(policy_of({"8.8.8.0/24"}, {"8.8.8.8"}), {{tls("8.8.8.8"), true}});
}

TEST(Decide, Net56AnAllowedNameBeatsADeniedAddress) {
  expect_rows(policy_of({"example.com"}, {"0.0.0.0/0", "93.184.216.34"}),
              {{tls("93.184.216.34", "example.com"), true, "allowOut[0]=example.com"}});
}

TEST(Decide, InternalRangesAreDeniedWhateverTheListsAllow) {
  Policy policy = policy_of({"*", "0.0.0.0/0", "10.0.0.0/8"}, {"0.0.0.0/0"});
  for (const char* address : {"10.0.0.1", "10.255.255.255", "100.64.0.1", "100.127.255.255",
                              "127.0.0.1", "169.254.169.254", "172.16.0.1", "172.31.255.255",
                              "192.168.1.1", "0.0.0.0", "224.0.0.1", "255.255.255.255"}) {
    Decision decision = decide(policy, tls(address, "example.com"));
    EXPECT_FALSE(decision.allowed) << address;
    EXPECT_EQ(decision.match, MatchType::kInternal) << address;
  }
  for (const char* address : {"9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0",
                              "172.15.255.255", "172.32.0.0", "192.167.255.255", "198.18.0.1"}) {
    EXPECT_TRUE(decide(policy, tls(address, "example.com")).allowed) << address;
  }
}

TEST(Decide, TheMachinesOwnPublicAddressIsInternal) {
  Destination destination = tls("198.51.100.7", "example.com");
  destination.machine_local = true;
  EXPECT_FALSE(decide(policy_of({"*"}, {"0.0.0.0/0"}), destination).allowed);
  EXPECT_FALSE(decide(Policy(), destination).allowed);
}

TEST(Compile, RefusesEveryDeniedEntryThatIsNoAddress) {
  for (const char* entry : {"not-a-cidr",
                            "",
                            "example.com",
                            "1.2.3.4:80",
                            "1.2.3",
                            "1.2.3.4/33",
                            "1.2.3.4/",
                            "1.2.3.4/-1",
                            "1.2.3.4/1/2",
                            "010.0.0.1",
                            " 8.8.8.8",
                            "8.8.8.8 ",
                            "fe80::1%eth0",
                            "2001:db8::/129",
                            "0.0.0.0",
                            "0.0.0.0/8",
                            "0.0.0.0/32",
                            "0.0.0.0/00",
                            "::",
                            "::/0",
                            "::/128",
                            "::ffff:0.0.0.0",
                            "::ffff:0.0.0.0/96"}) {
    EXPECT_EQ(error_of({}, {entry}), std::string("invalid denied CIDR ") + entry);
  }
}

TEST(Compile, RefusesAllowedEntriesThatAreUnspecified) {
  for (const char* entry : {"0.0.0.0", "0.0.0.0/24", "0.0.0.0/8", "::", "::/0", "::ffff:0.0.0.0"}) {
    EXPECT_EQ(error_of({entry}, {}), std::string("invalid allowed address ") + entry);
  }
}

TEST(Compile, TakesAnythingElseInTheAllowListForADomainThatNeverMatches) {
  for (const char* entry : {"", "exa mple", "http://x.com", "x.com:443", "1.2.3.4:80", "a.*.com",
                            "x*.com", "*x.com", "*.", "*.*.com"}) {
    EXPECT_EQ(error_of({entry}, {}), kNeedsBlockAll) << entry;
    Policy policy = policy_of({entry}, {"0.0.0.0/0"});
    EXPECT_EQ(policy.ineffective(), List{std::string("allowOut[0]=") + entry});
    expect_rows(policy, {{tls("93.184.216.34", "x.com"), false}, {tls("1.2.3.4"), false}});
  }
}

TEST(Compile, AcceptsIpv6WithoutEffectAndTakesMappedAddressesForIpv4) {
  Policy policy = policy_of({"2001:db8::1", "::ffff:8.8.8.8"}, {"2001:db8::/32", "0.0.0.0/0"});
  EXPECT_EQ(policy.ineffective(), (List{"allowOut[0]=2001:db8::1", "denyOut[0]=2001:db8::/32"}));
  expect_rows(policy, {{tls("8.8.8.8"), true, "allowOut[1]=::ffff:8.8.8.8"},
                       {tls("1.1.1.1"), false, "denyOut[1]=0.0.0.0/0"}});
  expect_rows(policy_of({}, {"::ffff:1.1.1.0/120"}),
              {{tls("1.1.1.9"), false}, {tls("1.1.2.9"), true}});
}

TEST(Compile, TheFirstErrorWinsDeniedBeforeAllowedBeforeDomains) {
  EXPECT_EQ(error_of({"0.0.0.0", "example.com"}, {"bad", "worse"}), "invalid denied CIDR bad");
  EXPECT_EQ(error_of({"example.com", "0.0.0.0", "::"}, {"1.1.1.1"}),
            "invalid allowed address 0.0.0.0");
  EXPECT_EQ(error_of({"example.com"}, {"1.1.1.1"}), kNeedsBlockAll);
}

TEST(Compile, ListsHaveALimit) {
  List most(kMaxPolicyEntries, "1.1.1.1");
  EXPECT_EQ(error_of({}, most), "(accepted)");
  EXPECT_EQ(error_of({"8.8.8.8"}, most), "network lists can have at most 4096 entries");
}

TEST(Policy, ClosedLetsNothingOut) {
  expect_rows(Policy::closed(),
              {{tls("93.184.216.34", "example.com"), false}, {udp("8.8.8.8", 53), false}});
}

TEST(Decide, TracesWhatItLookedAtAndDecidesTheSame) {
  auto policy = Policy::compile({{"*.x.test", "9.9.9.9"}, {"1.1.1.1", "0.0.0.0/0"}});
  ASSERT_TRUE(policy);
  auto rules = [&](const Destination& destination) {
    Trace trace;
    Decision decision = decide(*policy, destination, &trace);
    Decision plain = decide(*policy, destination);
    EXPECT_EQ(decision.allowed, plain.allowed);
    EXPECT_EQ(decision.rule, plain.rule);
    std::vector<std::string> text;
    for (const TraceStep& step : trace) {
      EXPECT_EQ(step.matched, &step == &trace.back()) << step.rule;
      text.push_back(step.rule);
    }
    return text;
  };
  using Rules = std::vector<std::string>;
  EXPECT_EQ(rules({{10, 0, 0, 1}, 443}), Rules{"internal"});
  EXPECT_EQ(rules({{8, 8, 4, 4}, 443, Protocol::kTcp, "a.x.test"}),
            (Rules{"internal", "allowOut[0]=*.x.test"}));
  EXPECT_EQ(rules({{8, 8, 4, 4}, 443, Protocol::kTcp, "x.test"}),
            (Rules{"internal", "allowOut[0]=*.x.test", "allowOut[1]=9.9.9.9", "nameserver",
                   "denyOut[0]=1.1.1.1", "denyOut[1]=0.0.0.0/0"}));
  EXPECT_EQ(rules({{9, 9, 9, 9}, 53, Protocol::kUdp}),
            (Rules{"internal", "domains of allowOut: they count on TCP 80 and 443 only",
                   "allowOut[1]=9.9.9.9"}));
}

}  // namespace
}  // namespace netfilter
