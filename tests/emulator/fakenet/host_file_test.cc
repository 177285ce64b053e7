// The file is read strictly: what is wrong is named with its place.
#include "emulator/fakenet/host_file.h"

#include <filesystem>

#include <gtest/gtest.h>

#include "emulator/base/posix.h"

namespace emulator::fakenet {
namespace {

void expect_refusal(std::string_view json, std::string_view message) {
  auto list = parse_hosts(json);
  ASSERT_FALSE(list) << json;
  EXPECT_EQ(list.error().code(), base::Errc::kInvalidArgument);
  EXPECT_NE(list.error().message().find(message), std::string::npos)
      << list.error().message() << "\n"
      << json;
}

TEST(HostFile, ReadsEverythingThatAHostCanSay) {
  auto list = parse_hosts(R"({
    // Comments are fine.
    "defaults": false,
    "hosts": [{
      "names": ["API.Acme.test.", "*.acme.test"], "addresses": ["192.0.2.7"], "delayMs": 5,
      "ports": {"443": "https", "tcp/5432": {"type": "banner", "text": "hi\n", "delayMs": 10},
                "udp/53": "dns", "9": {"type": "echo", "atEnd": "bye"}},
      "routes": [{"method": "POST", "path": "/a", "status": 418, "headers": {"X": "y"}, "json": {"b": [1]}},
                 {"path": "/slow", "delayMs": 20, "reset": true}]}],
    "dns": {"x.test": ["192.0.2.7"], "y.test": {"rcode": "SERVFAIL", "delayMs": 30}}})");
  ASSERT_TRUE(list) << list.error().message();
  EXPECT_FALSE(list->defaults);
  const Host& host = list->hosts.at(0);
  EXPECT_EQ(host.names, (std::vector<std::string>{"api.acme.test", "*.acme.test"}));
  EXPECT_EQ(host.tcp.size(), 3U);
  EXPECT_EQ(host.tcp.at(5432).text, "hi\n");
  EXPECT_EQ(host.tcp.at(5432).delay.count(), 15);
  EXPECT_EQ(host.tcp.at(9).at_end, "bye");
  EXPECT_EQ(host.udp.at(53).kind, ServiceKind::kDns);
  EXPECT_EQ(host.routes.at(0).status, 418);
  EXPECT_EQ(host.routes.at(0).body, "{\"b\":[1]}");
  EXPECT_TRUE(host.routes.at(1).reset);
  EXPECT_EQ(list->records.at(1).rcode, dns::Rcode::kServerFailure);
}

TEST(HostFile, GivesAddressesToThoseThatHaveNone) {
  auto list = parse_hosts(R"({"hosts": [{"names": ["a.test"]}, {"names": ["b.test"]}]})");
  ASSERT_TRUE(list);
  EXPECT_EQ(netfilter::to_string(list->hosts[0].addresses.at(0)), "198.19.0.1");
  EXPECT_EQ(netfilter::to_string(list->hosts[1].addresses.at(0)), "198.19.0.2");
  EXPECT_EQ(list->hosts[0].tcp.at(443).kind, ServiceKind::kHttps);
}

TEST(HostFile, GivesNoAddressThatAnotherHostHas) {
  auto list = parse_hosts(R"({"hosts": [
    {"names": ["a.test"]}, {"names": ["b.test"], "addresses": ["198.19.0.1", "198.19.0.3"]},
    {"names": ["c.test"]}]})");
  ASSERT_TRUE(list);
  EXPECT_EQ(netfilter::to_string(list->hosts[0].addresses.at(0)), "198.19.0.2");
  EXPECT_EQ(netfilter::to_string(list->hosts[2].addresses.at(0)), "198.19.0.4");
  EXPECT_TRUE(Hosts::make(std::move(*list)));
}

TEST(HostFile, AJsonAnswerHasTheTypeThatItsRouteSays) {
  auto list = parse_hosts(R"({"hosts": [{"names": ["a.test"], "routes": [
    {"headers": {"content-type": "application/problem+json"}, "json": {}}, {"json": {}}]}]})");
  ASSERT_TRUE(list);
  using Headers = std::vector<std::pair<std::string, std::string>>;
  EXPECT_EQ(list->hosts[0].routes[0].headers,
            (Headers{{"content-type", "application/problem+json"}}));
  EXPECT_EQ(list->hosts[0].routes[1].headers, (Headers{{"Content-Type", "application/json"}}));
}

