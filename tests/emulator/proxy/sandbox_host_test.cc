#include "emulator/proxy/sandbox_host.h"

#include <gtest/gtest.h>

namespace emulator::proxy {
namespace {

struct Row {
  const char* host;
  RoutingHeaders headers;
  const char* expected;  // "control", "<port>/<id>" or the error
};

std::string describe(const Target& target) {
  switch (target.kind) {
    case Target::Kind::kControlPlane:
      return "control";
    case Target::Kind::kSandbox:
      return std::to_string(target.port) + "/" + std::string(target.sandbox_id);
    case Target::Kind::kError:
      break;
  }
  return std::string(target.error);
}

TEST(SandboxHost, FindsTheTargetAsTheCloudsProxyDoes) {
  const RoutingHeaders none;
  const RoutingHeaders novita{"abc", "49983", "", ""};
  const RoutingHeaders e2b{"", "", "xyz", "3000"};
  const Row rows[] = {
      {"3000-abc.localhost", none, "3000/abc"},
      {"3000-abc.localhost:7463", none, "3000/abc"},
      {"3000-abc.any.thing", none, "3000/abc"},
      {"3000-abc-client.localhost", none, "3000/abc"},
      {"3000-abc-c-d-e.localhost", none, "3000/abc"},
      {"3000-abc.localhost", novita, "3000/abc"},
      {"3000-abc.localhost", {"other", "1", "other", "1"}, "3000/abc"},
      {"0-abc.localhost", none, "0/abc"},
      {"70000-abc.localhost", none, "70000/abc"},
      {"18446744073709551615-abc.localhost", none, "18446744073709551615/abc"},
      {"18446744073709551616-abc.localhost", none, "Invalid sandbox port"},
      {"+1-abc.localhost", none, "Invalid sandbox port"},
      {"-abc.localhost", none, "Invalid sandbox port"},
      {"x-abc.localhost", none, "Invalid sandbox port"},
      {"x-ABC.localhost", none, "Invalid sandbox port"},
      {"3000-ABC.localhost", none, "Invalid sandbox ID"},
      {"3000-.localhost", none, "Invalid sandbox ID"},
      {"3000-a_c.localhost", none, "Invalid sandbox ID"},
      {"abc.localhost", none, "Invalid host"},
      {"example.com", none, "Invalid host"},
      {"3000-abc", none, "Invalid host"},
      {"", none, "Invalid host"},
      {"sandbox.localhost", none, "Invalid host"},
      {"sandbox.localhost", e2b, "3000/xyz"},
      {"sandbox.e2b.app:443", e2b, "3000/xyz"},
      {"sandbox.", e2b, "Invalid host"},
      {"localhost", none, "control"},
      {"LOCALHOST:7463", none, "control"},
      {"api.localhost:7463", none, "control"},
      {"api.localhost.", none, "control"},
      {"api.sbx.test", none, "control"},
      {"sbx.test", none, "control"},
      {"my-box", none, "control"},
      {"api.evil.com", none, "Invalid host"},
      {"127.0.0.1", none, "control"},
      {"127.0.0.1:80", none, "control"},
      {"192.168.1.5:7463", none, "control"},
      {"[::1]:7463", none, "control"},
      {"::1", none, "control"},
      {"localhost", novita, "49983/abc"},
      {"localhost:7463", e2b, "3000/xyz"},
      {"127.0.0.1:7463", novita, "49983/abc"},
      {"[::1]:7463", novita, "49983/abc"},
      {"localhost", {"abc", "49983", "xyz", "3000"}, "49983/abc"},
      {"localhost", {"abc", "", "", ""}, "missing header"},
      {"localhost", {"", "", "", "3000"}, "missing header"},
      {"localhost", {"", "", "xyz", "http"}, "Invalid sandbox port"},
      {"localhost", {"", "", "X", "1"}, "Invalid sandbox ID"},
      {"api.localhost", novita, "control"},
      {"sbx.test", novita, "control"},
  };
  HostNames names{"sbx.test", {"my-box"}};
  for (const Row& row : rows) {
    EXPECT_EQ(describe(find_target(row.host, row.headers, names)), row.expected) << row.host;
  }
}

TEST(SandboxHost, KnowsWhichNamesAreOurs) {
  HostNames names{"sbx.test", {}};
  for (const char* name : {"localhost", "3000-abc.localhost", "a.b.LOCALHOST", "sbx.test",
                           "api.sbx.test", "x.SBX.test."})
    EXPECT_TRUE(is_local_name(name, names)) << name;
  for (const char* name : {"", "example.com", "evilsbx.test", "notlocalhost", ".localhost",
                           "a..localhost", "a b.localhost", "*.localhost", "localhost.evil.com"})
    EXPECT_FALSE(is_local_name(name, names)) << name;
  std::string long_label(64, 'a');
  EXPECT_FALSE(is_local_name(long_label.append(".localhost"), names));
}

TEST(SandboxHost, TellsAddressesFromNames) {
  for (const char* host : {"1.2.3.4", "::1", "fe80::1", "::ffff:1.2.3.4"})
    EXPECT_TRUE(is_ip_literal(host)) << host;
  for (const char* host : {"", "1.2.3", "a.b.c.d", "localhost", "1.2.3.4.5", "3000-abc.localhost"})
    EXPECT_FALSE(is_ip_literal(host)) << host;
}

}  // namespace
}  // namespace emulator::proxy
