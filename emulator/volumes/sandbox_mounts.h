// The volumes that one sandbox has: kept by its owner for as long as the sandbox lives, known to
// the VolumeStore by its address. Dropping it frees the volumes; the mounts themselves go with the
// sandbox's mount namespace.
#pragma once

#include <functional>
#include <list>
#include <string>
#include <vector>

#include "emulator/base/result.h"
#include "emulator/base/unique_fd.h"
#include "fakeapi/cloud/volume_mounts.h"
#include "namespaces/volume_mount.h"

namespace emulator::volumes {

// How to reach a sandbox; without a process for one that is paused without memory. The functions
// are called while the SandboxMounts exists.
struct SandboxAccess {
  std::string id;
  pid_t pid = -1;
  int pidfd = -1;  // borrowed for the call
  // Stops everything in the sandbox for a moment, and lets it go on unless it has been paused
  // since. Optional.
  std::function<base::Task<>()> hold = {};
  std::function<base::Task<>()> let_go = {};
};

class SandboxMounts {
 public:
  struct Item {
    fakeapi::cloud::VolumeMount mount;
    namespaces::MountId kernel_id = 0;
  };

  SandboxMounts(SandboxAccess access, base::UniqueFd pidfd)
      : access_(std::move(access)), pidfd_(std::move(pidfd)) {}

  const std::string& sandbox() const { return access_.id; }
  const SandboxAccess& access() const { return access_; }
  namespaces::SandboxPlace place() const { return {access_.pid, pidfd_.get()}; }
  bool has(const std::string& volume_name) const;
  // As the API shows them.
  std::vector<fakeapi::cloud::VolumeMount> list() const;

  std::vector<Item> items;  // in the order of mounting; changed by VolumeStore alone

 private:
  SandboxAccess access_;
  base::UniqueFd pidfd_;
};

}  // namespace emulator::volumes