TEST(HostFile, NamesMayBeAsLongAsTheDnsCarries) {
  std::string label(63, 'a');
  auto names = [](const std::string& name) {
    return R"({"hosts": [{"names": [")" + name + "\"]}]}";
  };
  std::string longest = label + "." + label + "." + label + "." + std::string(61, 'b');
  EXPECT_TRUE(parse_hosts(names(longest)));
  EXPECT_TRUE(parse_hosts(names("*." + label)));
  expect_refusal(names(longest + "b"), "is no host name");
  expect_refusal(names(label + "a.test"), "is no host name");
  expect_refusal(names("*." + label + "a"), "is no host name");
  for (const char* name : {"", "*", "*.", ".a", "a..b", "a.test..", "*.*.a"})
    expect_refusal(names(name), "is no host name");
  expect_refusal(names("203.0.113.7"), "'203.0.113.7' is an address");
}

TEST(HostFile, RefusesWhatWouldHaveNoEffect) {
  auto route = [](const std::string& text) {
    return R"({"hosts": [{"names": ["a.test"], "routes": [{)" + text + "}]}]}";
  };
  for (const char* status : {"4294967496", "18446744073709551615", "-200", "200.5", "600", "199"})
    expect_refusal(route(R"("status": )" + std::string(status)),
                   "hosts[0].routes[0].status: must be a number from 200 to 599");
  expect_refusal(route(R"("path": "/q?x=1")"), "routes[0].path: '/q?x=1' is no path");
  expect_refusal(route(R"("path": "/a#b")"), "is no path");
  expect_refusal(route(R"("path": "/a b")"), "is no path");
  expect_refusal(route(R"("path": "/\u00e9")"), "is no path");
  expect_refusal(route(R"("path": "/*/b")"), "a '*' stands for the rest, at the end");
  expect_refusal(route(R"("method": "get")"), "routes[0].method: 'get' is no method");
  expect_refusal(route(R"("method": "G T")"), "is no method");
  for (const char* name : {"", "a b", "a:", "\\u00e9"})
    expect_refusal(route(R"("headers": {")" + std::string(name) + R"(": "x"})"), "is no header");
  expect_refusal(route(R"("headers": {"a": "\u0000"})"), "is no header");
  for (const char* name : {"transfer-encoding", "Content-Length", "Connection", "Keep-Alive"})
    expect_refusal(route(R"("headers": {")" + std::string(name) + R"(": "1"})"),
                   "hosts[0].routes[0].headers: '" + std::string(name) + "' is what the server");
  expect_refusal(route(R"("status": 204, "body": "x")"), "an answer 204 has no body");
  auto ports = [](const std::string& text) {
    return R"({"hosts": [{"names": ["a.test"], "ports": {)" + text + "}}]}";
  };
  expect_refusal(ports(R"("9": {"type": "echo", "text": "x"})"), "ports.9: 'text' is for a banner");
  expect_refusal(ports(R"("9": "banner")"), "ports.9: a banner needs 'text'");
  expect_refusal(ports(R"("9": {"type": "silent", "atEnd": "x"})"), "'atEnd' is for an echo");
  expect_refusal(ports(R"("udp/9": {"type": "echo", "atEnd": "x"})"), "'atEnd' is for an echo");
  expect_refusal(ports(R"("9": "echo", "tcp/9": "silent")"), "'tcp/9' is there twice");
  EXPECT_TRUE(
      parse_hosts(ports(R"("9": "echo", "udp/9": "echo", "443": "http", "defaults": true)")));
  expect_refusal(
      R"({"hosts": [{"names": ["a.test"], "ports": {"9": "echo"}, "routes": [{"path": "/"}]}]})",
      "hosts[0]: has 'routes' and no http or https port");
  expect_refusal(R"({"dns": {"a.test": {"rcode": "SERVFAIL", "sequence": [["192.0.2.1"]]}}})",
                 "dns.a.test: has a 'sequence'");
  std::string many = R"("192.0.2.1")";
  for (int i = 0; i < 4000; ++i) many += R"(,"192.0.2.1")";
  expect_refusal(R"({"dns": {"a.test": [)" + many + "]}}", "dns.a.test: more than 4000 addresses");
}

TEST(HostFile, NamesThePlaceOfWhatIsWrong) {
  expect_refusal("[]", "the file: must be an object");
  expect_refusal("{", "parse error");
  expect_refusal(R"({"host": []})", "unknown key 'host'; known: defaults, hosts, dns");
  expect_refusal(R"({"hosts": {}})", "hosts: must be a list");
  expect_refusal(R"({"hosts": [{}]})", "hosts[0]: has neither 'names' nor 'addresses'");
  expect_refusal(R"({"hosts": [{"names": ["a.test"]}, {"names": ["ex ample"]}]})",
                 "hosts[1].names[0]: 'ex ample' is no host name");
  expect_refusal(R"({"hosts": [{"names": ["a,IP:1.2.3.4"]}]})", "is no host name");
  expect_refusal(R"({"hosts": [{"names": ["a.*.test"]}]})", "is no host name");
  expect_refusal(R"({"hosts": [{"addresses": ["127.0.0.1"]}]})", "'127.0.0.1' is no IPv4 address");
  expect_refusal(R"({"hosts": [{"addresses": ["1.2.3"]}]})", "hosts[0].addresses[0]");
  auto port = [](const std::string& text) {
    return R"({"hosts": [{"names": ["a.test"], "ports": {)" + text + "}}]}";
  };
  expect_refusal(port(R"("http": "http")"), "hosts[0].ports: 'http' is no port");
  expect_refusal(port(R"("70000": "http")"), "'70000' is no port");
  expect_refusal(port(R"("80": "htp")"), "hosts[0].ports.80: 'htp' is not one of: http, https");
  expect_refusal(port(R"("udp/80": "http")"), "UDP serves: dns, echo, silent");
  expect_refusal(port(R"("80": {"text": "x"})"), "has no 'type'");
  auto route = [](const std::string& text) {
    return R"({"hosts": [{"names": ["a.test"], "routes": [{)" + text + "}]}]}";
  };
  expect_refusal(route(R"("stauts": 200)"), "hosts[0].routes[0]: unknown key 'stauts'");
  expect_refusal(route(R"("status": 99)"), "hosts[0].routes[0].status: must be a number");
  expect_refusal(route(R"("path": "x")"), "must begin with '/'");
  expect_refusal(route(R"("headers": {"a": "b\r\nc: d"})"), "is no header");
  expect_refusal(route(R"("body": "a", "json": 1)"), "has both");
  expect_refusal(route(R"("delayMs": -1)"), "must be milliseconds");
  expect_refusal(R"({"dns": {"a.test": {"rcode": "MAYBE"}}})", "dns.a.test.rcode: 'MAYBE'");
  expect_refusal(R"({"dns": {"a.test": 1}})", "dns.a.test: must be an object");
}

TEST(HostFile, TheBuiltInHostsAreThoseThatTheVendorsPagesAndTestsName) {
  auto hosts = load_hosts("");
  ASSERT_TRUE(hosts) << hosts.error().message();
  for (const char* name :
       {"example.com", "api.example.com", "google.com", "www.google.com", "cloudflare.com",
        "github.com", "api.github.com", "deep.api.github.com", "a.b.mydomain.com", "mydomain.com",
        "notmydomain.com", "connectivitycheck.gstatic.com", "keyserver.ubuntu.com",
        "rebind.test"}) {
    Resolution resolution = hosts->resolve(name);
    ASSERT_EQ(resolution.addresses.size(), 1U) << name;
    EXPECT_NE(hosts->at(resolution.addresses[0]), nullptr) << name;
  }
  EXPECT_EQ(hosts->at({1, 1, 1, 1})->route("GET", "/")->status, 301);
  EXPECT_EQ(hosts->at({8, 8, 8, 8})->route("GET", "/")->status, 302);
  EXPECT_EQ(hosts->at({8, 8, 8, 8})->udp.at(53).kind, ServiceKind::kDns);
  EXPECT_EQ(netfilter::to_string(hosts->resolve("rebind.test").addresses[0]), "10.200.0.1");
  EXPECT_EQ(hosts->resolve("nobody.test").rcode, dns::Rcode::kNoSuchName);
}

TEST(HostFile, ComesOnTopOfTheBuiltInHostsUnlessItSaysOtherwise) {
  std::filesystem::path file =
      std::filesystem::temp_directory_path() / ("hosts-" + std::to_string(::getpid()) + ".json");
  ASSERT_TRUE(base::write_file(file, R"({"hosts": [{"names": ["example.com"]}]})"));
  auto both = load_hosts(file);
  ASSERT_TRUE(both) << both.error().message();
  EXPECT_EQ(netfilter::to_string(both->resolve("example.com").addresses[0]), "198.19.0.1");
  EXPECT_FALSE(both->resolve("github.com").addresses.empty());
  ASSERT_TRUE(
      base::write_file(file, R"({"defaults": false, "hosts": [{"names": ["example.com"]}]})"));
  auto alone = load_hosts(file);
  ASSERT_TRUE(alone);
  EXPECT_TRUE(alone->resolve("github.com").addresses.empty());
  ASSERT_TRUE(base::write_file(file, "{"));
  auto broken = load_hosts(file);
  ASSERT_FALSE(broken);
  EXPECT_NE(broken.error().message().find(file.string()), std::string::npos);
  std::filesystem::remove(file);
  EXPECT_FALSE(load_hosts(file));
}

TEST(HostFile, TomlSaysTheSameAsJson) {
  auto toml = parse_host_file(R"(
# Comments, of course.
defaults = false

[[hosts]]
names = ["API.Acme.test.", "*.acme.test"]
addresses = ["192.0.2.7"]
delayMs = 5
[hosts.ports]
443 = "https"
"tcp/5432" = {type = "banner", text = "hi\n", delayMs = 10}
"udp/53" = "dns"
[[hosts.routes]]
method = "POST"
path = "/a"
status = 418
headers = {X = "y"}
json = {b = [1, 2.5, true]}
[[hosts.routes]]
path = "/slow"
reset = true

[[hosts]]
names = ["b.test"]

[dns]
"x.test" = ["192.0.2.7"]
y.test = {rcode = "SERVFAIL", delayMs = 30}
)");
  ASSERT_FALSE(toml) << "a dotted key is a table in a table, not a name";
  EXPECT_NE(toml.error().message().find("dns.y: unknown key 'test'"), std::string::npos)
      << toml.error().message();

  toml = parse_host_file(R"(
defaults = false
[[hosts]]
names = ["API.Acme.test.", "*.acme.test"]
delayMs = 5
ports = {443 = "https", "tcp/5432" = {type = "banner", text = "hi\n", delayMs = 10}, "udp/53" = "dns"}
[[hosts.routes]]
path = "/a"
status = 418
json = {b = [1, 2.5, true]}
[[hosts]]
names = ["b.test"]
[dns]
"y.test" = {rcode = "SERVFAIL", delayMs = 30}
)");
  ASSERT_TRUE(toml) << toml.error().message();
  EXPECT_FALSE(toml->defaults);
  ASSERT_EQ(toml->hosts.size(), 2U);
  const Host& host = toml->hosts[0];
  EXPECT_EQ(host.names, (std::vector<std::string>{"api.acme.test", "*.acme.test"}));
  EXPECT_EQ(host.tcp.at(443).kind, ServiceKind::kHttps);
  EXPECT_EQ(host.tcp.at(5432).text, "hi\n");
  EXPECT_EQ(host.tcp.at(5432).delay.count(), 15);
  EXPECT_EQ(host.udp.at(53).kind, ServiceKind::kDns);
  EXPECT_EQ(host.routes.at(0).status, 418);
  EXPECT_EQ(host.routes.at(0).body, "{\"b\":[1,2.5,true]}");
  EXPECT_EQ(toml->records.at(0).rcode, dns::Rcode::kServerFailure);
}

TEST(HostFile, IsJsonWhenItLooksLikeIt) {
  for (const char* json : {"{}", "  \n{}", "// a comment\n{}", "/* one */ {\"hosts\": []}"})
    EXPECT_TRUE(parse_host_file(json)) << json;
  for (const char* toml : {"", "# nothing\n", "[dns]\n", "[[hosts]]\nnames=['a.test']\n"})
    EXPECT_TRUE(parse_host_file(toml)) << toml;
  EXPECT_FALSE(parse_host_file("[]"));
  EXPECT_FALSE(parse_host_file("[{}]"));
}

TEST(HostFile, NamesThePlaceInToml) {
  auto expect = [](std::string_view text, std::string_view message) {
    auto list = parse_host_file(text);
    ASSERT_FALSE(list) << text;
    EXPECT_EQ(list.error().code(), base::Errc::kInvalidArgument);
    EXPECT_NE(list.error().message().find(message), std::string::npos) << list.error().message();
  };
  expect("defaults = yes\n", "line 1, column");
  expect("a = 1\n[[hosts]\n", "line 2, column");
  expect("[[hosts]]\nnames = ['a.test']\nprots = {}\n", "hosts[0]: unknown key 'prots'");
  expect("[[hosts]]\nnames = ['a.test']\ndelayMs = -1\n", "hosts[0].delayMs: must be milliseconds");
  expect("[[hosts]]\nnames = ['a.test']\ndelayMs = 1.5\n",
         "hosts[0].delayMs: must be milliseconds");
  expect("[[hosts]]\nnames = ['a.test']\ndelayMs = nan\n",
         "line 3, column 11: a number must be finite");
  expect("defaults = 1979-05-27\n", "line 1, column 12: dates and times");
  expect("defaults = true\ndefaults = true\n", "line 2");
  std::string deep = "x = ";
  for (int i = 0; i < 5000; ++i) deep += "[";
  expect(deep, "line 1");
}

}  // namespace
}  // namespace emulator::fakenet
