// Where volumes are mounted in a sandbox, and the cloud's checks of such a list. Pure; whether the
// volumes exist is asked of the caller. Source: e2b infra, api/internal/handlers/sandbox_create.go
// (texts and order).
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "emulator/base/result.h"

namespace fakeapi::cloud {

struct VolumeMount {
  std::string name;  // of the volume
  std::string path;  // in the sandbox
  bool operator==(const VolumeMount&) const = default;
};

// Why nothing can be mounted there, or "".
std::string mount_path_problem(std::string_view path);

// kInvalidArgument with every problem of the list, as the cloud words it.
base::Result<> validate_mounts(const std::vector<VolumeMount>& mounts,
                               const std::function<bool(const std::string& name)>& exists);

}  // namespace fakeapi::cloud
