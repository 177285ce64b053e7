#include "emulator/config/command_line.h"

#include <unistd.h>

#include <map>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "emulator/base/ids.h"
#include "emulator/base/posix.h"

namespace emulator::config {
namespace {

using ::testing::HasSubstr;

// A machine's environment and, when asked for, a sandlot.toml.
struct World {
  std::map<std::string, std::string> variables;
  std::filesystem::path file;

  ~World() {
    if (!file.empty()) std::filesystem::remove(file);
  }
  void write_file(const std::string& text) {
    file =
        std::filesystem::temp_directory_path() / ("sandlot-test-" + base::random_id(8) + ".toml");
    ASSERT_TRUE(base::write_file(file, text));
    variables["SANDLOT_CONFIG"] = file.string();
  }
  tl::expected<CommandLine, Refusal> read(const std::vector<std::string>& arguments) const {
    const Environment environment = [this](const char* name) -> const char* {
      const auto found = variables.find(name);
      return found == variables.end() ? nullptr : found->second.c_str();
    };
    std::vector<std::string> names;
    for (const auto& [name, value] : variables) names.push_back(name);
    return read_command_line(arguments, environment, names);
  }
  void expect_refusal(const std::vector<std::string>& arguments,
                      int code,
                      const std::string& words) const {
    auto line = read(arguments);
    ASSERT_FALSE(line) << words;
    EXPECT_EQ(line.error().exit_code, code) << line.error().message;
    EXPECT_THAT(line.error().message, HasSubstr(words));
  }
};

TEST(CommandLine, WithoutAnythingTheDefaultsHold) {
  auto line = World().read({"serve"});
  ASSERT_TRUE(line) << line.error().message;
  EXPECT_EQ(line->command, "serve");
  EXPECT_EQ(line->options.port, 7463);
  EXPECT_EQ(line->options.hosts, (std::vector<std::string>{"127.0.0.1", "::1"}));
  EXPECT_FALSE(line->options.https_port);
  EXPECT_FALSE(line->options.dns_port);
  EXPECT_EQ(line->options.domain, "localhost");
  EXPECT_EQ(line->options.pool, 4U);
  EXPECT_EQ(line->options.data_dir, "/var/lib/sandlot");
  EXPECT_EQ(line->options.run_dir, "/run/sandlot");
  EXPECT_EQ(line->options.internet, Internet::kHost);
  EXPECT_TRUE(line->is_default("port"));
}

TEST(CommandLine, FlagBeatsEnvironmentBeatsFileBeatsDefault) {
  World world;
  world.write_file("port = 1\npool = 1\ndomain = \"file.example\"\n");
  world.variables["SANDLOT_PORT"] = "2";
  world.variables["SANDLOT_POOL"] = "2";
  auto line = world.read({"serve", "--port", "3"});
  ASSERT_TRUE(line) << line.error().message;
  EXPECT_EQ(line->options.port, 3);
  EXPECT_EQ(line->options.pool, 2U);
  EXPECT_EQ(line->options.domain, "file.example");
  std::map<std::string_view, Origin> origins;
  for (const SettingValue& value : line->values) origins[value.setting->name] = value.origin;
  EXPECT_EQ(origins["port"], Origin::kFlag);
  EXPECT_EQ(origins["pool"], Origin::kEnvironment);
  EXPECT_EQ(origins["domain"], Origin::kFile);
  EXPECT_EQ(origins["auth"], Origin::kDefault);
}

TEST(CommandLine, EverySettingCanComeFromEachSource) {
  const std::map<std::string, std::string> samples = {{"host", "0.0.0.0"},
                                                      {"port", "0"},
                                                      {"https-port", "443"},
                                                      {"dns-port", "53"},
                                                      {"dns-host", "127.0.0.2"},
                                                      {"domain", "sbx.localhost"},
                                                      {"max-sandboxes", "3"},
                                                      {"create-rate", "100/m"},
                                                      {"pool", "0"},
                                                      {"seed", "7"},
                                                      {"data-dir", "/tmp/d"},
                                                      {"run-dir", "/tmp/r"},
                                                      {"internet", "none"},
                                                      {"dns-mode", "direct"},
                                                      {"network-immutable", "true"},
                                                      {"decision-log", "100"},
                                                      {"auth", "any"},
                                                      {"api-key", "k1"},
                                                      {"control-token", "long enough"},
                                                      {"log-level", "debug"},
                                                      {"log-format", "json"}};
  for (const Setting& setting : settings()) {
    if (setting.apply == nullptr) continue;
    const auto sample = samples.find(std::string(setting.name));
    ASSERT_NE(sample, samples.end()) << setting.name;
    auto flag = World().read({"serve", "--" + sample->first + "=" + sample->second});
    EXPECT_TRUE(flag && !flag->is_default(setting.name)) << setting.name;
    World variable;
    variable.variables[variable_of(setting)] = sample->second;
    auto from_variable = variable.read({"serve"});
    EXPECT_TRUE(from_variable && !from_variable->is_default(setting.name)) << setting.name;
    World file;
    file.write_file(sample->first + " = \"" + sample->second + "\"\n");
    auto from_file = file.read({"serve"});
    EXPECT_TRUE(from_file && !from_file->is_default(setting.name)) << setting.name;
  }
}

TEST(CommandLine, RepeatableSettingsTakeFlagsCommasAndArrays) {
  auto flags = World().read({"serve", "--api-key", "a", "--api-key", "b", "--auth", "strict"});
  ASSERT_TRUE(flags) << flags.error().message;
  EXPECT_EQ(flags->options.api_keys, (std::vector<std::string>{"a", "b"}));
  World variable;
  variable.variables["SANDLOT_API_KEY"] = "a, b";
  EXPECT_EQ(variable.read({"serve"})->options.api_keys, (std::vector<std::string>{"a", "b"}));
  World file;
  file.write_file("# keys\napi-key = [\"a\", \"b\"]\nhost = ['::']\n");
  auto line = file.read({"serve"});
  ASSERT_TRUE(line) << line.error().message;
  EXPECT_EQ(line->options.api_keys, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(line->options.hosts, (std::vector<std::string>{"::"}));
}

TEST(CommandLine, ExecKeepsTheChildsOwnFlags) {
  auto line =
      World().read({"exec", "--internet", "none", "--", "npm", "test", "--", "--port", "x"});
  ASSERT_TRUE(line) << line.error().message;
  EXPECT_EQ(line->child, (std::vector<std::string>{"npm", "test", "--", "--port", "x"}));
  World().expect_refusal({"exec"}, kUsage, "what to run is missing");
  World().expect_refusal({"exec", "npm", "test"}, kUsage, "put '--' before the command");
  World().expect_refusal({"serve", "--", "x"}, kUsage, "takes nothing after '--'");
}

TEST(CommandLine, WhatIsUnknownIsAnsweredWithTheRightName) {
  World().expect_refusal({"serve", "--prot", "1"}, kUsage,
                         "unknown flag --prot; did you mean '--port'?");
  World().expect_refusal({"serve", "--http-port=1"}, kUsage, "unknown flag --http-port");
  World().expect_refusal({"srve"}, kUsage, "did you mean 'sandlot serve'?");
  World().expect_refusal({"banana"}, kUsage, "see sandlot --help");
  World().expect_refusal({"env", "--no-dsn"}, kUsage, "did you mean '--no-dns'?");
  World().expect_refusal({"gc", "now"}, kUsage, "unexpected argument 'now'");
  World file;
  file.write_file("prot = 1\n");
  file.expect_refusal({"serve"}, kConfiguration, "unknown key 'prot'; did you mean 'port'?");
}

TEST(CommandLine, AMisspeltVariableIsAWarningAndAForeignOneIsNot) {
  World world;
  world.variables["SANDLOT_PROT"] = "1";
  world.variables["SANDLOT_BINARY_OF_THE_TESTS"] = "x";
  auto line = world.read({"serve"});
  ASSERT_TRUE(line);
  EXPECT_THAT(line->warnings,
              ::testing::ElementsAre("ignored: SANDLOT_PROT; did you mean SANDLOT_PORT?"));
}

TEST(CommandLine, BadValuesNameTheirPlace) {
  World().expect_refusal({"serve", "--port", "70000"}, kUsage,
                         "sandlot serve: --port: '70000' is not a port");
  World().expect_refusal({"serve", "--port"}, kUsage, "--port");
  World().expect_refusal({"serve", "--host", "example.com"}, kUsage, "is not an IP address");
  World().expect_refusal({"serve", "--domain", "https://x"}, kUsage, "is not a domain name");
  World().expect_refusal({"serve", "--data-dir", "relative"}, kUsage, "is not an absolute path");
  World().expect_refusal({"serve", "--auth", "strict"}, kUsage, "needs at least one --api-key");
  World().expect_refusal({"ready", "--timeout", "soon"}, kUsage,
                         "--timeout: 'soon' is not a duration");
  World().expect_refusal({"env", "--format", "xml"}, kUsage, "'xml' is not one of");
  World variable;
  variable.variables["SANDLOT_POOL"] = "many";
  variable.expect_refusal({"serve"}, kConfiguration, "SANDLOT_POOL: 'many' is not a number");
  World file;
  file.write_file("internet = \"maybe\"\n");
  file.expect_refusal({"serve"}, kConfiguration, "internet: 'maybe' is not one of");
  World missing;
  missing.variables["SANDLOT_CONFIG"] = "/nonexistent/sandlot.toml";
  missing.expect_refusal({"serve"}, kConfiguration, "cannot read /nonexistent/sandlot.toml");
}

TEST(CommandLine, TheFakeInternetMayHaveAFile) {
  World().expect_refusal({"serve", "--internet", "fake:"}, kUsage, "with the name of a file");
  auto plain = World().read({"serve", "--internet", "fake"});
  ASSERT_TRUE(plain);
  EXPECT_EQ(plain->options.internet, Internet::kFake);
  EXPECT_EQ(plain->options.internet_file, "");
  auto file = World().read({"serve", "--internet", "fake:hosts.json"});
  ASSERT_TRUE(file);
  EXPECT_EQ(file->options.internet, Internet::kFake);
  EXPECT_EQ(file->options.internet_file, "hosts.json");
}

TEST(CommandLine, LimitsAreNumbersRatesOrUnlimited) {
  auto rate = [](const std::string& text) {
    return World().read({"serve", "--create-rate", text})->options.create_rate;
  };
  EXPECT_EQ(rate("5"), (CreateRate{5, std::chrono::seconds(1)}));
  EXPECT_EQ(rate("5/s"), (CreateRate{5, std::chrono::seconds(1)}));
  EXPECT_EQ(rate("100/m"), (CreateRate{100, std::chrono::minutes(1)}));
  EXPECT_EQ(rate("1000/h"), (CreateRate{1000, std::chrono::hours(1)}));
  EXPECT_EQ(rate("unlimited"), std::nullopt);
  for (std::string bad : {"0", "-1", "5/d", "/s", "5/", "five"}) {
    World().expect_refusal({"serve", "--create-rate=" + bad}, kUsage, "100/m");
  }
  EXPECT_FALSE(World().read({"serve"})->options.network_immutable);
  EXPECT_TRUE(World().read({"serve", "--network-immutable=true"})->options.network_immutable);
  for (std::string bad : {"yes", "1", "TRUE"}) {
    World().expect_refusal({"serve", "--network-immutable=" + bad}, kUsage, "true, false");
  }
  EXPECT_EQ(World().read({"serve", "--max-sandboxes", "7"})->options.max_sandboxes, 7U);
  for (std::string bad : {"0", "many", "1.5"}) {
    World().expect_refusal({"serve", "--max-sandboxes=" + bad}, kUsage, "unlimited");
  }
}

TEST(CommandLine, ExplainTakesASandboxAndADestination) {
  auto line = World().read({"explain", "--json", "iabc", "https://example.com"});
  ASSERT_TRUE(line);
  EXPECT_EQ(line->command, "explain");
  EXPECT_TRUE(line->json);
  EXPECT_THAT(line->arguments, ::testing::ElementsAre("iabc", "https://example.com"));
  World().expect_refusal({"explain", "iabc"}, kUsage, "two arguments");
  World().expect_refusal({"explain", "iabc", "x:1", "y:1"}, kUsage, "two arguments");
  World().expect_refusal({"explain", "iabc", "x:1", "--jsn"}, kUsage, "did you mean '--json'?");
  World().expect_refusal({"serve", "--decision-log", "-1"}, kUsage, "'-1' is not a number");
}

TEST(CommandLine, ANetworkNamespaceIsNamedOrAPath) {
  auto named = World().read({"serve", "--internet", "netns:inet"});
  ASSERT_TRUE(named);
  EXPECT_EQ(named->options.internet, Internet::kNetns);
  EXPECT_EQ(named->options.internet_netns, "inet");
  auto path = World().read({"serve", "--internet", "netns:/proc/7/ns/net"});
  ASSERT_TRUE(path);
  EXPECT_EQ(path->options.internet_netns, "/proc/7/ns/net");
  World().expect_refusal({"serve", "--internet", "netns:"}, kUsage, "netns:NAME");
  World().expect_refusal({"serve", "--internet", "netns:../x"}, kUsage, "netns:NAME");
  World().expect_refusal({"serve", "--internet", "nets:x"}, kUsage, "netns:NAME");
}

TEST(CommandLine, WhatIsNotBuiltYetSaysSo) {
  World().expect_refusal({"trust", "install"}, kUsage, "sandlot trust is not built yet");
}

TEST(CommandLine, TheSeedIsANumber) {
  World world;
  world.variables["SANDLOT_SEED"] = "18446744073709551615";
  auto parsed = world.read({"serve"});
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->options.seed, 18446744073709551615U);
  EXPECT_FALSE(World().read({"serve", "--seed", "random"})->options.seed);
  World().expect_refusal({"serve", "--seed", "18446744073709551616"}, kUsage,
                         "'random' or a number");
  World().expect_refusal({"serve", "--seed", "-1"}, kUsage, "'random' or a number");
}

TEST(CommandLine, SectionsAndDoubledKeysAreRefused) {
  World section;
  section.write_file("[serve]\nport = 1\n");
  section.expect_refusal({"serve"}, kConfiguration, "there are no sections");
  World twice;
  twice.write_file("port = 1\nport = 2\n");
  twice.expect_refusal({"serve"}, kConfiguration, "takes one value and is set once");
}

TEST(CommandLine, HelpAndVersionNeedNoCommand) {
  EXPECT_THAT(World().read({})->help, HasSubstr("serve"));
  EXPECT_THAT(World().read({"--help"})->help, HasSubstr("doctor"));
  EXPECT_THAT(World().read({"serve", "--help"})->help, HasSubstr("--data-dir"));
  EXPECT_EQ(World().read({"--version"})->command, "version");
  EXPECT_EQ(World().read({"config", "show"})->command, "config show");
  World().expect_refusal({"config"}, kUsage, "sandlot config show");
}

TEST(CommandLine, TheDataDirectoryFollowsXdg) {
  World world;
  world.variables["XDG_STATE_HOME"] = "/home/me/.local/state";
  EXPECT_EQ(world.read({"serve"})->options.data_dir, "/home/me/.local/state/sandlot");
}

}  // namespace
}  // namespace emulator::config
