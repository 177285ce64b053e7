// Names, addresses and which of two wins.
#include "emulator/fakenet/hosts.h"

#include <gtest/gtest.h>

#include "emulator/fakenet/host_file.h"

namespace emulator::fakenet {
namespace {

Hosts hosts_of(std::string_view json) {
  auto list = parse_hosts(json);
  EXPECT_TRUE(list) << list.error().message();
  auto hosts = Hosts::make(std::move(*list));
  EXPECT_TRUE(hosts) << hosts.error().message();
  return std::move(*hosts);
}

std::string first(const Resolution& resolution) {
  return resolution.addresses.empty() ? "" : netfilter::to_string(resolution.addresses[0]);
}

TEST(Hosts, AnExactNameBeatsAWildcardAndALongerWildcardAShorterOne) {
  Hosts hosts = hosts_of(R"({"hosts": [
    {"names": ["*.acme.test"], "addresses": ["192.0.2.1"]},
    {"names": ["*.eu.acme.test"], "addresses": ["192.0.2.2"]},
    {"names": ["api.eu.acme.test"], "addresses": ["192.0.2.3"]}]})");
  EXPECT_EQ(first(hosts.resolve("x.acme.test")), "192.0.2.1");
  EXPECT_EQ(first(hosts.resolve("a.b.acme.test")), "192.0.2.1");
  EXPECT_EQ(first(hosts.resolve("x.y.eu.acme.test")), "192.0.2.2");
  EXPECT_EQ(first(hosts.resolve("api.eu.acme.test")), "192.0.2.3");
}

TEST(Hosts, AWildcardIsNeitherTheApexNorALookalike) {
  Hosts hosts = hosts_of(R"({"hosts": [{"names": ["*.acme.test"]}]})");
  EXPECT_EQ(hosts.resolve("acme.test").rcode, dns::Rcode::kNoSuchName);
  EXPECT_EQ(hosts.resolve("notacme.test").rcode, dns::Rcode::kNoSuchName);
  EXPECT_EQ(hosts.resolve("").rcode, dns::Rcode::kNoSuchName);
}

TEST(Hosts, ASequenceMovesOnWithEveryQuestionForAnAddress) {
  Hosts hosts = hosts_of(R"({"dns": {
    "flip.test": {"sequence": [["192.0.2.1"], ["10.0.0.1"]]}}})");
  EXPECT_EQ(first(hosts.resolve("flip.test")), "192.0.2.1");
  EXPECT_EQ(first(hosts.resolve("flip.test", false)), "10.0.0.1");
  EXPECT_EQ(first(hosts.resolve("flip.test")), "10.0.0.1");
  EXPECT_EQ(first(hosts.resolve("flip.test")), "192.0.2.1");
  EXPECT_EQ(hosts.resolve("flip.test").ttl, 0U);
}

TEST(Hosts, OneAddressOrNameCannotBeTwoHosts) {
  auto twice =
      parse_hosts(R"({"hosts": [{"addresses": ["192.0.2.1"]}, {"addresses": ["192.0.2.1"]}]})");
  ASSERT_TRUE(twice);
  auto hosts = Hosts::make(std::move(*twice));
  ASSERT_FALSE(hosts);
  EXPECT_NE(hosts.error().message().find("192.0.2.1 is there twice"), std::string::npos);
}

TEST(Hosts, AFileTakesNamesAndAddressesFromTheBuiltInHosts) {
  auto base = parse_hosts(R"({"hosts": [
    {"names": ["a.test", "b.test"], "addresses": ["192.0.2.1", "192.0.2.2"]},
    {"names": ["c.test"], "addresses": ["192.0.2.3"]}],
    "dns": {"d.test": ["192.0.2.3"]}})");
  auto over = parse_hosts(R"({"hosts": [
    {"names": ["a.test", "d.test"], "addresses": ["192.0.2.2"]},
    {"addresses": ["192.0.2.3"]}]})");
  ASSERT_TRUE(base && over);
  auto hosts = Hosts::make(layered(std::move(*base), std::move(*over)));
  ASSERT_TRUE(hosts) << hosts.error().message();
  EXPECT_EQ(first(hosts->resolve("a.test")), "192.0.2.2");
  EXPECT_EQ(first(hosts->resolve("b.test")), "192.0.2.1");
  EXPECT_EQ(first(hosts->resolve("d.test")), "192.0.2.2");
  // Nothing but a name was left of it.
  EXPECT_EQ(hosts->resolve("c.test").rcode, dns::Rcode::kNoSuchName);
}

TEST(Hosts, ServeTheNamesThatTheDnsSendsToThem) {
  Hosts hosts = hosts_of(R"({"hosts": [
    {"names": ["*.acme.test"], "addresses": ["192.0.2.1"]}, {"names": ["b.test"]}],
    "dns": {"alias.test": ["192.0.2.1"]}})");
  const Host& host = *hosts.at({192, 0, 2, 1});
  EXPECT_TRUE(hosts.serves(host, "x.acme.test"));
  EXPECT_TRUE(hosts.serves(host, "alias.test"));
  EXPECT_FALSE(hosts.serves(host, "b.test"));
  EXPECT_FALSE(hosts.serves(host, "nobody.test"));
}

TEST(Hosts, TheFirstRouteThatMatchesAnswers) {
  Hosts hosts = hosts_of(R"({"hosts": [{"names": ["a.test"], "routes": [
    {"method": "POST", "path": "/v1/x", "status": 201},
    {"path": "/v1/*", "status": 202}, {"method": "GET", "path": "/", "status": 203}]}]})");
  const Host& host = hosts.all()[0];
  EXPECT_EQ(host.route("POST", "/v1/x")->status, 201);
  EXPECT_EQ(host.route("GET", "/v1/x")->status, 202);
  EXPECT_EQ(host.route("HEAD", "/")->status, 203);
  EXPECT_EQ(host.route("POST", "/"), nullptr);
  EXPECT_EQ(host.route("GET", "/other"), nullptr);
}

}  // namespace
}  // namespace emulator::fakenet
