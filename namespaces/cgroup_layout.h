// Where the machine keeps which controller: version 2, version 1, or a mix of both (an empty
// version 2 tree beside version 1 controllers). Read once from /proc/self/mountinfo; in tests from
// a recorded text and file tree.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "emulator/base/result.h"

namespace namespaces {

enum class CgroupVersion { kV1, kV2 };

struct CgroupController {
  CgroupVersion version = CgroupVersion::kV2;
  std::filesystem::path root;  // of the hierarchy
};

class CgroupLayout {
 public:
  // The text of /proc/self/mountinfo. Reads `cgroup.controllers` of the version 2 tree it names.
  static CgroupLayout parse(std::string_view mountinfo);
  static base::Result<CgroupLayout> of_this_machine();

  // Empty when version 2 is not mounted. Freezing and killing work there even without a controller.
  const std::filesystem::path& v2_root() const { return v2_root_; }
  bool v2_has(std::string_view controller) const;
  // The hierarchy that limits `controller`, or nullptr: version 2 first.
  const CgroupController* find(std::string_view controller) const;
  // Every hierarchy that sandboxes have a cgroup in, each once: v2, and those of memory, pids, cpu,
  // and the freezer when there is no v2.
  std::vector<std::filesystem::path> used_roots() const;

 private:
  std::filesystem::path v2_root_;
  std::map<std::string, CgroupController, std::less<>> controllers_;
};

}  // namespace namespaces
