// Copies what a sandbox has written, the writable directory of an overlay, into a layer that other
// sandboxes can be made from: same content, ids shifted back to those of a template's layers. Used
// by linux_runtime.cc (Container::capture). The source must not change meanwhile (a frozen
// sandbox). Blocking, for as long as the copying takes.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <unordered_map>

#include "emulator/base/result.h"
#include "emulator/base/unique_fd.h"
#include "namespaces/container_runtime.h"

#include <time.h>

namespace namespaces {

// What the last capture of a directory took, so that the next one need not copy a file again that
// has not changed: it gets a link to the layer's file. Only where files cannot be shared, and only
// from the second capture on, because those files must be written out first: nothing but that makes
// a later store through a mapping change the file's ctime.
struct CaptureHistory {
  struct File {
    off_t size = 0;
    timespec changed{};
    std::string path;  // in the layer
  };
  int captures = 0;
  bool can_share = true;
  base::UniqueFd layer;
  std::unordered_map<ino_t, File> files;  // by the inode of the source
};

// Makes `target`, which must not exist, from the directory `source`; adds its figures to `report`.
// Kept: modes with setuid, owners, times, hard links inside the layer, symlinks, fifos, holes,
// whiteouts, opaque and redirected directories, user.* attributes, ACLs and file capabilities.
// Left out: sockets, device nodes, what overlayfs notes about the lower layer's inodes. Files are
// shared with the source where the file system can (FICLONE), else with
// the layer of the last capture. Nothing is synced. After an error
// `target` is left half made. Errors: kNoSpace; kFailedPrecondition when directories are nested
// deeper than kDeepestTree.
base::Result<> capture_layer(const std::filesystem::path& source,
                             const std::filesystem::path& target,
                             IdRange ids,
                             CaptureReport& report,
                             CaptureHistory& history);

inline constexpr int kDeepestTree = 1000;

}  // namespace namespaces
