#include "namespaces/mount_plan.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/mount.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <initializer_list>

namespace namespaces {

namespace {

constexpr unsigned kPlain = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
constexpr unsigned kData = kPlain | MOUNT_ATTR_NOEXEC;

using Kind = ProtectedPaths::Kind;

// The usual defaults of container engines, plus what newer kernels added.
constexpr ProtectedPaths::Item kCandidates[] = {
    {"proc/acpi", Kind::kHiddenDirectory},
    {"proc/asound", Kind::kHiddenDirectory},
    {"proc/interrupts", Kind::kHiddenFile},
    {"proc/kcore", Kind::kHiddenFile},
    {"proc/keys", Kind::kHiddenFile},
    {"proc/latency_stats", Kind::kHiddenFile},
    {"proc/sched_debug", Kind::kHiddenFile},
    {"proc/scsi", Kind::kHiddenDirectory},
    {"proc/timer_list", Kind::kHiddenFile},
    {"proc/timer_stats", Kind::kHiddenFile},
    {"sys/devices/virtual/powercap", Kind::kHiddenDirectory},
    {"sys/firmware", Kind::kHiddenDirectory},
    {"proc/bus", Kind::kReadOnly},
    {"proc/fs", Kind::kReadOnly},
    {"proc/irq", Kind::kReadOnly},
    {"proc/sys", Kind::kReadOnly},
    {"proc/sysrq-trigger", Kind::kReadOnly},
};

struct Option {
  const char* key;
  const char* value;
};

// A new file system of `type` as a detached mount.
int make_mount(const char* type, std::initializer_list<Option> options, unsigned attributes) {
  int context = ::fsopen(type, FSOPEN_CLOEXEC);
  if (context < 0) return -1;
  bool good = true;
  for (const Option& option : options) {
    if (!good) break;
    auto command = option.value == nullptr ? FSCONFIG_SET_FLAG : FSCONFIG_SET_STRING;
    good = ::fsconfig(context, command, option.key, option.value, 0) == 0;
  }
  good = good && ::fsconfig(context, FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) == 0;
  int mount = good ? ::fsmount(context, FSMOUNT_CLOEXEC, attributes) : -1;
  int saved = errno;
  ::close(context);
  errno = saved;
  return mount;
}

// The directory `name` of the new root; made when the layers lack it. A symlink in its place is
// followed inside the root only.
int mount_point(int root_fd, const char* name) {
  open_how how{};
  how.flags = O_PATH | O_DIRECTORY | O_CLOEXEC;
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
  auto open = [&] {
    return static_cast<int>(::syscall(SYS_openat2, root_fd, name, &how, sizeof how));
  };
  int fd = open();
  if (fd >= 0 || errno != ENOENT) return fd;
  if (::mkdirat(root_fd, name, 0755) != 0) return -1;
  return open();
}

bool attach(int mount_fd, int target_fd) {
  return ::move_mount(mount_fd, "", target_fd, "",
                      MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) == 0;
}

// Attaches `mount_fd` at root/`name` and closes the mount point's descriptor.
bool attach_at(int mount_fd, int root_fd, const char* name) {
  if (mount_fd < 0) return false;
  int point = mount_point(root_fd, name);
  if (point < 0) return false;
  bool good = attach(mount_fd, point);
  int saved = errno;
  ::close(point);
  errno = saved;
  return good;
}

// Makes a file system and attaches it below a mount of ours, whose directories are known to be
// plain.
bool mount_below(int parent_fd,
                 const char* name,
                 const char* type,
                 std::initializer_list<Option> options,
                 unsigned attributes) {
  int mount = make_mount(type, options, attributes);
  if (mount < 0) return false;
  bool good = ::move_mount(mount, "", parent_fd, name, MOVE_MOUNT_F_EMPTY_PATH) == 0;
  int saved = errno;
  ::close(mount);
  errno = saved;
  return good;
}

bool cover(int source_fd, const char* source, int root_fd, const char* target) {
  int clone = ::open_tree(source_fd, source,
                          OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC |
                              (*source == '\0' ? static_cast<unsigned>(AT_EMPTY_PATH) : 0U));
  if (clone < 0) return false;
  bool good = ::move_mount(clone, "", root_fd, target, MOVE_MOUNT_F_EMPTY_PATH) == 0;
  int saved = errno;
  ::close(clone);
  errno = saved;
  return good;
}

// A read-only view of source_fd/`source` over root/`target`.
bool cover_read_only(int source_fd, const char* source, int root_fd, const char* target) {
  int clone = ::open_tree(source_fd, source, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
  if (clone < 0) return false;
  mount_attr attributes{};
  attributes.attr_set = MOUNT_ATTR_RDONLY;
  bool good = ::mount_setattr(clone, "", AT_EMPTY_PATH, &attributes, sizeof attributes) == 0 &&
              ::move_mount(clone, "", root_fd, target, MOVE_MOUNT_F_EMPTY_PATH) == 0;
  int saved = errno;
  ::close(clone);
  errno = saved;
  return good;
}

FailedStep protect(int root_fd, int dev_fd, const ProtectedPaths& paths) {
  for (const auto& item : paths) {
    switch (item.kind) {
      case Kind::kHiddenFile:
        if (!cover(dev_fd, "null", root_fd, item.path)) return item.path;
        break;
      case Kind::kReadOnly:
        if (!cover_read_only(root_fd, item.path, root_fd, item.path)) return item.path;
        break;
      case Kind::kHiddenDirectory:
        if (!mount_below(root_fd, item.path, "tmpfs",
                         {{"size", "4k"}, {"nr_inodes", "1"}, {"mode", "755"}},
                         kData | MOUNT_ATTR_RDONLY)) {
          return item.path;
        }
        break;
    }
  }
  return nullptr;
}

// /proc/sys/kernel/random/boot_id: each start of a sandbox is a boot of its own
// (contract-envd 5.10). The text is a file of the sandbox's /dev, gone from there when it is
// attached.
bool attach_boot_id(int root_fd, int dev_fd) {
  constexpr const char* kName = ".boot_id";
  unsigned char random[16];
  if (::getrandom(random, sizeof random, 0) != sizeof random) return false;
  random[6] = static_cast<unsigned char>((random[6] & 0x0fU) | 0x40U);
  random[8] = static_cast<unsigned char>((random[8] & 0x3fU) | 0x80U);
  char text[40];
  std::size_t size = 0;
  for (std::size_t i = 0; i < sizeof random; ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) text[size++] = '-';
    text[size++] = "0123456789abcdef"[random[i] >> 4U];
    text[size++] = "0123456789abcdef"[random[i] & 0x0fU];
  }
  text[size++] = '\n';
  int file = ::openat(dev_fd, kName, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444);
  if (file < 0) return false;
  bool good = ::write(file, text, size) == static_cast<ssize_t>(size);
  ::close(file);
  good = good && cover_read_only(dev_fd, kName, root_fd, "proc/sys/kernel/random/boot_id");
  int saved = errno;
  ::unlinkat(dev_fd, kName, 0);
  errno = saved;
  return good;
}

FailedStep change_root(int root_fd) {
  if (::fchdir(root_fd) != 0) return "enter new root";
  if (::syscall(SYS_pivot_root, ".", ".") == 0) {
    // The old root is stacked on top of the new one now; "." is still the old place.
    if (::umount2(".", MNT_DETACH) != 0) return "detach old root";
  } else {
    // Refused when the current root is the initial ramfs.
    if (errno != EINVAL) return "pivot_root";
    if (::mount(".", "/", nullptr, MS_MOVE, nullptr) != 0) return "move root";
    if (::chroot(".") != 0) return "chroot";
  }
  return ::chdir("/") == 0 ? nullptr : "chdir";
}

}  // namespace

void ProtectedPaths::collect() {
  size_ = 0;
  int root = ::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (root < 0) return;
  for (const Item& item : kCandidates) {
    struct stat info {};
    if (::fstatat(root, item.path, &info, AT_SYMLINK_NOFOLLOW) != 0) continue;
    if (S_ISDIR(info.st_mode) == (item.kind == Kind::kHiddenFile)) continue;
    items_[size_++] = item;
  }
  ::close(root);
}

FailedStep enter_new_root(const MountInputs& in, const ProtectedPaths& paths) {
  const int root = in.root_fd;
  if (::move_mount(root, "", AT_FDCWD, kNewRoot, MOVE_MOUNT_F_EMPTY_PATH) != 0)
    return "attach root";
  if (in.usr_fd >= 0 && !attach_at(in.usr_fd, root, "usr")) return "attach usr";

  // A new proc needs a fully visible one in this namespace; the spawner's is still there.
  int proc = make_mount("proc", {}, kData);
  if (!attach_at(proc, root, "proc")) return "mount proc";
  if (!attach_at(in.sys_fd, root, "sys")) return "attach sys";

  if (!attach_at(in.dev_fd, root, "dev")) return "attach dev";
  if (!mount_below(in.dev_fd, "pts", "devpts",
                   {{"newinstance", nullptr}, {"ptmxmode", "0666"}, {"mode", "0620"}, {"gid", "5"}},
                   MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC)) {
    return "mount devpts";
  }
  if (!mount_below(in.dev_fd, "shm", "tmpfs", {{"mode", "1777"}}, kPlain)) return "mount shm";
  if (!mount_below(in.dev_fd, "mqueue", "mqueue", {}, kData)) return "mount mqueue";

  int run = make_mount("tmpfs", {{"mode", "0755"}}, kPlain);
  if (!attach_at(run, root, "run")) return "mount run";
  ::close(run);
  if (::mkdirat(root, "tmp", 01777) == 0) ::fchmodat(root, "tmp", 01777, 0);

  if (FailedStep failed = protect(root, in.dev_fd, paths)) return failed;
  if (!attach_boot_id(root, in.dev_fd)) return "attach boot id";
  ::close(proc);
  return change_root(root);
}

}  // namespace namespaces
