// The cgroups of one sandbox: `sandlot/<instance>/<id>` in every hierarchy that the machine has for
// it. Limits go to whichever tree has the controller, freezing and killing to version 2 wherever it
// is mounted (architecture.md section 4). Blocking; files only, so that a recorded tree serves in
// tests.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "emulator/base/result.h"
#include "emulator/base/unique_fd.h"
#include "namespaces/cgroup_layout.h"
#include "namespaces/container_runtime.h"

namespace namespaces {

class Cgroup {
 public:
  // The instance's parents exist already (prepare_instance_cgroups). `layout` must outlive the
  // result.
  static base::Result<Cgroup> create(const CgroupLayout& layout,
                                     const std::string& instance,
                                     const std::string& id,
                                     const Limits& limits);
  Cgroup(Cgroup&&) = default;
  Cgroup& operator=(Cgroup&&) = default;
  // Removes what is empty; a busy cgroup needs kill() and remove() until it is true.
  ~Cgroup();

  // The version 2 directory to be born in; empty when there is none. And the version 1 `tasks`
  // files, open for writing. Neither survives release_descriptors().
  int birth_fd() const { return birth_fd_.get(); }
  std::vector<int> task_fds() const;
  void release_descriptors();

  // Asks for the state; is_frozen tells when it is reached.
  base::Result<> set_frozen(bool frozen);
  base::Result<bool> is_frozen() const;
  void kill();
  base::Result<Usage> usage() const;
  // The processes in it, in our pid namespace.
  base::Result<std::vector<pid_t>> processes() const;
  // In bytes; 0 without a controller for memory.
  std::uint64_t memory_limit() const;
  base::Result<> set_memory(int megabytes);
  // True when no directory is left.
  bool remove();

 private:
  Cgroup(const CgroupLayout& layout, std::filesystem::path relative)
      : layout_(&layout), relative_(std::move(relative)) {}

  base::Result<> make_directories();

  const CgroupLayout* layout_;
  std::filesystem::path relative_;                  // sandlot/<instance>/<id>
  std::vector<std::filesystem::path> directories_;  // all of them, each once
  base::UniqueFd birth_fd_;
  std::vector<base::UniqueFd> task_fds_;
};

// The two that read and write limits, on whatever tree the layout names; `relative` exists there.
base::Result<> write_limits(const CgroupLayout& layout,
                            const std::filesystem::path& relative,
                            const Limits& limits);
Usage read_usage(const CgroupLayout& layout, const std::filesystem::path& relative);

// "key value" lines, as in memory.stat and cpu.stat; 0 when the key is missing.
std::uint64_t read_cgroup_key(const std::filesystem::path& file, std::string_view key);

}  // namespace namespaces
