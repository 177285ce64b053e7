#include "tests/bench/floor_rootfs.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <system_error>

namespace bench {

namespace fs = std::filesystem;

namespace {

constexpr const char* kSkeletonLayer = "/lower";

FailedStep write_text(const char* path, const char* text, std::size_t size) {
  base::UniqueFd file(::open(path, O_WRONLY | O_CLOEXEC));
  if (!file) return "open id map";
  return ::write(file.get(), text, size) == static_cast<ssize_t>(size) ? nullptr : "write id map";
}

// A user namespace with the floor's id map, for idmapped mounts. Its only process ends before this
// returns.
FailedStep make_user_namespace(base::UniqueFd& out) {
  pid_t child = static_cast<pid_t>(
      ::syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, nullptr, nullptr, nullptr, 0UL));
  if (child < 0) return "clone for the layer's id map";
  if (child == 0) {
    for (;;) ::pause();
  }
  FailedStep failed = map_ids(child);
  std::array<char, 64> path{};
  std::snprintf(path.data(), path.size(), "/proc/%d/ns/user", child);
  out.reset(::open(path.data(), O_RDONLY | O_CLOEXEC));
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  if (failed != nullptr) return failed;
  return out ? nullptr : "open the layer's user namespace";
}

FailedStep attach_layer(const std::string& source, const std::string& target, int user_namespace) {
  base::UniqueFd tree(::open_tree(AT_FDCWD, source.c_str(), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC));
  if (!tree) return "clone layer";
  mount_attr attributes{};
  attributes.attr_set = MOUNT_ATTR_RDONLY;
  if (user_namespace >= 0) {
    attributes.attr_set |= MOUNT_ATTR_IDMAP;
    attributes.userns_fd = static_cast<__u64>(user_namespace);
  }
  if (::mount_setattr(tree.get(), "", AT_EMPTY_PATH, &attributes, sizeof attributes) != 0)
    return "idmap layer";
  if (::move_mount(tree.get(), "", AT_FDCWD, target.c_str(), MOVE_MOUNT_F_EMPTY_PATH) != 0)
    return "attach layer";
  return nullptr;
}

FailedStep make_dev_template(const std::string& dev) {
  if (::mount("dev", dev.c_str(), "tmpfs", MS_NOSUID | MS_NOEXEC, "mode=755") != 0)
    return "mount /dev template";
  struct Node {
    const char* name;
    unsigned minor;
  };
  for (Node node : {Node{"null", 3}, {"zero", 5}, {"full", 7}, {"random", 8}, {"urandom", 9}}) {
    std::string path = dev + "/" + node.name;
    if (::mknod(path.c_str(), S_IFCHR | 0666, makedev(1, node.minor)) != 0 ||
        ::chmod(path.c_str(), 0666) != 0) {
      return "mknod";
    }
  }
  for (const char* name : {"/pts", "/shm"}) {
    if (::mkdir((dev + name).c_str(), 0755) != 0) return "mkdir in /dev template";
  }
  if (::symlink("/proc/self/fd", (dev + "/fd").c_str()) != 0) return "symlink";
  return nullptr;
}

}  // namespace

FailedStep map_ids(int pid) {
  std::array<char, 64> line{};
  int size = std::snprintf(line.data(), line.size(), "0 %u %u\n", kFirstId, kIdCount);
  for (const char* which : {"uid_map", "gid_map"}) {
    std::array<char, 64> path{};
    std::snprintf(path.data(), path.size(), "/proc/%d/%s", pid, which);
    if (FailedStep failed = write_text(path.data(), line.data(), static_cast<std::size_t>(size)))
      return failed;
  }
  return nullptr;
}

FailedStep make_skeleton(const std::string& directory) {
  std::error_code error;
  fs::path root = directory + "/skeleton";
  for (const char* name :
       {"proc", "sys", "dev", "tmp", "run", "etc", "root", "usr", "var", "home/user"}) {
    fs::create_directories(root / name, error);
    if (error) return "skeleton directories";
  }
  for (const char* name : {"bin", "sbin", "lib", "lib64"}) {
    fs::create_symlink(fs::path("usr") / name, root / name, error);
    if (error) return "skeleton links";
  }
  for (const char* name : {"passwd", "group", "profile", "profile.d", "bash.bashrc",
                           "nsswitch.conf", "hosts", "ld.so.cache"}) {
    fs::copy(fs::path("/etc") / name, root / "etc" / name, fs::copy_options::recursive, error);
  }
  fs::permissions(root / "tmp", fs::perms::all | fs::perms::sticky_bit, error);
  return nullptr;
}

