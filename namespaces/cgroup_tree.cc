#include "namespaces/cgroup_tree.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <sstream>

#include "emulator/base/posix.h"

namespace namespaces {

namespace {

namespace fs = std::filesystem;
using base::Result;

constexpr const char* kTop = "sandlot";

void move_all_processes(const fs::path& from, const fs::path& to) {
  auto text = base::read_file(from / "cgroup.procs");
  if (!text) return;
  std::istringstream lines(*text);
  // One that has ended or is a kernel thread stays; the next write tells.
  for (std::string pid; lines >> pid;) (void)base::write_control(to / "cgroup.procs", pid);
}

Result<> delegate_controllers(const CgroupLayout& layout, const fs::path& directory) {
  std::string wanted;
  for (const char* name : {"memory", "pids", "cpu"}) {
    if (layout.v2_has(name)) wanted += (wanted.empty() ? "+" : " +") + std::string(name);
  }
  if (wanted.empty()) return {};
  auto written = base::write_control(directory / "cgroup.subtree_control", wanted);
  if (written || written.error().os_errno() != EBUSY) return written;
  SANDLOT_CHECK(base::make_directories(directory / "init"));
  move_all_processes(directory, directory / "init");
  return base::write_control(directory / "cgroup.subtree_control", wanted);
}

void kill_processes(const fs::path& directory) {
  auto text = base::read_file(directory / "cgroup.procs");
  if (!text) return;
  std::istringstream lines(*text);
  for (pid_t pid = 0; lines >> pid;) {
    if (pid > 1) ::kill(pid, SIGKILL);
  }
}

}  // namespace

fs::path instance_cgroup(const std::string& instance) {
  return fs::path(kTop) / instance;
}

Result<> prepare_instance_cgroups(const CgroupLayout& layout, const std::string& instance) {
  for (const auto& root : layout.used_roots()) {
    // Twice: another instance that ends right now may remove the common parent (remove_empty_top).
    if (base::make_directories(root / instance_cgroup(instance))) continue;
    SANDLOT_CHECK(base::make_directories(root / instance_cgroup(instance)));
  }
  const fs::path& v2 = layout.v2_root();
  if (v2.empty()) return {};
  SANDLOT_CHECK(delegate_controllers(layout, v2));
  SANDLOT_CHECK(delegate_controllers(layout, v2 / kTop));
  return delegate_controllers(layout, v2 / instance_cgroup(instance));
}

void remove_empty_top(const CgroupLayout& layout) {
  for (const auto& root : layout.used_roots()) ::rmdir((root / kTop).c_str());
}

std::vector<fs::path> child_cgroups(const fs::path& directory) {
  std::vector<fs::path> children;
  std::error_code error;
  for (fs::directory_iterator it(directory, error), end; !error && it != end; it.increment(error)) {
    std::error_code ignored;
    if (it->is_directory(ignored)) children.push_back(it->path());
  }
  return children;
}

void kill_cgroup_tree(const fs::path& directory) {
  if (base::write_control(directory / "cgroup.kill", "1")) return;
  for (const auto& child : child_cgroups(directory)) kill_cgroup_tree(child);
  kill_processes(directory);
  // A process frozen by a version 1 freezer dies when it thaws.
  if (::access((directory / "freezer.state").c_str(), F_OK) == 0) {
    (void)base::write_control(directory / "freezer.state", "THAWED");
  }
}

bool remove_cgroup_tree(const fs::path& directory) {
  if (::rmdir(directory.c_str()) == 0 || errno == ENOENT) return true;
  bool removed = true;
  for (const auto& child : child_cgroups(directory)) removed = remove_cgroup_tree(child) && removed;
  return removed && (::rmdir(directory.c_str()) == 0 || errno == ENOENT);
}

}  // namespace namespaces
