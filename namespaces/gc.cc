#include "namespaces/gc.h"

#include <sys/mount.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <sstream>
#include <thread>

#include "emulator/base/posix.h"
#include "namespaces/cgroup_layout.h"
#include "namespaces/cgroup_tree.h"
#include "namespaces/tree_removal.h"

namespace namespaces {

namespace {

namespace fs = std::filesystem;
using base::Result;

std::vector<std::string> entries(const fs::path& directory) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator it(directory, error), end; !error && it != end; it.increment(error)) {
    names.push_back(it->path().filename());
  }
  std::sort(names.begin(), names.end());
  return names;
}

// Mount points below `directory`, the latest first.
Result<std::vector<std::string>> mounts_below(const fs::path& directory) {
  std::vector<std::string> points;
  SANDLOT_TRY(auto text, base::read_file("/proc/self/mountinfo"));
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream fields(line);
    std::string point;
    for (int i = 0; i < 5; ++i) fields >> point;
    for (auto at = point.find("\\040"); at != std::string::npos; at = point.find("\\040")) {
      point.replace(at, 4, " ");
    }
    if (point.starts_with(directory.string() + "/")) points.push_back(point);
  }
  std::reverse(points.begin(), points.end());
  return points;
}

class Collection {
 public:
  Collection(fs::path run_root,
             fs::path data_dir,
             bool dry_run,
             const std::optional<std::set<std::string>>& only,
             const std::set<std::string>& kept)
      : run_root_(std::move(run_root)),
        data_dir_(std::move(data_dir)),
        dry_run_(dry_run),
        only_(only),
        kept_(kept) {}

  Result<GcReport> run() {
    SANDLOT_TRY(layout_, CgroupLayout::of_this_machine());
    read_records(run_root_);
    read_records(data_dir_ / "sandboxes");
    for (const auto& [name, error] : damaged_) {
      if (instances_.contains(name)) continue;
      report_.failed.push_back("instance " + name + ", whose record cannot be read: " + error);
    }
    for (const auto& [name, alive] : instances_) {
      if (!alive && only_ && !only_->contains(name)) continue;
      (alive ? report_.alive : report_.dead).push_back(name);
      if (!alive) collect_instance(name);
    }
    collect_trash();
    if (!dry_run_) remove_empty_top(layout_);
    return std::move(report_);
  }

 private:
  // An instance lives when any of its records says so. A directory without one is nobody's
  // business; one with a record that says nothing may be a live instance's.
  void read_records(const fs::path& parent) {
    for (const auto& name : entries(parent)) {
      auto record = read_instance_record(parent / name);
      if (record) {
        instances_[name] = instances_[name] || is_alive(*record);
      } else if (record.error().code() != base::Errc::kNotFound &&
                 record.error().os_errno() != ENOTDIR) {
        damaged_[name] = record.error().message();
      }
    }
  }

  void done(std::string object, const Result<>& result) {
    if (result) {
      report_.removed.push_back(std::move(object));
    } else {
      report_.failed.push_back(object + ": " + result.error().message());
    }
  }

  void collect_instance(const std::string& name) {
    for (const auto& root : layout_.used_roots()) collect_cgroups(root / instance_cgroup(name));
    fs::path run = run_root_ / name;
    auto points = mounts_below(run);
    for (const auto& point : points.value_or(std::vector<std::string>())) unmount(point);
    // What is still mounted is not ours to delete from.
    if (!dry_run_) points = mounts_below(run);
    if (!points) done("directory " + run.string(), base::Failure(points.error()));
    if (points && (dry_run_ || points->empty())) remove_directory(run_root_, name);
    remove_sandboxes(name);
  }

  // The record stays while there is anything: it says that the instance is dead.
  void remove_sandboxes(const std::string& instance) {
    fs::path directory = data_dir_ / "sandboxes" / instance;
    auto all = entries(directory);
    auto kept = [this](const std::string& name) { return kept_.contains(name); };
    if (std::none_of(all.begin(), all.end(), kept)) {
      return remove_directory(data_dir_ / "sandboxes", instance);
    }
    for (const auto& name : all) {
      if (!kept(name) && name != kInstanceRecord) remove_directory(directory, name);
    }
  }

  void collect_cgroups(const fs::path& directory) {
    std::error_code ignored;
    if (!fs::exists(directory, ignored)) return;
    if (dry_run_) return done("cgroup " + directory.string(), {});
    bool removed = remove_cgroup_tree(directory);
    for (int attempt = 0; !removed && attempt < 100; ++attempt) {
      kill_cgroup_tree(directory);
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
      removed = remove_cgroup_tree(directory);
    }
    done("cgroup " + directory.string(),
         removed ? Result<>() : base::fail(base::os_error("remove", EBUSY)));
  }

  void unmount(const std::string& point) {
    bool good = dry_run_ || ::umount2(point.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) == 0;
    done("mount " + point, good ? Result<>() : base::fail_errno("unmount"));
  }

  void remove_directory(const fs::path& parent, const std::string& name) {
    std::error_code ignored;
    if (!fs::exists(parent / name, ignored)) return;
    done("directory " + (parent / name).string(),
         dry_run_ ? Result<>() : remove_entry(parent, name));
  }

  // Entries are "<instance>-<id>": those of a live instance are being deleted by it right now.
  void collect_trash() {
    fs::path trash = data_dir_ / "trash";
    for (const auto& name : entries(trash)) {
      std::string instance = name.substr(0, name.find('-'));
      auto owner = instances_.find(instance);
      bool known = owner != instances_.end();
      if (known ? !owner->second : !damaged_.contains(instance)) remove_directory(trash, name);
    }
  }

  fs::path run_root_;
  fs::path data_dir_;
  bool dry_run_;
  const std::optional<std::set<std::string>>& only_;
  const std::set<std::string>& kept_;
  CgroupLayout layout_;
  std::map<std::string, bool> instances_;       // name -> alive
  std::map<std::string, std::string> damaged_;  // name -> why its record cannot be read
  GcReport report_;
};

}  // namespace

Result<GcReport> collect(const fs::path& run_root,
                         const fs::path& data_dir,
                         bool dry_run,
                         const std::optional<std::set<std::string>>& only,
                         const std::set<std::string>& kept) {
  // The mount table knows real paths only.
  std::error_code error;
  fs::path real = fs::weakly_canonical(run_root, error);
  return Collection(error ? run_root : real, data_dir, dry_run, only, kept).run();
}

Result<ObjectCounts> count_objects(const fs::path& data_dir, const std::string& instance) {
  SANDLOT_TRY(auto layout, CgroupLayout::of_this_machine());
  ObjectCounts counts;
  for (const auto& root : layout.used_roots()) {
    counts.cgroups += child_cgroups(root / instance_cgroup(instance)).size();
  }
  for (const auto& name : entries(data_dir / "sandboxes" / instance)) {
    if (name != kInstanceRecord) ++counts.directories;
  }
  for (const auto& name : entries(data_dir / "trash")) {
    if (name.starts_with(instance + "-")) ++counts.trash;
  }
  return counts;
}

}  // namespace namespaces
