// Whole trees: directories made with an owner, trees listed and removed. Long work gives the loop a
// turn in between. Everything runs as root and without permission checks, as the daemon does
// (contract-envd 1.11).
#pragma once

#include <sys/types.h>

#include <functional>
#include <string>

#include "emulator/base/result.h"

namespace fakeapi::envd {

// mkdir -p, mode 0755; only directories that did not exist get the owner. kInvalidArgument "path is
// a file: <p>" when something else is in the way.
base::Result<> ensure_directories(const std::string& path, uid_t uid, gid_t gid);

// Visits what is below `root` depth-first, parents first, names sorted bytewise, symlinks not
// followed, down to `depth` levels. `visit` gets full paths (root + "/" + ...); what vanishes
// meanwhile is skipped. The error is opendir's on the root itself.
base::Task<> walk_tree(std::string root,
                       std::uint32_t depth,
                       std::function<void(const std::string&)> visit);

// rm -rf; a path that does not exist is fine.
base::Task<> remove_tree(std::string path);

}  // namespace fakeapi::envd
