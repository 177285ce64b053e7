// The files of volumes: <data_dir>/volumes/<id>/data, a directory, or, with a quota,
// <data_dir>/volumes/<id>/image, a file system of that size which is mounted when it is first used
// and stays so. Every call is made on one thread, which has a mount namespace of its own: no mount
// shows in the machine's table, and all go with the emulator. Used by VolumeStore. Blocking.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "emulator/base/result.h"
#include "emulator/base/unique_fd.h"
#include "fakeapi/cloud/volume_service.h"
#include "namespaces/volume_image.h"
#include "namespaces/volume_mount.h"

namespace emulator::volumes {

using Quota = std::optional<fakeapi::cloud::VolumeQuota>;

// The root directory of a volume that is in use; whoever holds it keeps the volume from being
// removed.
using VolumeRoot = std::shared_ptr<const base::UniqueFd>;

class VolumeDisk {
 public:
  // `scratch`: a directory of this emulator's own, made and mounted over.
  VolumeDisk(std::filesystem::path data_dir, std::filesystem::path scratch, std::string instance)
      : data_dir_(std::move(data_dir)),
        scratch_(std::move(scratch)),
        instance_(std::move(instance)) {}

  // First, on the thread that makes all other calls.
  base::Result<> enter_own_mounts();

  // Makes an empty volume where nobody finds it; publish() shows it, discard() undoes either.
  base::Result<> make(const std::string& id, const Quota& quota);
  base::Result<> publish(const std::string& id);
  void discard(const std::string& id);

  base::Result<VolumeRoot> open(const std::string& id, const Quota& quota);
  // What its files take, in bytes.
  base::Result<std::uint64_t> used(const std::string& id, const Quota& quota);
  // While it is in use; kPermissionDenied where this process may not.
  base::Result<> grow(const std::string& id, const Quota& from, std::uint64_t size_gib);
  // kConflict when anybody uses it, in whatever mount: nothing has changed then.
  base::Result<> grow_unmounted(const std::string& id, std::uint64_t size_gib);
  // kConflict when anybody uses it, in another emulator too: nothing has changed then.
  base::Result<> check_unused(const std::string& id);
  // Makes its name free at once; delete_removed() takes the time that its files need.
  base::Result<> remove(const std::string& id);
  base::Result<> delete_removed(const std::string& id);
  // What a killed emulator was making or removing.
  void remove_all_but(const std::set<std::string>& ids);
  // Lets go of every volume; last.
  void close_all() { opened_.clear(); }

 private:
  struct Opened {
    std::optional<namespaces::MountedImage> image;
    VolumeRoot root;
  };

  // No other emulator uses this data directory.
  bool is_alone() const;
  std::filesystem::path place(const std::string& id) const { return data_dir_ / "volumes" / id; }
  std::filesystem::path trash() const { return data_dir_ / "trash"; }
  std::string trash_name(const std::string& id) const { return instance_ + "-" + id; }
  // Lets go of it. kConflict when somebody uses it: we have it as before.
  base::Result<> close(const std::string& id);

  std::filesystem::path data_dir_;
  std::filesystem::path scratch_;
  std::string instance_;
  bool entered_ = false;  // else nothing is mounted: it would show on the machine
  std::map<std::string, Opened> opened_;
};

}  // namespace emulator::volumes
