// Network namespaces for tests of what the emulator does to the machine that it runs on: one that
// plays the machine, and the state of any of them as text. Used by uplink_test.cc and
// machine_state_test.cc; the real machine's own is only ever looked at.
#pragma once

#include <filesystem>
#include <functional>
#include <string>

#include "emulator/base/unique_fd.h"

namespace tests::integration {

// What tests/support/machine-state prints in the calling thread's network namespace.
std::string machine_state();

// The first lines in which two states differ, for a failure's text; empty when they are equal.
std::string difference(const std::string& before, const std::string& after);

// A network namespace that plays the developer's machine: IPv4 forwarding off, a FORWARD policy of
// DROP with rules of somebody else's (as Docker has), no way anywhere.
class Machine {
 public:
  Machine();

  // Runs `work` on a thread inside; what it starts, and the sockets it opens, are there as well.
  void run(const std::function<void()>& work) const;
  // A link `wan` to another namespace, which becomes the way to everywhere. The machine's address
  // is kAddress, the other end's 192.0.2.1.
  void connect_to(const std::filesystem::path& netns) const;
  static constexpr const char* kAddress = "192.0.2.2";

 private:
  base::UniqueFd netns_;
};

}  // namespace tests::integration
