#include "tests/emulator/sandboxes/chroot_world.h"

#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>

#include "emulator/base/posix.h"

namespace emulator::sandboxes {
namespace {

void must(bool ok, const char* what) {
  if (ok) return;
  std::perror(what);
  ::_exit(125);
}

[[noreturn]] void become(const BaseTemplate& base,
                         const std::filesystem::path& scratch,
                         const std::string& script,
                         unsigned uid) {
  must(::unshare(CLONE_NEWNS) == 0, "unshare");
  must(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0, "private");
  const std::string root = (scratch / "merged").string();
  const std::string options = "lowerdir=" + base.rootfs.string() +
                              ",upperdir=" + (scratch / "upper").string() +
                              ",workdir=" + (scratch / "work").string();
  must(::mount("overlay", root.c_str(), "overlay", 0, options.c_str()) == 0, "overlay /");
  const std::string usr_options = "lowerdir=" + base.usr.string() +
                                  ":/usr,upperdir=" + (scratch / "usr-upper").string() +
                                  ",workdir=" + (scratch / "usr-work").string();
  must(::mount("overlay", (root + "/usr").c_str(), "overlay", 0, usr_options.c_str()) == 0,
       "overlay /usr");
  must(::mount("/proc", (root + "/proc").c_str(), nullptr, MS_BIND, nullptr) == 0, "/proc");
  must(::mount("tmpfs", (root + "/dev").c_str(), "tmpfs", 0, "mode=755") == 0, "/dev");
  must(::mkdir((root + "/dev/pts").c_str(), 0755) == 0, "/dev/pts");
  must(::mount("devpts", (root + "/dev/pts").c_str(), "devpts", 0,
               "newinstance,ptmxmode=0666,mode=0620") == 0,
       "devpts");
  must(::symlink("pts/ptmx", (root + "/dev/ptmx").c_str()) == 0, "ptmx");
  for (const char* name : {"/dev/null", "/dev/zero", "/dev/urandom", "/dev/random", "/dev/tty"}) {
    const std::string node = root + name;
    ::close(::open(node.c_str(), O_CREAT | O_RDONLY | O_CLOEXEC, 0666));
    must(::mount(name, node.c_str(), nullptr, MS_BIND, nullptr) == 0, name);
  }
  must(::chroot(root.c_str()) == 0, "chroot");
  must(::sethostname("e2b.local", 9) == 0, "hostname");
  must(::chdir(uid == 0 ? "/root" : "/home/user") == 0, "chdir");
  const std::array<gid_t, 2> groups = {uid, 27};
  must(::setgroups(uid == 0 ? 1 : 2, groups.data()) == 0, "setgroups");
  must(::setgid(uid) == 0 && ::setuid(uid) == 0, "setuid");
  std::array<const char*, 5> argv = {"/bin/bash", "-l", "-c", script.c_str(), nullptr};
  const char* home = uid == 0 ? "HOME=/root" : "HOME=/home/user";
  std::array<const char*, 4> environment = {home, uid == 0 ? "USER=root" : "USER=user",
                                            "LANG=C.UTF-8", nullptr};
  ::execve(argv[0], const_cast<char**>(argv.data()), const_cast<char**>(environment.data()));
  must(false, "exec /bin/bash");
  ::_exit(125);
}

}  // namespace

ChrootWorld::ChrootWorld(BaseTemplate base, std::filesystem::path scratch)
    : base_(std::move(base)), scratch_(std::move(scratch)) {
  for (const char* name : {"merged", "upper", "work", "usr-upper", "usr-work"}) {
    std::filesystem::create_directories(scratch_ / name);
  }
}

Outcome ChrootWorld::run(const std::string& script, unsigned uid) const {
  auto pipe = base::make_pipe();
  if (!pipe) return {};
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::dup2(pipe->second.get(), 1);
    ::dup2(pipe->second.get(), 2);
    ::close(0);
    (void)::open("/dev/null", O_RDONLY);
    // A uts namespace of its own too: the host name is the sandbox's.
    if (::unshare(CLONE_NEWUTS) != 0) ::_exit(124);
    become(base_, scratch_, script, uid);
  }
  pipe->second.reset();
  Outcome outcome;
  std::array<char, 4096> buffer{};
  while (true) {
    auto count = base::read_some(pipe->first.get(), buffer);
    if (!count || *count == 0) break;
    outcome.output.append(buffer.data(), *count);
  }
  int status = 0;
  ::waitpid(pid, &status, 0);
  outcome.status = WIFEXITED(status) ? WEXITSTATUS(status) : 256 + WTERMSIG(status);
  return outcome;
}

}  // namespace emulator::sandboxes
