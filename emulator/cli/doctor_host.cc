#include "emulator/cli/doctor_host.h"

#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <charconv>
#include <sstream>

#include "emulator/base/posix.h"
#include "emulator/base/run_tool.h"

namespace emulator::cli {
namespace {

namespace fs = std::filesystem;

constexpr int kOldestNode = 20;

// The program inside a sandbox: below /usr, outside /usr/local (which `base` hides).
fs::path inside(const std::string& name) {
  for (const char* folder : {"/usr/bin/", "/usr/sbin/"}) {
    if (::access((folder + name).c_str(), X_OK) == 0) return folder + name;
  }
  return {};
}

// Whether and where a program is that sandboxes cannot see; the words to add.
std::string elsewhere(const std::string& name) {
  auto path = base::find_tool(name);
  return path ? " (" + *path + " is outside /usr: sandboxes do not see it)" : "";
}

Check check_tool(const std::string& name, const std::string& package) {
  const fs::path path = inside(name);
  if (!path.empty()) return ok("base." + name, path.string());
  return warn("base." + name, "sandboxes of `base` will have no " + name + elsewhere(name),
              "apt-get install -y " + package);
}

Check check_node() {
  const std::string mend = "make deps in the source tree, or Node " + std::to_string(kOldestNode) +
                           " or later from a package that installs to /usr/bin";
  const fs::path path = inside("node");
  if (path.empty())
    return warn("base.node", "sandboxes of `base` will have no node" + elsewhere("node"), mend);
  base::ToolSpec spec;
  spec.argv = {path.string(), "--version"};
  spec.timeout = std::chrono::seconds(5);
  auto ran = base::run_tool(spec);
  if (!ran || ran->exit_code != 0) return warn("base.node", path.string() + " does not run", mend);
  int major = 0;
  if (ran->out.size() > 1)
    (void)std::from_chars(ran->out.data() + 1, ran->out.data() + ran->out.size(), major);
  const std::string version = ran->out.substr(0, ran->out.find('\n'));
  if (major < kOldestNode)
    return warn("base.node",
                path.string() + " is " + version + ", older than " + std::to_string(kOldestNode),
                mend);
  return ok("base.node", path.string() + " " + version);
}

// The mountinfo line of the mount that `path` is on: its mount point, type and all options.
struct Mounted {
  std::string point;
  std::string source;
  std::string type;
  std::string options;
};

Mounted mount_of(const fs::path& path) {
  Mounted best;
  auto text = base::read_file("/proc/self/mountinfo");
  if (!text) return best;
  std::istringstream lines(*text);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream fields(line);
    std::string skip;
    Mounted mount;
    std::string options;
    fields >> skip >> skip >> skip >> skip >> mount.point >> options >> skip;
    while (skip != "-" && fields >> skip) {
    }
    fields >> mount.type >> mount.source >> mount.options;
    mount.options += "," + options;
    const std::string prefix = mount.point == "/" ? "/" : mount.point + "/";
    const bool holds = (path.string() + "/").starts_with(prefix);
    // Later lines cover earlier ones on the same point.
    if (holds && mount.point.size() >= best.point.size()) best = mount;
  }
  return best;
}

long number_in(const char* path) {
  auto text = base::read_file(path);
  long value = -1;
  if (text) (void)std::from_chars(text->data(), text->data() + text->size(), value);
  return value;
}

}  // namespace

Checks check_base_tools() {
  Checks checks;
  const std::pair<const char*, const char*> tools[] = {
      {"bash", "bash"}, {"sudo", "sudo"}, {"python3", "python3"}, {"git", "git"}, {"curl", "curl"}};
  for (const auto& [name, package] : tools) checks.push_back(check_tool(name, package));
  checks.push_back(check_node());
  if (::access("/etc/ssl/certs/ca-certificates.crt", R_OK) != 0) {
    checks.push_back(warn("base.certificates", "no CA bundle: TLS from sandboxes will not verify",
                          "apt-get install -y ca-certificates"));
  }
  return checks;
}

