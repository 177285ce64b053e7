// Owner, mode, times and extended attributes of one captured entry, with a sandbox's ids turned
// into those of a template's layers. Used by layer_capture.cc. Blocking.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <string>

#include "emulator/base/result.h"
#include "namespaces/container_runtime.h"

namespace namespaces {

// The same name in two directories, or, with a null name, the directories themselves.
struct EntryPair {
  int from = -1;
  int into = -1;
  const char* name = nullptr;
};

// `info` is the source's. A symlink is not followed.
base::Result<> copy_attributes(const struct stat& info, const EntryPair& entry, IdRange ids);

// The id inside the sandbox; 65534 (nobody) for one that is not the sandbox's.
std::uint32_t inner_id(std::uint32_t id, IdRange ids);

// An attribute's value as a template's layer has it: ids in ACLs and in file capabilities are
// shifted. False: the attribute is left out.
bool translate_attribute(const std::string& name, std::string& value, IdRange ids);

}  // namespace namespaces
