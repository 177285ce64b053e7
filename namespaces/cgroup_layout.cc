#include "namespaces/cgroup_layout.h"

#include <algorithm>
#include <sstream>

#include "emulator/base/posix.h"

namespace namespaces {

namespace {

namespace fs = std::filesystem;

// The fields of a mountinfo line that matter here (proc(5)): mount point, type, super block
// options.
struct MountLine {
  std::string point;
  std::string type;
  std::string options;
};

MountLine parse_line(const std::string& line) {
  std::istringstream fields(line);
  std::string skip;
  MountLine mount;
  fields >> skip >> skip >> skip >> skip >> mount.point >> skip;
  while (fields >> skip && skip != "-") {
  }
  fields >> mount.type >> skip >> mount.options;
  return mount;
}

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part, separator);) {
    while (!part.empty() && part.back() == '\n') part.pop_back();
    if (!part.empty()) parts.push_back(part);
  }
  return parts;
}

}  // namespace

CgroupLayout CgroupLayout::parse(std::string_view mountinfo) {
  CgroupLayout layout;
  std::istringstream lines{std::string(mountinfo)};
  for (std::string line; std::getline(lines, line);) {
    MountLine mount = parse_line(line);
    if (mount.type == "cgroup2" && layout.v2_root_.empty()) layout.v2_root_ = mount.point;
    if (mount.type != "cgroup") continue;
    for (const auto& option : split(mount.options, ',')) {
      if (option == "rw" || option == "ro" || option.find('=') != std::string::npos) continue;
      layout.controllers_.try_emplace(option, CgroupController{CgroupVersion::kV1, mount.point});
    }
  }
  if (layout.v2_root_.empty()) return layout;
  auto text = base::read_file(layout.v2_root_ / "cgroup.controllers");
  if (!text) return layout;
  for (const auto& name : split(*text, ' ')) {
    layout.controllers_[name] = {CgroupVersion::kV2, layout.v2_root_};
  }
  return layout;
}

base::Result<CgroupLayout> CgroupLayout::of_this_machine() {
  SANDLOT_TRY(auto text, base::read_file("/proc/self/mountinfo"));
  return parse(text);
}

bool CgroupLayout::v2_has(std::string_view controller) const {
  const CgroupController* found = find(controller);
  return found != nullptr && found->version == CgroupVersion::kV2;
}

const CgroupController* CgroupLayout::find(std::string_view controller) const {
  auto found = controllers_.find(controller);
  return found == controllers_.end() ? nullptr : &found->second;
}

std::vector<fs::path> CgroupLayout::used_roots() const {
  std::vector<fs::path> roots;
  auto add = [&](const fs::path& root) {
    if (!root.empty() && std::find(roots.begin(), roots.end(), root) == roots.end()) {
      roots.push_back(root);
    }
  };
  add(v2_root_);
  for (const char* name : {"memory", "pids", "cpu"}) {
    if (const auto* controller = find(name)) add(controller->root);
  }
  if (v2_root_.empty()) {
    if (const auto* freezer = find("freezer")) add(freezer->root);
  }
  return roots;
}

}  // namespace namespaces
