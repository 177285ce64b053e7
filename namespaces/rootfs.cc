#include "namespaces/rootfs.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <array>
#include <initializer_list>

#include "emulator/base/posix.h"
#include "namespaces/tree_removal.h"

namespace namespaces {

namespace {

using base::Errc;
using base::Result;
using base::UniqueFd;
namespace fs = std::filesystem;

// Bind mount of the writable directories below the scratch directory: option strings stay short and
// the sandbox's mount table does not show where they are.
constexpr const char* kUppers = "u";
// fsconfig takes 255 bytes a string.
constexpr std::size_t kMaxOption = 255;
constexpr std::size_t kMaxLayers = 4096;

Result<> set_option(int context, const char* key, const std::string& value) {
  if (::fsconfig(context, FSCONFIG_SET_STRING, key, value.c_str(), 0) == 0) return {};
  return base::fail_errno(std::string("overlay ") + key);
}

Result<> set_lower(int context, const std::vector<std::string>& names) {
  std::string joined;
  for (const auto& name : names) joined += (joined.empty() ? "" : ":") + name;
  if (joined.size() <= kMaxOption) return set_option(context, "lowerdir", joined);
  // One by one, where the kernel can (6.8).
  for (const auto& name : names) SANDLOT_CHECK(set_option(context, "lowerdir+", name));
  return {};
}

struct Node {
  const char* name;
  mode_t mode;
  unsigned major;
  unsigned minor;
};
constexpr Node kNodes[] = {
    {"null", 0666, 1, 3},    {"zero", 0666, 1, 5}, {"full", 0666, 1, 7},    {"random", 0666, 1, 8},
    {"urandom", 0666, 1, 9}, {"tty", 0666, 5, 0},  {"fuse", 0666, 10, 229},
};
struct Link {
  const char* name;
  const char* target;
};
constexpr Link kLinks[] = {
    {"ptmx", "pts/ptmx"},          {"fd", "/proc/self/fd"},       {"stdin", "/proc/self/fd/0"},
    {"stdout", "/proc/self/fd/1"}, {"stderr", "/proc/self/fd/2"}, {"core", "/proc/kcore"},
};

}  // namespace

namespace {

Result<> make_owned(const fs::path& directory,
                    IdRange ids,
                    const std::vector<const char*>& names,
                    bool may_exist) {
  SANDLOT_TRY(auto parent, base::open_file(directory, O_PATH | O_DIRECTORY));
  for (const char* name : names) {
    if (::mkdirat(parent.get(), name, 0755) != 0) {
      if (may_exist && errno == EEXIST) continue;
      return base::fail_errno(name);
    }
    if (::fchownat(parent.get(), name, ids.first, ids.first, AT_SYMLINK_NOFOLLOW) != 0) {
      return base::fail_errno(std::string("chown ") + name);
    }
  }
  return {};
}

}  // namespace

Result<> fill_writable(const fs::path& directory, IdRange ids, bool with_usr) {
  std::vector<const char*> names{"upper", "work"};
  if (with_usr) names.insert(names.end(), {"usr-upper", "usr-work"});
  return make_owned(directory, ids, names, false);
}

Result<> renew_writable(const fs::path& directory, IdRange ids, bool with_usr) {
  struct stat info {};
  if (::lstat((directory / "upper").c_str(), &info) != 0) {
    return base::fail_errno("files of " + directory.filename().string());
  }
  // A volatile overlay leaves a mark by which the kernel refuses to mount it again.
  for (const char* name : {"work", "usr-work"}) SANDLOT_CHECK(remove_entry(directory, name));
  std::vector<const char*> names{"work"};
  if (with_usr) names.insert(names.end(), {"usr-upper", "usr-work"});
  return make_owned(directory, ids, names, true);
}

Result<UniqueFd> make_dev(IdRange ids) {
  UniqueFd context(::fsopen("tmpfs", FSOPEN_CLOEXEC));
  if (!context) return base::fail_errno("open tmpfs");
  std::string owner = std::to_string(ids.first);
  for (auto [key, value] : std::initializer_list<std::pair<const char*, const char*>>{
           {"mode", "0755"}, {"size", "64m"}, {"uid", owner.c_str()}, {"gid", owner.c_str()}}) {
    if (::fsconfig(context.get(), FSCONFIG_SET_STRING, key, value, 0) != 0) {
      return base::fail_errno(std::string("dev ") + key);
    }
  }
  if (::fsconfig(context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0) {
    return base::fail_errno("make dev");
  }
  UniqueFd dev(::fsmount(context.get(), FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID));
  if (!dev) return base::fail_errno("mount dev");
  auto own = [&](const char* name) {
    return ::fchownat(dev.get(), name, ids.first, ids.first, AT_SYMLINK_NOFOLLOW) == 0;
  };
  for (const Node& node : kNodes) {
    if (::mknodat(dev.get(), node.name, S_IFCHR | node.mode, makedev(node.major, node.minor)) !=
            0 ||
        !own(node.name)) {
      return base::fail_errno(std::string("device ") + node.name);
    }
  }
  for (const char* name : {"pts", "shm", "mqueue"}) {
    if (::mkdirat(dev.get(), name, 0755) != 0 || !own(name)) return base::fail_errno(name);
  }
  for (const Link& link : kLinks) {
    if (::symlinkat(link.target, dev.get(), link.name) != 0 || !own(link.name)) {
      return base::fail_errno(link.name);
    }
  }
  return dev;
}

Result<> RootfsBuilder::enter_own_mounts(const fs::path& scratch, const fs::path& sandboxes) {
  // Implies an own root, working directory and umask for this thread.
  if (::unshare(CLONE_NEWNS) != 0) return base::fail_errno("unshare mounts");
  ::umask(0);
  // Mounts that the machine makes later still arrive (layers may be on them); ours do not leave.
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_SLAVE, nullptr) != 0) {
    return base::fail_errno("slave mounts");
  }
  if (::mount("none", scratch.c_str(), "tmpfs", MS_NOSUID | MS_NODEV, "mode=0700") != 0) {
    return base::fail_errno("mount scratch");
  }
  if (::mount(nullptr, scratch.c_str(), nullptr, MS_PRIVATE, nullptr) != 0) {
    return base::fail_errno("private scratch");
  }
  if (::chdir(scratch.c_str()) != 0) return base::fail_errno("enter scratch");
  if (::mkdir(kUppers, 0700) != 0) return base::fail_errno("make scratch");
  if (::mount(sandboxes.c_str(), kUppers, nullptr, MS_BIND, nullptr) != 0) {
    return base::fail_errno("bind " + sandboxes.string());
  }
  return {};
}

