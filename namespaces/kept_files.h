// The writable directories of sandboxes that run no more and are to run again:
// <data_dir>/sandboxes/<instance>/<id>, left by Container::end or by an instance that died. Which
// ones they are is their owner's knowledge (emulator/sandboxes). Blocking.
#pragma once

#include <filesystem>
#include <string>

#include "emulator/base/result.h"

namespace namespaces {

// False for one of which nothing is left.
bool is_live_instance(const std::filesystem::path& data_dir, const std::string& instance);

// Moves the directory of sandbox `id` to `instance`, from whichever one has it; one that it left
// empty goes. Call only for sandboxes of dead instances. kNotFound when there is none.
base::Result<> adopt_files(const std::filesystem::path& data_dir,
                           const std::string& instance,
                           const std::string& id);

// Removes what is left of an instance that has ended, unless files are kept there.
base::Result<> remove_instance_files(const std::filesystem::path& data_dir,
                                     const std::string& instance);

}  // namespace namespaces
