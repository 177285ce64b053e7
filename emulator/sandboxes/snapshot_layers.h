// The directories of snapshots: <data-dir>/snapshots/<id>/{root,usr}. A layer that is in use is
// held by a shared lock on its directory, in this emulator and in others on the same data
// directory, so that nobody deletes what somebody else's sandboxes read. The lock goes with the
// process. Used by snapshot_catalogue. Knows no database. Blocking.
#pragma once

#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "emulator/base/result.h"
#include "emulator/base/unique_fd.h"
#include "namespaces/container_runtime.h"

namespace emulator::sandboxes {

class SnapshotLayers {
 public:
  // `instance` marks what this emulator throws away (namespaces/gc.h).
  SnapshotLayers(std::filesystem::path data_dir, std::string instance)
      : data_dir_(std::move(data_dir)), instance_(std::move(instance)) {}

  std::filesystem::path directory(const std::string& id) const {
    return data_dir_ / "snapshots" / id;
  }

  // An empty directory for a layer that is being made, held. Its name is not the layer's yet.
  struct Draft {
    std::string id;
    std::filesystem::path directory;
    base::UniqueFd hold;
  };
  base::Result<Draft> begin(const std::string& id) const;
  // Puts these finished layers, the uppermost first, into it: it needs nothing of them any more.
  // `below`: what stays under them. Errors of namespaces::merge_layers.
  base::Result<> flatten(const Draft& draft,
                         const std::vector<std::string>& lower,
                         const namespaces::RootfsSpec& below) const;
  // Everything in it reaches the disk. kNoSpace when it does not fit after all.
  static base::Result<> sync(const Draft& draft);
  // Gives it its name, on the disk too.
  base::Result<> finish(const Draft& draft) const;
  // Of a draft, or of a finished layer that nothing names.
  void discard(const std::filesystem::path& directory) const;

  // kNotFound when it is gone; os_errno() EWOULDBLOCK while somebody has claimed it, who may give
  // it back.
  base::Result<base::UniqueFd> hold(const std::string& id) const;
  // Whether anybody holds it.
  bool is_held(const std::string& id) const;

  // A layer or draft that nobody holds, and that nobody can hold until the claim is gone.
  struct Claim {
    std::string id;
    base::UniqueFd lock;
  };
  // Of every directory that is not `named`.
  std::vector<Claim> claim(const std::set<std::string>& named) const;

 private:
  std::filesystem::path data_dir_;
  std::string instance_;
};

}  // namespace emulator::sandboxes