FailedStep enter_clean_namespace(const std::string& directory) {
  base::UniqueFd user_namespace;
  if (FailedStep failed = make_user_namespace(user_namespace)) return failed;
  if (::unshare(CLONE_NEWNS) != 0) return "unshare mounts";
  if (::mount("", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return "make mounts private";
  std::string root = directory + "/clean";
  if (::mkdir(root.c_str(), 0755) != 0) return "mkdir clean root";
  if (::mount("clean", root.c_str(), "tmpfs", 0, "mode=755") != 0) return "mount clean root";
  for (const char* name : {"/lower", "/usr", "/data", "/cgroup", "/proc", "/sys", "/dev", "/new"}) {
    if (::mkdir((root + name).c_str(), 0755) != 0) return "mkdir in clean root";
  }
  if (FailedStep failed =
          attach_layer(directory + "/skeleton", root + kSkeletonLayer, user_namespace.get())) {
    return failed;
  }
  if (FailedStep failed = attach_layer("/usr", root + kUsrLayer, user_namespace.get()))
    return failed;
  if (FailedStep failed = make_dev_template(root + kDevTemplate)) return failed;
  if (::mount(directory.c_str(), (root + "/data").c_str(), nullptr, MS_BIND, nullptr) != 0)
    return "bind data";
  if (::mount("cgroup2", (root + kCgroupRoot).c_str(), "cgroup2", 0, nullptr) != 0)
    return "mount cgroup2";
  if (::mount("proc", (root + "/proc").c_str(), "proc", 0, nullptr) != 0) return "mount proc";
  if (::mount("sysfs", (root + "/sys").c_str(), "sysfs", 0, nullptr) != 0) return "mount sysfs";
  if (::chdir(root.c_str()) != 0 || ::syscall(SYS_pivot_root, ".", ".") != 0 ||
      ::umount2(".", MNT_DETACH) != 0 || ::chdir("/") != 0) {
    return "pivot into the clean root";
  }
  if (::mkdir("/data/sandboxes", 0700) != 0) return "mkdir sandboxes";
  return nullptr;
}

FailedStep make_overlay(unsigned id, base::UniqueFd& mount) {
  std::array<char, 64> upper{};
  std::array<char, 64> work{};
  std::array<char, 64> parent{};
  std::snprintf(parent.data(), parent.size(), "/data/sandboxes/%u", id);
  std::snprintf(upper.data(), upper.size(), "/data/sandboxes/%u/u", id);
  std::snprintf(work.data(), work.size(), "/data/sandboxes/%u/w", id);
  if (::mkdir(parent.data(), 0755) != 0) return "mkdir sandbox";
  for (const char* path : {upper.data(), work.data()}) {
    if (::mkdir(path, 0755) != 0 || ::chown(path, kFirstId, kFirstId) != 0)
      return "mkdir upper and work";
  }
  base::UniqueFd context(::fsopen("overlay", FSOPEN_CLOEXEC));
  if (!context) return "fsopen overlay";
  auto set = [&](const char* key, const char* value) {
    return ::fsconfig(context.get(), FSCONFIG_SET_STRING, key, value, 0) == 0;
  };
  if (!set("lowerdir", kSkeletonLayer) || !set("upperdir", upper.data()) ||
      !set("workdir", work.data()) ||
      ::fsconfig(context.get(), FSCONFIG_SET_FLAG, "volatile", nullptr, 0) != 0 ||
      ::fsconfig(context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0) {
    return "configure overlay";
  }
  mount.reset(::fsmount(context.get(), FSMOUNT_CLOEXEC, 0));
  return mount ? nullptr : "fsmount overlay";
}

void remove_overlay_directories(unsigned id) {
  std::error_code ignored;
  fs::remove_all("/data/sandboxes/" + std::to_string(id), ignored);
}

}  // namespace bench
