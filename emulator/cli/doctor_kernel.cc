#include "emulator/cli/doctor_kernel.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <cstring>

#include "emulator/base/ids.h"
#include "emulator/base/posix.h"
#include "emulator/base/scope_exit.h"
#include "namespaces/cgroup_layout.h"

namespace emulator::cli {
namespace {

namespace fs = std::filesystem;

constexpr const char* kUserMap =
    "0 268435456 65536\n";  // where slots begin (architecture.md section 1)
constexpr const char* kContainer =
    "in a container: docker run --privileged --cgroupns=private (see docker/compose.yaml)";

std::string reason(int error) {
  return std::strerror(error);
}  // NOLINT(concurrency-mt-unsafe)

// ---- A process in namespaces of its own, as a sandbox's first one.

struct Trial {
  int clone_error = 0;
  int proc_error = 0;  // mounting /proc inside
  base::UniqueFd userns;
};

// The child: waits until its ids are mapped, mounts its own /proc, says with which errno, waits for
// the end.
[[noreturn]] void trial_child(int go, int answer) {
  char byte = 0;
  if (::read(go, &byte, 1) != 1) ::_exit(1);
  int error = 0;
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_SLAVE, nullptr) != 0) error = errno;
  if (error == 0 &&
      ::mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr) != 0)
    error = errno;
  (void)!::write(answer, &error, sizeof error);
  (void)!::read(go, &byte, 1);
  ::_exit(0);
}

Trial try_namespaces() {
  Trial trial;
  auto go = base::make_pipe();
  auto answer = base::make_pipe();
  if (!go || !answer) {
    trial.clone_error = EMFILE;
    return trial;
  }
  clone_args arguments{};
  arguments.flags = CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC |
                    CLONE_NEWNET | CLONE_NEWCGROUP;
  arguments.exit_signal = SIGCHLD;
  const auto pid = static_cast<pid_t>(::syscall(SYS_clone3, &arguments, sizeof arguments));
  if (pid < 0) {
    trial.clone_error = errno;
    return trial;
  }
  if (pid == 0) {
    go->second.reset();
    trial_child(go->first.get(), answer->second.get());
  }
  const std::string process = "/proc/" + std::to_string(pid);
  auto mapped = base::write_control(process + "/uid_map", kUserMap);
  if (mapped) mapped = base::write_control(process + "/gid_map", kUserMap);
  if (auto userns = base::open_file(process + "/ns/user", O_RDONLY))
    trial.userns = std::move(*userns);
  answer->second.reset();
  trial.proc_error = mapped ? EIO : mapped.error().os_errno();
  if (mapped && ::write(go->second.get(), "g", 1) == 1) {
    int error = 0;
    if (::read(answer->first.get(), &error, sizeof error) == sizeof error) trial.proc_error = error;
  }
  go->second.reset();
  ::waitpid(pid, nullptr, 0);
  return trial;
}

Checks check_namespaces(const Trial& trial) {
  if (trial.clone_error == ENOSYS) {
    return {fail("kernel.clone3", "the call clone3 is not there (or a seccomp filter hides it)",
                 kContainer)};
  }
  if (trial.clone_error != 0) {
    const auto limit = base::read_file("/proc/sys/user/max_user_namespaces");
    const bool zero = limit && limit->starts_with("0");
    return {fail("kernel.namespaces", "clone3 with new namespaces: " + reason(trial.clone_error),
                 zero ? "sysctl -w user.max_user_namespaces=65536" : kContainer)};
  }
  Checks checks = {ok("kernel.namespaces",
                      "clone3 with new user, pid, mount, uts, ipc, net and cgroup namespaces")};
  if (trial.proc_error != 0) {
    checks.push_back(
        fail("kernel.proc", "mounting /proc inside them: " + reason(trial.proc_error),
             "in a container: docker run --security-opt systempaths=unconfined, or --privileged"));
  } else {
    checks.push_back(ok("kernel.proc", "a /proc of their own inside them"));
  }
  return checks;
}

// ---- Mounts.

// The errno of making a read-only clone of `path` shifted by the user namespace; 0 when it works.
// `at`: attached there.
int try_idmapped(const fs::path& path, int userns, const fs::path& at) {
  const base::UniqueFd clone(
      ::open_tree(AT_FDCWD, path.c_str(), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC));
  if (!clone) return errno;
  mount_attr attributes{};
  attributes.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_IDMAP;
  attributes.userns_fd = static_cast<decltype(attributes.userns_fd)>(userns);
  if (::mount_setattr(clone.get(), "", AT_EMPTY_PATH, &attributes, sizeof attributes) != 0)
    return errno;
  if (::move_mount(clone.get(), "", AT_FDCWD, at.c_str(), MOVE_MOUNT_F_EMPTY_PATH) != 0)
    return errno;
  return 0;
}

