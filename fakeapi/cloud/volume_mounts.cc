#include "fakeapi/cloud/volume_mounts.h"

#include <filesystem>
#include <set>

namespace fakeapi::cloud {

namespace {

constexpr std::size_t kLongestPath = 4000;  // below PATH_MAX

// What a sandbox cannot live without.
constexpr std::string_view kReserved[] = {"/proc", "/sys", "/dev"};

}  // namespace

std::string mount_path_problem(std::string_view path) {
  if (path.empty()) return "path cannot be empty";
  if (path.front() != '/') return "path must be absolute";
  // As Go's filepath.Clean would leave it: no empty, "." or ".." part, no slash at the end.
  std::string clean = std::filesystem::path(path).lexically_normal().string();
  if (clean.size() > 1 && clean.back() == '/') clean.pop_back();
  if (clean != path) return "path must not contain any '.' or '..' components";
  if (path == "/") return "path cannot be the root directory";
  if (path.find('\0') != std::string_view::npos) return "path must not contain a zero byte";
  if (path.size() > kLongestPath) return "path is too long";
  for (std::string_view reserved : kReserved) {
    if (path == reserved || (path.starts_with(reserved) && path[reserved.size()] == '/')) {
      return "path '" + std::string(path) + "' belongs to the system";
    }
  }
  return "";
}

base::Result<> validate_mounts(const std::vector<VolumeMount>& mounts,
                               const std::function<bool(const std::string& name)>& exists) {
  std::string problems;
  std::set<std::string> used;
  for (std::size_t index = 0; index < mounts.size(); ++index) {
    const VolumeMount& mount = mounts[index];
    std::string reason;
    if (!exists(mount.name)) {
      reason = "volume '" + mount.name + "' not found";
    } else if (std::string problem = mount_path_problem(mount.path); !problem.empty()) {
      reason = std::move(problem);
    } else if (!used.insert(mount.path).second) {
      reason = "path '" + mount.path + "' is already used";
    }
    if (reason.empty()) continue;
    problems += "\n\t- volume mount #" + std::to_string(index) + ": " + reason;
  }
  if (problems.empty()) return {};
  return base::fail(base::Errc::kInvalidArgument, "invalid mounts:" + problems);
}

}  // namespace fakeapi::cloud
