// What the application needs of its own process and of the run directory, and that is no part of
// the emulator itself. Used by application.cc alone.
#pragma once

#include <cstddef>
#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "emulator/base/movable_clock.h"
#include "emulator/config/options.h"
#include "emulator/sandboxes/blank_pool.h"
#include "fakeapi/envd/sandbox_configuration.h"
#include "netfilter/machine_uplink.h"

namespace emulator {

// Makes the step named by SANDLOT_TEST_FAIL_STEP fail in every create: for the test that a failing
// create leaves no trace (CONTRIBUTING, "Making a create fail").
sandboxes::FailStep fail_step_from_environment();

// What crashed emulators left is removed, but for these paused sandboxes; what cannot be is logged.
void collect_garbage_of_others(const std::filesystem::path& run_dir,
                               const std::filesystem::path& data_dir,
                               const std::set<std::string>& kept);

// By which names the control API answers.
std::vector<std::string> control_hosts(const config::Options& options);

// What the agents are told before `clock` goes on by `advance`.
fakeapi::envd::ClockSetting agents_clock(const base::MovableClock& clock,
                                         std::chrono::milliseconds advance);

// Lines of our mount table below a directory.
std::size_t count_mounts(const std::filesystem::path& below);

// Every sandbox and every connection holds a few descriptors; the default soft limit is for small
// programs.
void raise_descriptor_limit();
// How many this process may have now.
std::size_t descriptor_limit();

// <run_dir>/<instance>, removed with what is in it when everything that uses it is gone. It stays
// while the record of an uplink is in it: that one could not be undone, and `gc` needs to find it.
class InstanceDirectory {
 public:
  InstanceDirectory() = default;
  InstanceDirectory(const InstanceDirectory&) = delete;
  InstanceDirectory& operator=(const InstanceDirectory&) = delete;
  ~InstanceDirectory() {
    std::error_code ignored;
    if (path.empty() || std::filesystem::exists(path / netfilter::kUplinkRecord, ignored)) return;
    std::filesystem::remove_all(path, ignored);
  }
  std::filesystem::path path;
};

}  // namespace emulator
