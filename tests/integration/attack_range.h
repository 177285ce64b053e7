// An emulator with the fake internet, sandboxes that carry attack_probe, and the two attackers of
// the bypass tests: root in a sandbox, and the machine's root entered into the sandbox's network
// namespace, who has every capability there, so that rules are tested and not only what is missing.
#pragma once

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/integration/emulator_process.h"

namespace tests::integration {

inline constexpr int kProbeRefused = 77;

class AttackRange {
 public:
  explicit AttackRange(std::vector<std::string> flags = {});
  // Gives everything back; a test that leaves something behind fails.
  ~AttackRange();

  // A sandbox with attack_probe in /tmp. "" and a failed test when it cannot be made.
  std::string add(const Json& extra = Json::object());
  // A sandbox that may reach nothing, and one that may reach everything.
  std::string add_closed() { return add({{"allow_internet_access", false}}); }
  std::string add_open() { return add(); }

  // Runs `attack_probe WORDS` as root in the sandbox.
  EmulatorProcess::Ran inside(const std::string& sandbox, const std::string& words) const;
  // The same as the machine's root in its network namespace. WORDS are split at spaces.
  EmulatorProcess::Ran entered(const std::string& sandbox, const std::string& words) const;
  // Of a packet or frame made by hand. Root in the sandbox is refused the socket; the machine's
  // root sends it: whether it arrives is the canary's to say, and silence is no failure to send.
  void by_hand(const std::string& sandbox, const std::string& words) const;
  // The machine's root there sends it, by whatever socket.
  void sent(const std::string& sandbox, const std::string& words) const;
  // Both attackers run all of them at the same time: what came of each, one line "WORDS: RESULT".
  // A probe of ordinary sockets that was not really made fails the test: the kernel refuses a TCP
  // connection to broadcast and multicast addresses (ENETUNREACH), and nothing else.
  std::string at_once(const std::string& sandbox, const std::vector<std::string>& probes) const;
  // Any program of the machine there.
  EmulatorProcess::Ran enter(const std::string& sandbox, std::vector<std::string> argv) const;
  // And in no other place than here.
  static EmulatorProcess::Ran here(std::vector<std::string> argv);
  // In the switch, or in the fake internet ("switch.netns", "internet.netns").
  EmulatorProcess::Ran enter_pinned(const std::string& name, std::vector<std::string> argv) const;

  // The address of its eth0.
  std::string address(const std::string& sandbox) const;

  // --- the canary: what arrived at the far end
  // -----------------------------------------------------
  void clear() const;
  Json canary(const std::string& query = "") const;
  // Waits up to 3 s for a packet that matches ("address=1.1.1.1&protocol=udp").
  bool arrived(const std::string& query) const;
  // Nothing at all arrived since clear(), after a moment for what is on its way.
  testing::AssertionResult silent(const std::string& query = "") const;

  const EmulatorProcess& emulator() const { return emulator_; }
  EmulatorProcess& emulator() { return emulator_; }

 private:
  pid_t process_of(const std::string& sandbox) const;

  TempDir dir_;
  EmulatorProcess emulator_;
};

}  // namespace tests::integration