// The errno of an overlay over `lower` with a writable layer in `area`, and of writing a file to
// it.
int try_overlay(const fs::path& area, const fs::path& lower) {
  const std::string options = "lowerdir=" + lower.string() +
                              ",upperdir=" + (area / "upper").string() +
                              ",workdir=" + (area / "work").string();
  const std::string target = (area / "merged").string();
  if (::mount("overlay", target.c_str(), "overlay", 0, options.c_str()) != 0) return errno;
  auto written = base::write_file(target + "/probe", "x");
  const int error = written ? 0 : written.error().os_errno();
  ::umount2(target.c_str(), MNT_DETACH);
  return error;
}

Checks check_mounts(const fs::path& area, const Trial& trial) {
  if (::unshare(CLONE_NEWNS) != 0 ||
      ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
    return {fail("kernel.mounts", "a mount namespace: " + reason(errno),
                 "run as root: sudo sandlot doctor")};
  }
  const base::UniqueFd context(::fsopen("tmpfs", FSOPEN_CLOEXEC));
  if (!context) {
    return {fail("kernel.mount-api", "the call fsopen: " + reason(errno),
                 "a kernel of 5.19 or later, and " + std::string(kContainer))};
  }
  Checks checks = {ok("kernel.mount-api", "fsopen, open_tree, move_mount, mount_setattr")};
  const base::UniqueFd overlay(::fsopen("overlay", FSOPEN_CLOEXEC));
  if (!overlay) {
    checks.push_back(
        fail("kernel.overlay", "the overlay file system: " + reason(errno), "modprobe overlay"));
    return checks;
  }
  if (const int error = try_overlay(area, area / "lower"); error != 0) {
    checks.push_back(fail("kernel.overlay",
                          "an overlay whose writable layer is at " + area.parent_path().string() +
                              ": " + reason(error),
                          "sandlot serve --data-dir DIR, with DIR on ext4, xfs, btrfs or tmpfs (in "
                          "a container: a volume)"));
    return checks;
  }
  if (::lsetxattr((area / "lower").c_str(), "trusted.overlay.opaque", "y", 1, 0) != 0) {
    checks.push_back(
        fail("kernel.overlay",
             "trusted.* attributes at " + area.parent_path().string() + ": " + reason(errno),
             "sandlot serve --data-dir DIR, with DIR on ext4, xfs, btrfs or tmpfs"));
    return checks;
  }
  checks.push_back(
      ok("kernel.overlay", "overlay with a writable layer at " + area.parent_path().string()));
  if (!trial.userns) return checks;
  for (const auto& [path, at] : {std::pair<fs::path, fs::path>{area / "lower", area / "shifted"},
                                 {"/usr", area / "shifted-usr"}}) {
    int error = try_idmapped(path, trial.userns.get(), at);
    if (error == 0) error = try_overlay(area, at);
    const std::string where = path == "/usr" ? "/usr" : area.parent_path().string();
    if (error != 0) {
      checks.push_back(fail("kernel.idmap",
                            "an overlay over an idmapped clone of " + where + ": " + reason(error),
                            "a kernel of 5.19 or later, with " + where + " on ext4, xfs or btrfs"));
    } else {
      checks.push_back(ok("kernel.idmap", "overlay over an idmapped clone of " + where));
    }
  }
  return checks;
}

// The nearest existing directory at or above `path`.
fs::path existing(fs::path path) {
  std::error_code error;
  while (!fs::is_directory(path, error) && path.has_relative_path()) path = path.parent_path();
  return path;
}

Check check_version() {
  utsname name{};
  ::uname(&name);
  int major = 0;
  int minor = 0;
  (void)std::sscanf(name.release, "%d.%d", &major,
                    &minor);  // NOLINT(cert-err34-c): a kernel's own number
  const std::string detail = std::string("Linux ") + name.release + ", " + name.machine;
  if (major > 5 || (major == 5 && minor >= 19)) return ok("kernel.version", detail);
  return fail("kernel.version", detail + ": idmapped overlay layers came with 5.19",
              "apt-get install -y linux-image-amd64");
}

}  // namespace

