// Puts a policy's kernel half (slot_rules.h) into a sandbox's slot. Used by emulator/sandboxes at
// create and by PUT /network. The slot belongs to the initial user namespace, so root in the
// sandbox can neither see nor change what is loaded here.
#pragma once

#include <filesystem>
#include <string>

#include "emulator/base/result.h"
#include "netfilter/policy.h"

namespace netfilter {

// How rules are loaded on this machine: the program that loaded the switch's
// (SwitchNamespace::restore_tool), and a directory for lock files. The legacy back-end locks one
// file for the whole machine otherwise, and every sandbox would wait for every other.
struct RuleLoader {
  std::string restore_tool;
  std::filesystem::path lock_directory;
};

// Replaces the slot's rules in one step: packets meet the old ones or the new ones, never none.
// Runs one program (2-5 ms); blocking. On an error the slot is closed for everything but TCP as far
// as that still works; the caller closes TCP (Policy::closed for the proxy) and fails the request.
base::Result<> apply_slot_policy(int netns_fd, const Policy& policy, const RuleLoader& loader);

// Whether going from one policy to the other changes what is in the slot.
bool slot_rules_differ(const Policy& before, const Policy& after);

}  // namespace netfilter
