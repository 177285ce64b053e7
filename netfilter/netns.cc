// Entering network namespaces: run_in_netns and open_socket_in of network.h, and netns.h.
#include "netfilter/netns.h"

#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <memory>
#include <system_error>
#include <thread>

#include "emulator/base/log.h"
#include "emulator/base/posix.h"
#include "netfilter/network.h"

namespace netfilter {

namespace {

// There and back on this thread: nothing else runs on it in between, and a thread of its own would
// cost ten times as much.
class Visit {
 public:
  static base::Result<Visit> begin(int netns_fd) {
    SANDLOT_TRY(auto home, base::open_file("/proc/thread-self/ns/net", O_RDONLY));
    if (::setns(netns_fd, CLONE_NEWNET) != 0) return base::fail_errno("enter network namespace");
    return Visit(std::move(home));
  }
  ~Visit() {
    if (!home_ || ::setns(home_.get(), CLONE_NEWNET) == 0) return;
    // Going on would do everything else of this thread inside a sandbox.
    base::log::error("netns.lost", {{"error", base::os_error("setns").message()}});
    std::abort();
  }
  Visit(Visit&&) = default;
  Visit(const Visit&) = delete;
  Visit& operator=(const Visit&) = delete;

 private:
  explicit Visit(base::UniqueFd home) : home_(std::move(home)) {}
  base::UniqueFd home_;
};

}  // namespace

base::Result<> run_on_thread(const std::function<base::Result<>()>& work) {
  base::Result<> outcome = base::fail(base::Errc::kInternal, "the thread did not run");
  try {
    std::thread([&] { outcome = work(); }).join();
  } catch (const std::system_error& error) {
    return base::fail(base::os_error("start a thread", error.code().value()));
  }
  return outcome;
}

base::Result<> run_in_netns(int netns_fd, const std::function<base::Result<>()>& work) {
  SANDLOT_TRY(auto visit, Visit::begin(netns_fd));
  return work();
}

base::Result<base::UniqueFd> open_socket_in(int netns_fd, int family, int type) {
  SANDLOT_TRY(auto visit, Visit::begin(netns_fd));
  base::UniqueFd socket(::socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket) return base::fail_errno("open a socket in a network namespace");
  return socket;
}

base::Result<> pin_namespace(const std::filesystem::path& path) {
  ::umount2(path.c_str(), MNT_DETACH);  // of an instance that crashed; EINVAL when there is none
  SANDLOT_CHECK(base::write_file(path, "", 0600));
  if (::mount("/proc/thread-self/ns/net", path.c_str(), nullptr, MS_BIND, nullptr) != 0) {
    return base::fail_errno("mount " + path.string());
  }
  return {};
}

void unpin_namespace(const std::filesystem::path& path) {
  ::umount2(path.c_str(), MNT_DETACH);
  ::unlink(path.c_str());
}

base::Result<NetSysctls> NetSysctls::open() {
  base::UniqueFd context(::fsopen("proc", FSOPEN_CLOEXEC));
  if (context && ::fsconfig(context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) == 0) {
    base::UniqueFd mount(::fsmount(context.get(), FSMOUNT_CLOEXEC, 0));
    if (mount) return NetSysctls(std::move(mount));
  }
  // Refused in some containers: slower, and the same otherwise.
  SANDLOT_TRY(auto proc, base::open_file("/proc", O_PATH | O_DIRECTORY));
  return NetSysctls(std::move(proc));
}

base::Result<> NetSysctls::set(const std::string& name, std::string_view value) const {
  auto file = base::open_at(proc_.get(), "sys/net/" + name, O_WRONLY);
  if (!file) {
    bool no_ipv6 = file.error().code() == base::Errc::kNotFound && name.starts_with("ipv6/");
    if (no_ipv6) return {};
    return base::fail(std::move(file).error());
  }
  if (::write(file->get(), value.data(), value.size()) < 0)
    return base::fail_errno("write sys/net/" + name);
  return {};
}

base::Result<std::string> NetSysctls::get(const std::string& name) const {
  SANDLOT_TRY(auto file, base::open_at(proc_.get(), "sys/net/" + name, O_RDONLY));
  std::array<char, 256> text{};
  auto count = ::read(file.get(), text.data(), text.size());
  if (count < 0) return base::fail_errno("read sys/net/" + name);
  std::string value(text.data(), static_cast<std::size_t>(count));
  while (value.ends_with('\n')) value.pop_back();
  return value;
}

base::Result<std::vector<std::string>> NetSysctls::list(const std::string& directory) const {
  SANDLOT_TRY(auto fd, base::open_at(proc_.get(), "sys/net/" + directory, O_RDONLY | O_DIRECTORY));
  std::unique_ptr<DIR, int (*)(DIR*)> entries(::fdopendir(fd.get()), &::closedir);
  if (!entries) return base::fail_errno("list sys/net/" + directory);
  (void)fd.release();
  std::vector<std::string> names;
  // readdir is not shared between threads here: the stream is this call's own.
  while (const dirent* entry = ::readdir(entries.get())) {  // NOLINT(concurrency-mt-unsafe)
    std::string name = entry->d_name;
    if (name != "." && name != "..") names.push_back(std::move(name));
  }
  return names;
}

}  // namespace netfilter
