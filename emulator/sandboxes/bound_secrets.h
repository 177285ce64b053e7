// The secrets that a sandbox was created with: which variable holds the placeholder of which.
// Plain values, without what they stand for. Used by LocalSandboxService and PausedRecord.
#pragma once

#include <map>
#include <string>

#include "fakeapi/cloud/sandbox_service.h"

namespace emulator::sandboxes {

struct BoundSecret {
  std::string name;
  std::string placeholder;  // what its processes have seen last
  bool operator==(const BoundSecret&) const = default;
};
using BoundSecrets = std::map<std::string, BoundSecret>;  // by environment variable

// What the agent is told: `variables`, and the placeholders.
fakeapi::cloud::StringMap environment_of(fakeapi::cloud::StringMap variables,
                                         const BoundSecrets& secrets);
// As create was asked for them.
fakeapi::cloud::StringMap names_of(const BoundSecrets& secrets);

}  // namespace emulator::sandboxes
