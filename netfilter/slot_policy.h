// Puts a policy's kernel half (slot_rules.h) into a sandbox's slot. Used by emulator/sandboxes at
// create and by PUT /network. The slot belongs to the initial user namespace, so root in the
// sandbox can neither see nor change what is loaded here.
#pragma once

#include <filesystem>
#include <string>

#include "emulator/base/result.h"
#include "netfilter/policy.h"

namespace netfilter {

// How rules are loaded on this machine: the program for the slots' rules
// (SwitchNamespace::slot_restore_tool), and a directory for lock files. The legacy back-end locks
// one file for the whole machine otherwise, and every sandbox would wait for every other.
struct RuleLoader {
  std::string restore_tool;
  std::filesystem::path lock_directory;
};

// The program for the slots: the legacy back-end if it can load such rules here, because replacing
// a table through nft waits for the kernel's read-copy-update (8-16 ms instead of 1-3). Tried in a
// namespace that is thrown away. Blocking.
std::string choose_slot_tool(const std::string& otherwise,
                             const std::filesystem::path& lock_directory);

// Replaces the slot's rules in one step: packets meet the old ones or the new ones, never none.
// Runs one program (1-3 ms, with nft 8-16); blocking. After an error the slot has its old rules:
// the caller closes TCP (Policy::closed for the proxy), calls close_slot and fails the request.
base::Result<> apply_slot_policy(int netns_fd, const Policy& policy, const RuleLoader& loader);

// Nothing leaves the slot any more, by any protocol, until apply_slot_policy succeeds. By two
// routes that lead nowhere, which takes no program and no time; by rules if the kernel refuses
// those. Blocking.
base::Result<> close_slot(int netns_fd, const RuleLoader& loader);

// Whether going from one policy to the other changes what is in the slot.
bool slot_rules_differ(const Policy& before, const Policy& after);

}  // namespace netfilter
