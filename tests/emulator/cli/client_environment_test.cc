#include "emulator/cli/client_environment.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace emulator::cli {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::Pair;
using ::testing::StartsWith;

Endpoint sample() {
  Endpoint endpoint;
  endpoint.port = 7463;
  endpoint.bundle_file = "/var/lib/sandlot/ca/bundle.pem";
  return endpoint;
}

TEST(ClientEnvironment, NamesTheDomainAndNeverAUrl) {
  const Variables variables = client_environment(sample(), Addressing::kNames);
  EXPECT_THAT(variables, Contains(Pair("E2B_DOMAIN", "localhost:7463")));
  EXPECT_THAT(variables, Contains(Pair("NOVITA_DOMAIN", "localhost:7463")));
  EXPECT_THAT(variables, Contains(Pair("NODE_EXTRA_CA_CERTS", "/var/lib/sandlot/ca/bundle.pem")));
  for (const auto& [name, value] : variables)
    EXPECT_EQ(name.find("_URL"), std::string::npos) << name;
}

TEST(ClientEnvironment, WithoutNamesGivesUrlsInTheirPlace) {
  const Variables variables = client_environment(sample(), Addressing::kUrls);
  EXPECT_THAT(variables, Contains(Pair("E2B_API_URL", "http://localhost:7463")));
  EXPECT_THAT(variables, Contains(Pair("NOVITA_SANDBOX_URL", "http://localhost:7463")));
  for (const auto& [name, value] : variables)
    EXPECT_EQ(name.find("_DOMAIN"), std::string::npos) << name;
}

TEST(ClientEnvironment, TheLocalKeyIsWellFormedAndObviouslyLocal) {
  EXPECT_THAT(std::string(kLocalApiKey), ::testing::MatchesRegex("e2b_[0-9a-f]+"));
  EXPECT_EQ(std::string(kLocalApiKey).size(), 44U);
}

TEST(ClientEnvironment, IsWrittenForEachShell) {
  const Variables variables = {{"A", "plain:1"}, {"B", "it's $HOME"}};
  EXPECT_EQ(*format_variables(variables, "sh"), "export A=plain:1\nexport B='it'\\''s $HOME'\n");
  EXPECT_EQ(*format_variables(variables, "fish"), "set -gx A plain:1\nset -gx B 'it\\'s $HOME'\n");
  EXPECT_EQ(*format_variables(variables, "dotenv"), "A=plain:1\nB=\"it's \\$HOME\"\n");
  EXPECT_EQ(*format_variables(variables, "github"), "A=plain:1\nB=it's $HOME\n");
  EXPECT_THAT(*format_variables(variables, "json"), HasSubstr("\"A\": \"plain:1\""));
  EXPECT_FALSE(format_variables(variables, "xml"));
}

TEST(ClientEnvironment, AChildLosesWhatWouldLeadItElsewhere) {
  const std::vector<std::string> inherited = {
      "HOME=/root",           "E2B_API_URL=https://api.e2b.dev",
      "E2B_DEBUG=true",       "E2B_API_KEY=e2b_real",
      "NOVITA_SANDBOX_URL=x", "SSL_CERT_FILE=/x"};
  const auto environment =
      child_environment(inherited, client_environment(sample(), Addressing::kNames), sample());
  EXPECT_THAT(environment, Contains("HOME=/root"));
  EXPECT_THAT(environment, Contains("E2B_API_KEY=" + std::string(kLocalApiKey)));
  EXPECT_THAT(environment, Contains("SSL_CERT_FILE=/var/lib/sandlot/ca/bundle.pem"));
  EXPECT_THAT(environment, Not(Contains(HasSubstr("_URL="))));
  EXPECT_THAT(environment, Not(Contains(StartsWith("E2B_DEBUG"))));
  EXPECT_THAT(environment, Not(Contains("E2B_API_KEY=e2b_real")));
  EXPECT_THAT(environment, Not(Contains(StartsWith("NO_PROXY"))));
}

TEST(ClientEnvironment, AProxyOfTheMachineIsGoneRound) {
  const auto environment =
      child_environment({"HTTPS_PROXY=http://proxy:3128", "no_proxy=corp.example,localhost"},
                        client_environment(sample(), Addressing::kNames), sample());
  EXPECT_THAT(environment, Contains("NO_PROXY=corp.example,localhost,.localhost,127.0.0.1,::1"));
  EXPECT_THAT(environment, Contains("HTTPS_PROXY=http://proxy:3128"));
}

}  // namespace
}  // namespace emulator::cli
