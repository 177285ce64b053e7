// Volumes: makes, grows and removes them, and mounts them into sandboxes. Implements what the
// control plane asks for (fakeapi/cloud) and what LocalSandboxService needs. One change at a time.
// Lives on one executor; the kernel work runs on a thread of its own.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/any_io_executor.hpp>

#include "emulator/base/async.h"
#include "emulator/base/clock.h"
#include "emulator/base/task_group.h"
#include "emulator/base/turns.h"
#include "emulator/volumes/catalogue.h"
#include "emulator/volumes/sandbox_mounts.h"
#include "emulator/volumes/volume_disk.h"
#include "fakeapi/cloud/volume_mounts.h"
#include "fakeapi/cloud/volume_service.h"

namespace emulator::volumes {

class VolumeStore final : public fakeapi::cloud::VolumeService {
 public:
  // `scratch`: see VolumeDisk.
  VolumeStore(boost::asio::any_io_executor executor,
              base::Clock& clock,
              std::unique_ptr<Catalogue> catalogue,
              VolumeDisk disk);
  ~VolumeStore() override;

  // Before anything else.
  base::Task<> start();
  // Waits for what is being deleted.
  boost::asio::awaitable<void> stop();

  base::Task<fakeapi::cloud::VolumeInfo> create(fakeapi::cloud::NewVolume wanted) override;
  base::Task<std::vector<fakeapi::cloud::VolumeInfo>> list() override;
  base::Task<fakeapi::cloud::VolumeInfo> get(std::string id) override;
  base::Task<fakeapi::cloud::VolumeInfo> set_quota(std::string id,
                                                   fakeapi::cloud::VolumeQuota quota) override;
  base::Task<> remove(std::string id) override;

  // What a create asks for: kInvalidArgument with every problem in the cloud's words.
  base::Task<> check(std::vector<fakeapi::cloud::VolumeMount> mounts);
  // All of them or, after an error, none that anybody sees: the sandbox must then be dropped.
  // `mounts` empty: an owner without mounts.
  base::Task<std::shared_ptr<SandboxMounts>> attach(
      SandboxAccess access, std::vector<fakeapi::cloud::VolumeMount> mounts);
  // The mounts of a sandbox that has no processes now: nobody can destroy its volumes meanwhile.
  std::shared_ptr<SandboxMounts> keep(std::string sandbox_id,
                                      std::vector<fakeapi::cloud::VolumeMount> mounts);
  // kInvalidArgument: unknown volume, bad path; kConflict: the path has one already.
  base::Task<> mount(std::shared_ptr<SandboxMounts> sandbox, fakeapi::cloud::VolumeMount mount);
  // kInvalidArgument: nothing is mounted there; kConflict: in use, without `force`.
  base::Task<> unmount(std::shared_ptr<SandboxMounts> sandbox, std::string path, bool force);

  // For the files: the volume's record, and its root directory.
  base::Task<VolumeRecord> find(std::string id);
  base::Task<VolumeRoot> open(std::string id);

 private:
  using SandboxPtr = std::shared_ptr<SandboxMounts>;
  // A file that a client has just read is open for a moment longer.
  static constexpr int kBusyAttempts = 20;
  static constexpr std::chrono::milliseconds kBusyPause{10};
  base::Task<VolumeRecord> find_by_name(std::string name);
  base::Task<fakeapi::cloud::VolumeInfo> describe(VolumeRecord record);
  base::Task<> mount_one(SandboxPtr sandbox, VolumeRecord record, std::string path);
  base::Task<> grow(VolumeRecord record, std::uint64_t size_gib);
  base::Task<> grow_between(VolumeRecord record, std::uint64_t size_gib, bool& was_out);
  base::Task<> take_out(std::vector<SandboxPtr> sandboxes,
                        std::string volume_name,
                        std::vector<std::pair<SandboxPtr, SandboxMounts::Item>>& taken);
  // Sandboxes that have the volume and still live.
  std::vector<SandboxPtr> users_of(const std::string& volume_name);
  boost::asio::awaitable<void> delete_files(std::string id);

  boost::asio::any_io_executor executor_;
  base::Clock& clock_;
  std::unique_ptr<Catalogue> catalogue_;
  VolumeDisk disk_;
  std::vector<std::weak_ptr<SandboxMounts>> sandboxes_;
  base::Turns turns_;  // of whatever changes something
  base::TaskGroup tasks_;
  base::BlockingPool thread_{1};  // disk_'s; joined first
  base::BlockingPool deleter_{1};
};

}  // namespace emulator::volumes
