// Deletes a directory tree whose content is hostile: names of any bytes, any depth, symlinks
// anywhere. Never follows a symlink, never enters a mount, never holds more than a few descriptors.
// Blocking, possibly for long: off the request path.
#pragma once

#include <filesystem>
#include <string>

#include "emulator/base/result.h"

namespace namespaces {

// Renames `victim` into `trash` (same file system) as `name`; nothing waits for the deletion.
// kNotFound when there is no victim.
base::Result<> move_to_trash(const std::filesystem::path& victim,
                             const std::filesystem::path& trash,
                             const std::string& name);

// Deletes the entry `name` of the directory `parent`. A missing one is fine.
base::Result<> remove_entry(const std::filesystem::path& parent, const std::string& name);

}  // namespace namespaces