Result<int> RootfsBuilder::userns_of(IdRange ids) {
  if (!last_userns_ || userns_first_ != ids.first) {
    SANDLOT_TRY(last_userns_, userns_(ids));
    userns_first_ = ids.first;
  }
  return last_userns_.get();
}

void RootfsBuilder::forget_layers() {
  for (const auto& [key, layer] : layers_) ::umount2(layer.name.c_str(), MNT_DETACH);
  layers_.clear();
}

Result<std::string> RootfsBuilder::layer(const fs::path& path, IdRange ids) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return base::fail_errno("layer " + path.string());
  std::pair key(ids.first, path.string());
  auto found = layers_.find(key);
  if (found != layers_.end()) {
    if (found->second.device == info.st_dev && found->second.inode == info.st_ino) {
      return found->second.name;
    }
    ::umount2(found->second.name.c_str(), MNT_DETACH);  // the template was built anew
    layers_.erase(found);
  }
  SANDLOT_TRY(int userns, userns_of(ids));
  UniqueFd clone(::open_tree(AT_FDCWD, path.c_str(), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC));
  if (!clone) return base::fail_errno("clone layer " + path.string());
  mount_attr attributes{};
  attributes.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_IDMAP;
  attributes.propagation = MS_PRIVATE;
  attributes.userns_fd = static_cast<__u64>(userns);
  if (::mount_setattr(clone.get(), "", AT_EMPTY_PATH, &attributes, sizeof attributes) != 0) {
    return base::fail_errno("idmap layer " + path.string());
  }
  std::string name = std::to_string(next_layer_++);
  if (::mkdir(name.c_str(), 0700) != 0) return base::fail_errno("make layer point");
  if (::move_mount(clone.get(), "", AT_FDCWD, name.c_str(), MOVE_MOUNT_F_EMPTY_PATH) != 0) {
    return base::fail_errno("attach layer " + path.string());
  }
  layers_.emplace(std::move(key), Layer{name, info.st_dev, info.st_ino});
  return name;
}

Result<UniqueFd> RootfsBuilder::overlay(const std::vector<fs::path>& layers,
                                        IdRange ids,
                                        const std::string& upper,
                                        const std::string& work) {
  std::vector<std::string> names;
  for (const auto& path : layers) {
    SANDLOT_TRY(auto name, layer(path, ids));
    names.push_back(std::move(name));
  }
  UniqueFd context(::fsopen("overlay", FSOPEN_CLOEXEC));
  if (!context) return base::fail_errno("open overlay");
  SANDLOT_CHECK(set_lower(context.get(), names));
  SANDLOT_CHECK(set_option(context.get(), "upperdir", upper));
  SANDLOT_CHECK(set_option(context.get(), "workdir", work));
  // rename(2) of a directory of a lower layer works, as on any other file system.
  SANDLOT_CHECK(set_option(context.get(), "redirect_dir", "on"));
  // Some kernels are built with it: then a layer has files whose content is in another one.
  SANDLOT_CHECK(set_option(context.get(), "metacopy", "off"));
  SANDLOT_CHECK(set_option(context.get(), "source", "rootfs"));
  // Nothing is synced: a sandbox's files need not outlive the machine (performance.md 2.3).
  if (::fsconfig(context.get(), FSCONFIG_SET_FLAG, "volatile", nullptr, 0) != 0) {
    return base::fail_errno("overlay volatile");
  }
  if (::fsconfig(context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0) {
    return base::fail_errno("make overlay");
  }
  // Device nodes of a layer mean nothing (a hostile image could carry a disk); setuid programs do
  // (sudo).
  UniqueFd mount(::fsmount(context.get(), FSMOUNT_CLOEXEC, MOUNT_ATTR_NODEV));
  if (!mount) return base::fail_errno("mount overlay");
  return mount;
}

Result<Rootfs> RootfsBuilder::build(const RootfsSpec& spec, IdRange ids, const std::string& name) {
  if (spec.root_layers.empty()) return base::fail(Errc::kInvalidArgument, "no root layer");
  if (layers_.size() > kMaxLayers) forget_layers();
  std::string base = std::string(kUppers) + "/" + name + "/";
  Rootfs rootfs;
  SANDLOT_TRY(rootfs.root, overlay(spec.root_layers, ids, base + "upper", base + "work"));
  if (!spec.usr_layers.empty()) {
    SANDLOT_TRY(rootfs.usr, overlay(spec.usr_layers, ids, base + "usr-upper", base + "usr-work"));
  }
  last_userns_.reset();
  SANDLOT_TRY(rootfs.dev, make_dev(ids));
  return rootfs;
}

}  // namespace namespaces
