// The lists of a network policy are checked twice, because the two layers must not know one
// another: by fakeapi/cloud, which answers, and by netfilter, whose check counts. Here both get the
// same tables and must say the same (contract-network 1.9).
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "fakeapi/cloud/network_options.h"
#include "netfilter/policy.h"

namespace emulator::sandboxes {
namespace {

using List = std::vector<std::string>;

template <class T>
std::string verdict(const base::Result<T>& result) {
  return result ? "accepted" : result.error().message();
}

std::string of_the_api(const List& allow, const List& deny) {
  fakeapi::cloud::NetworkOptions options;
  options.allow_out = allow;
  options.deny_out = deny;
  return verdict(fakeapi::cloud::validate(options, {}));
}

std::string of_the_policy(const List& allow, const List& deny) {
  return verdict(netfilter::Policy::compile({allow, deny, true}));
}

// Addresses, what looks like one, names, and rubbish.
const List& entries() {
  static const List kEntries = {
      "8.8.8.8",
      "8.8.8.9/24",
      "8.8.8.8/0",
      "8.8.8.8/32",
      "8.8.8.8/33",
      "8.8.8.8/-1",
      "8.8.8.8/+1",
      "8.8.8.8/08",
      "8.8.8.8/00",
      "8.8.8.8/",
      "8.8.8.8/ 8",
      "8.8.8.8/8 ",
      "8.8.8.8/8/8",
      "8.8.8.8/999999999999999999999",
      "0.0.0.0/0",
      "0.0.0.0",
      "0.0.0.0/1",
      "0.0.0.0/8",
      "0.0.0.0/32",
      "0.0.0.0/33",
      "00.0.0.0/0",
      "0.0.0.0/00",
      "255.255.255.255",
      "255.255.255.255/32",
      "240.0.0.0/4",
      "10.0.0.0/8",
      "127.0.0.1",
      "1.2.3",
      "1.2.3/24",
      "1.2.3.4.5",
      "1.2.3.256",
      "1.2.3.4:80",
      "010.0.0.1",
      "1.2.3.04",
      "0x8.8.8.8",
      "134744072",
      "1.2.3.-4",
      " 8.8.8.8",
      "8.8.8.8 ",
      "8.8.8.8\n",
      "8.8.8.8\t/24",
      "::",
      "::/0",
      "::/128",
      "::/129",
      "0:0:0:0:0:0:0:0",
      "::1",
      "2001:db8::1",
      "2001:db8::/32",
      "2001:db8::/032",
      "2001:db8::1/128",
      "2001:db8::1/129",
      "2001:DB8::A",
      "fe80::1%eth0",
      "fe80::1%1",
      "fe80::1%",
      "::%1",
      "::ffff:8.8.8.8",
      "::ffff:8.8.8.8/96",
      "::ffff:8.8.8.8/120",
      "::ffff:8.8.8.8/95",
      "::ffff:0.0.0.0",
      "::ffff:0:0",
      "::ffff:0.0.0.0/96",
      "::ffff:1.2.3",
      "::ffff:010.0.0.1",
      "::8.8.8.8",
      "[2001:db8::1]",
      ":::",
      "1::2::3",
      "12345::",
      "",
      "/",
      "/24",
      "*",
      "*.",
      "*.example.com",
      "*x.com",
      "a.*.com",
      "*.*.com",
      "example.com",
      "EXAMPLE.com.",
      "example.com/24",
      "example.com:443",
      "http://x.com",
      "exa mple",
      "exämple.com",
      "ALL_TRAFFIC",
      "localhost",
      "a..b",
      ".",
      std::string("8.8.8.8\0", 8),
      std::string("8.8.8.8\0/24", 11),
      std::string("::\0", 3),
      std::string("\0", 1),
  };
  return kEntries;
}

TEST(NetworkLists, BothChecksSayTheSameOfEveryEntryInEveryPlace) {
  for (const std::string& entry : entries()) {
    struct Lists {
      List allow;
      List deny;
    };
    for (const Lists& lists : {
             Lists{{entry}, {}},
             Lists{{entry}, {"0.0.0.0/0"}},
             Lists{{entry}, {"1.1.1.0/24"}},
             Lists{{}, {entry}},
             Lists{{}, {"0.0.0.0/0", entry}},
             Lists{{"example.com"}, {entry}},
             Lists{{"0.0.0.0", entry}, {"0.0.0.0/0"}},
         }) {
      EXPECT_EQ(of_the_api(lists.allow, lists.deny), of_the_policy(lists.allow, lists.deny))
          << '"' << entry << '"' << " allow " << lists.allow.size() << " deny "
          << lists.deny.size();
    }
  }
}

TEST(NetworkLists, BothChecksSayTheSameOfEveryPairOfEntries) {
  for (const std::string& one : entries()) {
    for (const std::string& other : entries()) {
      EXPECT_EQ(of_the_api({one}, {other}), of_the_policy({one}, {other}))
          << '"' << one << "\" and \"" << other << '"';
    }
  }
}

TEST(NetworkLists, BothChecksCountAlike) {
  for (std::size_t size : {4095U, 4096U, 4097U}) {
    List many(size, "8.8.8.8");
    EXPECT_EQ(of_the_api(many, {}), of_the_policy(many, {})) << size;
    EXPECT_EQ(of_the_api({"bad"}, many), of_the_policy({"bad"}, many)) << size;
  }
}

// So that the tests above do not compare two checks that accept everything.
TEST(NetworkLists, TheTableHasBothKinds) {
  std::size_t accepted = 0;
  for (const std::string& entry : entries()) {
    if (of_the_api({}, {entry}) == "accepted") ++accepted;
  }
  EXPECT_GT(accepted, 15U);
  EXPECT_LT(accepted, entries().size() / 2);
}

}  // namespace
}  // namespace emulator::sandboxes