Check check_merged_usr() {
  for (const char* name : {"/bin", "/sbin", "/lib", "/lib64"}) {
    struct stat status {};
    if (::lstat(name, &status) == 0 && !S_ISLNK(status.st_mode)) {
      return fail("base.usr",
                  std::string(name) + " is not a link into /usr: `base` cannot be derived",
                  "apt-get install -y usrmerge");
    }
  }
  return ok("base.usr", "/bin, /sbin and /lib are links into /usr");
}

Checks check_disk(const fs::path& data_dir) {
  fs::path path = data_dir;
  std::error_code error;
  while (!fs::is_directory(path, error) && path.has_relative_path()) path = path.parent_path();
  Checks checks;
  struct statvfs space {};
  if (::statvfs(path.c_str(), &space) == 0) {
    const double free_gib =
        static_cast<double>(space.f_bavail) * static_cast<double>(space.f_frsize) / (1 << 30);
    std::ostringstream words;
    words.precision(1);
    words << std::fixed << free_gib << " GiB free at " << path.string();
    if ((space.f_flag & ST_RDONLY) != 0) {
      checks.push_back(fail("disk.space", path.string() + " is mounted read-only",
                            "sandlot serve --data-dir DIR, with a DIR that can be written"));
    } else if (free_gib < 1) {
      checks.push_back(warn("disk.space", words.str(),
                            "sandlot gc; or sandlot serve --data-dir DIR, with more room"));
    } else {
      checks.push_back(ok("disk.space", words.str()));
    }
  }
  const Mounted mount = mount_of(path);
  const bool quota = mount.options.find("prjquota") != std::string::npos ||
                     mount.options.find("pquota") != std::string::npos;
  if (quota) {
    checks.push_back(
        ok("disk.quota", "project quotas are on at " + mount.point + " (" + mount.type + ")"));
  } else if (mount.type == "ext4") {
    checks.push_back(warn("disk.quota",
                          "no project quotas at " + mount.point +
                              " (ext4): a sandbox's disk size is reported, not enforced",
                          "with " + mount.point +
                              " unmounted: tune2fs -O project,quota -Q prjquota " +
                              shell_word(mount.source) + "; then mount it with -o prjquota"));
  } else if (mount.type == "xfs") {
    checks.push_back(
        warn("disk.quota",
             "no project quotas at " + mount.point +
                 " (xfs): a sandbox's disk size is reported, not enforced",
             "mount it with -o prjquota (in /etc/fstab; for / boot with rootflags=prjquota)"));
  } else {
    checks.push_back(
        warn("disk.quota",
             mount.type + " has no project quotas: a sandbox's disk size is reported, not enforced",
             "sandlot serve --data-dir DIR, with DIR on ext4 or xfs mounted with -o prjquota"));
  }
  return checks;
}

Checks check_limits() {
  Checks checks;
  const long restricted = number_in("/proc/sys/kernel/apparmor_restrict_unprivileged_userns");
  if (restricted == 1) {
    checks.push_back(warn("apparmor",
                          "user namespaces of unprivileged programs are restricted: those made "
                          "inside a sandbox (browsers, bubblewrap) get no rights",
                          "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"));
  } else {
    checks.push_back(ok("apparmor", restricted == 0 ? "user namespaces are not restricted"
                                                    : "no limit on user namespaces"));
  }
  if (::access("/proc/sys/kernel/seccomp/actions_avail", F_OK) != 0) {
    checks.push_back(
        fail("seccomp", "the kernel has no seccomp filters",
             "a kernel with CONFIG_SECCOMP_FILTER: apt-get install -y linux-image-amd64"));
  } else {
    checks.push_back(ok("seccomp", "filters are available"));
  }
  const long watches = number_in("/proc/sys/fs/inotify/max_user_watches");
  if (watches >= 0 && watches < 65536) {
    checks.push_back(warn(
        "inotify", std::to_string(watches) + " watches a user; the cloud's sandboxes have 65536",
        "sysctl -w fs.inotify.max_user_watches=65536"));
  } else {
    checks.push_back(ok("inotify", std::to_string(watches) + " watches a user"));
  }
  return checks;
}

}  // namespace emulator::cli
