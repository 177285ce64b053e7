#include "tests/integration/attack_range.h"

#include <algorithm>
#include <sstream>
#include <thread>

#include <gtest/gtest.h>

#include "emulator/base/posix.h"
#include "emulator/base/run_tool.h"

namespace tests::integration {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

namespace {

EmulatorProcess::Options options_of(std::vector<std::string> flags) {
  std::vector<std::string> all = {"--internet", "fake", "--pool", "0"};
  all.insert(all.end(), flags.begin(), flags.end());
  return {all, {}};
}

}  // namespace

AttackRange::AttackRange(std::vector<std::string> flags)
    : emulator_(dir_.path(), options_of(std::move(flags))) {
  EXPECT_TRUE(emulator_.ready()) << emulator_.log();
}

AttackRange::~AttackRange() {
  EXPECT_EQ(emulator_.stop(), 0) << emulator_.log();
  EXPECT_EQ(leftovers(dir_.path()), std::vector<std::string>());
}

EmulatorProcess::Ran AttackRange::here(std::vector<std::string> argv) {
  base::ToolSpec spec;
  spec.argv = std::move(argv);
  auto output = base::run_tool(spec);
  EmulatorProcess::Ran ran;
  if (!output) {
    ran.err = output.error().message();
    return ran;
  }
  ran.exit_code = output->exit_code;
  ran.out = output->out;
  ran.err = output->err;
  ran.ended = true;
  return ran;
}

std::string AttackRange::add(const Json& extra) {
  HttpAnswer made;
  std::string id = emulator_.create(extra, &made);
  EXPECT_NE(id, "") << made.status << " " << made.body;
  if (id.empty()) return id;
  auto probe = base::read_file(SANDLOT_ATTACK_PROBE);
  EXPECT_TRUE(probe);
  HttpAnswer written = request(emulator_.port(), "POST", "/files?path=/tmp/attack_probe",
                               probe.value_or(""), "49983-" + id + ".localhost",
                               {{"X-Access-Token", made.json().value("envdAccessToken", "")},
                                {"Content-Type", "application/octet-stream"}});
  EXPECT_EQ(written.status, 200) << written.body;
  EXPECT_EQ(emulator_.run(id, "chmod 755 /tmp/attack_probe", "root").exit_code, 0);
  return id;
}

EmulatorProcess::Ran AttackRange::inside(const std::string& sandbox,
                                         const std::string& words) const {
  return emulator_.run(sandbox, "/tmp/attack_probe " + words, "root");
}

EmulatorProcess::Ran AttackRange::entered(const std::string& sandbox,
                                          const std::string& words) const {
  std::vector<std::string> argv = {SANDLOT_ATTACK_PROBE};
  std::istringstream stream(words);
  for (std::string word; stream >> word;) argv.push_back(word);
  return enter(sandbox, std::move(argv));
}

void AttackRange::by_hand(const std::string& sandbox, const std::string& words) const {
  bool frame = words.find("frame") != std::string::npos;
  auto refused = inside(sandbox, words);
  EXPECT_EQ(refused.exit_code, kProbeRefused) << "root in the sandbox could send: " << words;
  std::string socket = frame ? "packet" : "raw";
  EXPECT_EQ(refused.out, "refused: " + socket + " socket: Operation not permitted\n") << words;
  sent(sandbox, words);
}

void AttackRange::sent(const std::string& sandbox, const std::string& words) const {
  auto ran = entered(sandbox, words);
  EXPECT_EQ(ran.exit_code, 0) << "not sent: " << words << ": " << ran.out << ran.err;
}

namespace {

// "tcp 1.1.1.1 22: eof": whether something went out, or the kernel says that nothing can.
bool was_made(const std::string& line) {
  auto at = line.find(": ");
  if (at == std::string::npos) return false;
  std::string words = line.substr(0, at);
  std::string result = line.substr(at + 2);
  if (words.starts_with("udp ")) return result == "silence" || result.starts_with("answer ");
  bool nowhere = words.find(" 255.255.255.255 ") != std::string::npos ||
                 words.find(" 224.0.0.") != std::string::npos;
  if (nowhere) return result == "refused: connect: Network is unreachable";
  for (const char* made : {"no connection", "silence", "data ", "eof", "reset"}) {
    if (result.starts_with(made)) return true;
  }
  return false;
}

}  // namespace

std::string AttackRange::at_once(const std::string& sandbox,
                                 const std::vector<std::string>& probes) const {
  auto script = [&](const std::string& probe) {
    std::string text;
    for (const std::string& words : probes)
      text += "(" + probe + " " + words + " | sed 's/^/" + words + ": /') & ";
    return text + "wait";
  };
  auto inside = emulator_.run(sandbox, script("/tmp/attack_probe"), "root");
  auto entered = enter(sandbox, {"sh", "-c", script(SANDLOT_ATTACK_PROBE)});
  auto lines = [](const std::string& text) { return std::count(text.begin(), text.end(), '\n'); };
  auto expected = static_cast<std::ptrdiff_t>(probes.size());
  EXPECT_EQ(lines(inside.out), expected) << inside.out << inside.err;
  EXPECT_EQ(lines(entered.out), expected) << entered.out << entered.err;
  std::istringstream results(inside.out + entered.out);
  for (std::string line; std::getline(results, line);) EXPECT_TRUE(was_made(line)) << line;
  return inside.out + entered.out;
}

EmulatorProcess::Ran AttackRange::enter(const std::string& sandbox,
                                        std::vector<std::string> argv) const {
  std::string process = std::to_string(process_of(sandbox));
  argv.insert(argv.begin(), {"nsenter", "--net=/proc/" + process + "/ns/net", "--"});
  return here(std::move(argv));
}

EmulatorProcess::Ran AttackRange::enter_pinned(const std::string& name,
                                               std::vector<std::string> argv) const {
  std::error_code ignored;
  for (const auto& entry : fs::recursive_directory_iterator(dir_.path() / "run", ignored)) {
    if (entry.path().filename() != name) continue;
    argv.insert(argv.begin(), {"nsenter", "--net=" + entry.path().string(), "--"});
    return here(std::move(argv));
  }
  ADD_FAILURE() << name << " does not exist";
  return {};
}

pid_t AttackRange::process_of(const std::string& sandbox) const {
  std::error_code ignored;
  for (const auto& process : fs::directory_iterator("/proc", ignored)) {
    auto groups = base::read_file(process.path() / "cgroup");
    if (groups && groups->find(sandbox) != std::string::npos)
      return std::atoi(process.path().filename().c_str());
  }
  ADD_FAILURE() << "no process in " << sandbox;
  return -1;
}

std::string AttackRange::address(const std::string& sandbox) const {
  auto ran = enter(sandbox, {"ip", "-4", "-o", "address", "show", "dev", "eth0"});
  auto at = ran.out.find("inet ");
  if (at == std::string::npos) return "";
  return ran.out.substr(at + 5, ran.out.find_first_of("/ ", at + 5) - at - 5);
}

void AttackRange::clear() const {
  EXPECT_EQ(emulator_.api("DELETE", "/_sandlot/fakenet/canary").status, 200);
}

Json AttackRange::canary(const std::string& query) const {
  HttpAnswer answer =
      emulator_.api("GET", "/_sandlot/fakenet/canary" + (query.empty() ? "" : "?" + query));
  EXPECT_EQ(answer.status, 200) << answer.body;
  return answer.json();
}

bool AttackRange::arrived(const std::string& query) const {
  for (int i = 0; i < 150; ++i) {
    if (canary(query).value("packets", 0) > 0) return true;
    std::this_thread::sleep_for(20ms);
  }
  return false;
}

testing::AssertionResult AttackRange::silent(const std::string& query) const {
  std::this_thread::sleep_for(150ms);
  Json seen = canary(query);
  if (seen.value("lost", 1) != 0) return testing::AssertionFailure() << "the canary lost packets";
  if (seen.value("packets", 1) == 0 && seen.value("bytes", 1) == 0)
    return testing::AssertionSuccess();
  return testing::AssertionFailure() << "arrived: " << seen["counters"].dump();
}

}  // namespace tests::integration
