// Makes one layer of a stack of captured layers (layer_capture.h), so that overlayfs has less to
// look through: on the same layers below it shows what the stack showed. Used by
// emulator/sandboxes when snapshots of sandboxes of snapshots become too many. Nothing that the
// layers have in them is copied: files get a further name. Blocking.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "emulator/base/result.h"

namespace namespaces {

struct MergeReport {
  std::uint64_t linked = 0;       // files
  std::uint64_t directories = 0;  // made
};

// Puts what shows of `lower` (directories on the same file system, the uppermost first; they are
// only read) into `target`, the layer above them. Whiteouts, opaque and redirected directories are
// followed as overlayfs does with redirect_dir=on, and written again for `below`, the layers that
// stay under the result (the uppermost first; looked at only to see what there is to hide: a
// whiteout in a directory that is of one layer alone would show). Nothing is synced. After an error
// `target` is half of both. Errors: kNoSpace; kFailedPrecondition when directories are nested
// deeper than kDeepestTree; those of the kernel (a file that has as many names as the file system
// allows).
base::Result<> merge_layers(const std::filesystem::path& target,
                            const std::vector<std::filesystem::path>& lower,
                            const std::vector<std::filesystem::path>& below,
                            MergeReport& report);

}  // namespace namespaces
