// Operations on cgroup directories by path, shared by the owner of one sandbox (cgroup.h) and by
// gc: making the parents, ending everything in a subtree, removing it. Blocking.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "emulator/base/result.h"
#include "namespaces/cgroup_layout.h"

namespace namespaces {

// "sandlot/<instance>": the parent of an instance's cgroups in every hierarchy.
std::filesystem::path instance_cgroup(const std::string& instance);

// Makes the instance's parent cgroup in every used hierarchy and, in version 2, hands memory, pids
// and cpu down to its children. Inside a container whose own cgroup has processes, moves them to a
// leaf first (the kernel wants it).
base::Result<> prepare_instance_cgroups(const CgroupLayout& layout, const std::string& instance);

// Removes the "sandlot" parent in every hierarchy when no instance is left in it.
void remove_empty_top(const CgroupLayout& layout);

// SIGKILL to everything in the subtree, frozen or not: `cgroup.kill` where there is one, else
// process by process.
void kill_cgroup_tree(const std::filesystem::path& directory);

// Removes the subtree, deepest first. False when something in it is still busy.
bool remove_cgroup_tree(const std::filesystem::path& directory);

// Directories directly below.
std::vector<std::filesystem::path> child_cgroups(const std::filesystem::path& directory);

}  // namespace namespaces