Check check_privilege() {
  constexpr std::pair<int, const char*> kNeeded[] = {
      {CAP_CHOWN, "CHOWN"},          {CAP_DAC_OVERRIDE, "DAC_OVERRIDE"},
      {CAP_FOWNER, "FOWNER"},        {CAP_KILL, "KILL"},
      {CAP_SETGID, "SETGID"},        {CAP_SETUID, "SETUID"},
      {CAP_SETPCAP, "SETPCAP"},      {CAP_NET_ADMIN, "NET_ADMIN"},
      {CAP_NET_RAW, "NET_RAW"},      {CAP_SYS_CHROOT, "SYS_CHROOT"},
      {CAP_SYS_ADMIN, "SYS_ADMIN"},  {CAP_MKNOD, "MKNOD"},
      {CAP_SYS_PTRACE, "SYS_PTRACE"}};
  if (::geteuid() != 0) {
    return fail("privilege",
                "not root: namespaces owned by the machine, mounts and cgroups need it",
                "sudo sandlot doctor");
  }
  std::uint64_t effective = 0;
  if (auto status = base::read_file("/proc/self/status")) {
    const std::size_t at = status->find("CapEff:");
    if (at != std::string::npos) effective = std::strtoull(status->c_str() + at + 7, nullptr, 16);
  }
  std::string missing;
  for (const auto& [number, name] : kNeeded) {
    if ((effective >> number & 1U) == 0)
      missing += std::string(missing.empty() ? "" : " ") + "CAP_" + name;
  }
  if (!missing.empty()) return fail("privilege", "root, but without " + missing, kContainer);
  if ((effective >> CAP_SYS_RESOURCE & 1U) == 0) {
    return warn("privilege",
                "root without CAP_SYS_RESOURCE: a sandbox's daemon cannot be protected from the "
                "memory killer, limits cannot be raised",
                "in a container: docker run --cap-add SYS_RESOURCE");
  }
  return ok("privilege", "root with the capabilities that are needed");
}

Checks check_kernel(const fs::path& data_dir) {
  Checks checks = {check_version()};
  if (::geteuid() != 0) return checks;
  const fs::path area = existing(data_dir) / (".sandlot-doctor-" + base::random_id(8));
  const base::ScopeExit clean([&area] {
    std::error_code error;
    fs::remove_all(area, error);
  });
  for (const char* name : {"lower", "upper", "work", "merged", "shifted", "shifted-usr"}) {
    auto made = base::make_directories(area / name);
    if (!made) {
      checks.push_back(fail("data-dir", made.error().message(),
                            "sandlot serve --data-dir DIR, with a DIR that can be written"));
      return checks;
    }
  }
  const Checks tried = in_child("kernel", [&area] {
    const Trial trial = try_namespaces();
    Checks found = check_namespaces(trial);
    for (Check& check : check_mounts(area, trial)) found.push_back(std::move(check));
    return found;
  });
  checks.insert(checks.end(), tried.begin(), tried.end());
  return checks;
}

Checks check_cgroups() {
  auto layout = namespaces::CgroupLayout::of_this_machine();
  if (!layout)
    return {fail("cgroup", layout.error().message(), "mount -t cgroup2 none /sys/fs/cgroup")};
  Checks checks;
  const bool v2 = !layout->v2_root().empty();
  std::string found;
  std::string missing;
  for (const char* name : {"memory", "cpu", "pids"}) {
    const namespaces::CgroupController* controller = layout->find(name);
    if (controller == nullptr) {
      missing += std::string(missing.empty() ? "" : ", ") + name;
    } else {
      found += std::string(found.empty() ? "" : ", ") + name + " v" +
               (controller->version == namespaces::CgroupVersion::kV2 ? "2" : "1");
    }
  }
  if (!v2 && layout->find("freezer") == nullptr) {
    checks.push_back(fail("cgroup.layout",
                          "neither version 2 nor the freezer of version 1: nothing could be paused "
                          "or killed as a whole",
                          "mount -t cgroup2 none /sys/fs/cgroup"));
    return checks;
  }
  const std::string kind = !v2 ? "version 1"
                           : found.find("v1") != std::string::npos
                               ? "hybrid (version 2 beside version 1)"
                               : "version 2";
  if (missing.empty()) {
    checks.push_back(ok("cgroup.layout", kind + "; limits: " + found));
  } else {
    const std::string root = v2 ? layout->v2_root().string() : "/sys/fs/cgroup";
    checks.push_back(warn("cgroup.layout", kind + "; not limited: " + missing,
                          "boot with cgroup_enable=memory, or: echo '+memory +cpu +pids' > " +
                              root + "/cgroup.subtree_control"));
  }
  if (::geteuid() != 0) return checks;
  for (const fs::path& root : layout->used_roots()) {
    const fs::path probe = root / ("sandlot-doctor-" + base::random_id(8));
    if (::mkdir(probe.c_str(), 0755) != 0) {
      checks.push_back(
          fail("cgroup.write", "a group in " + root.string() + ": " + reason(errno), kContainer));
      return checks;
    }
    ::rmdir(probe.c_str());
  }
  checks.push_back(
      ok("cgroup.write",
         "groups can be made in " + std::to_string(layout->used_roots().size()) + " hierarchies"));
  return checks;
}

}  // namespace emulator::cli
