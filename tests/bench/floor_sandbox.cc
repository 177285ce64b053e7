#include "tests/bench/floor_sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>

#include "tests/bench/floor_child.h"
#include "tests/bench/floor_rootfs.h"

namespace bench {

namespace {

constexpr std::uint64_t kNamespaces =
    CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWCGROUP;

// Everything but the two descriptors of the plan; 0, 1 and 2 stay.
void close_others(const ChildPlan& plan) {
  auto low = static_cast<unsigned>(std::min(plan.socket, plan.overlay));
  auto high = static_cast<unsigned>(std::max(plan.socket, plan.overlay));
  if (low > 3) ::close_range(3, low - 1, 0);
  if (high > low + 1) ::close_range(low + 1, high - 1, 0);
  ::close_range(high + 1, ~0U, 0);
}

}  // namespace

FailedStep World::enter(const std::string& directory) {
  if (FailedStep failed = make_skeleton(directory)) return failed;
  // The switch: this program's own network namespace. Before sysfs is mounted, which shows one
  // namespace for good.
  if (::unshare(CLONE_NEWNET) != 0) return "unshare the network";
  if (FailedStep failed = enter_clean_namespace(directory)) return failed;
  switch_netns_.reset(::open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
  route_ = open_route_socket();
  if (!switch_netns_ || !route_) return "open the switch";
  cgroup_ = std::string(kCgroupRoot) + "/sandlot-floor-" + std::to_string(::getpid());
  return ::mkdir(cgroup_.c_str(), 0755) == 0 ? nullptr : "mkdir cgroup";
}

void World::leave() {
  while (!sandboxes_.empty()) {
    if (destroy(sandboxes_.begin()->first) != nullptr) break;
  }
  tidy();
  if (!cgroup_.empty()) ::rmdir(cgroup_.c_str());
}

std::string World::cgroup_of(unsigned id) const {
  return cgroup_ + "/" + std::to_string(id);
}

FailedStep World::make_slot(Slot& slot) {
  slot.link = ++last_link_;
  if (::unshare(CLONE_NEWNET) != 0) return "unshare for a slot";
  slot.netns.reset(::open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
  FailedStep failed =
      slot.netns ? make_link(route_.get(), slot.link, slot.netns.get()) : "open slot";
  if (failed == nullptr) failed = configure_inside(open_route_socket().get(), slot.link);
  if (::setns(switch_netns_.get(), CLONE_NEWNET) != 0) return "return to the switch";
  return failed;
}

FailedStep World::fill_slots(unsigned count) {
  while (slots_.size() < count) {
    Slot slot;
    if (FailedStep failed = make_slot(slot)) return failed;
    slots_.push_back(std::move(slot));
  }
  return nullptr;
}

FailedStep World::fill_pool(unsigned count) {
  while (pool_.size() < count) {
    unsigned id = 0;
    if (slots_.empty()) {
      if (FailedStep failed = fill_slots(1)) return failed;
    }
    if (FailedStep failed = create_over_slot(id)) return failed;
    pool_.push_back(id);
  }
  return nullptr;
}

FailedStep World::create_fresh(unsigned& id) {
  Sandbox sandbox;
  sandbox.link = ++last_link_;
  FailedStep failed = create(sandbox, true);
  id = sandbox.id;
  sandboxes_.emplace(id, std::move(sandbox));
  return failed;
}

FailedStep World::create_over_slot(unsigned& id) {
  if (slots_.empty()) return "no slot left";
  Sandbox sandbox;
  sandbox.slot = std::move(slots_.front().netns);
  sandbox.link = slots_.front().link;
  slots_.pop_front();
  FailedStep failed = create(sandbox, false);
  id = sandbox.id;
  sandboxes_.emplace(id, std::move(sandbox));
  return failed;
}

FailedStep World::claim_from_pool(unsigned& id) {
  if (pool_.empty()) return "pool is empty";
  id = pool_.front();
  pool_.pop_front();
  constexpr std::string_view kConfiguration =
      "sandbox-0123456789\n{\"env\":{\"E2B_SANDBOX\":\"true\"},\"memoryMB\":512,\"cpuCount\":2,"
      "\"policy\":[]}";
  Sandbox& sandbox = sandboxes_.at(id);
  if (::send(sandbox.socket.get(), kConfiguration.data(), kConfiguration.size(), MSG_NOSIGNAL) < 0)
    return "configure";
  return await_answer(sandbox);
}

FailedStep World::create(Sandbox& sandbox, bool own_network) {
  sandbox.id = ++last_id_;
  base::UniqueFd overlay;
  if (FailedStep failed = make_overlay(sandbox.id, overlay)) return failed;
  std::string cgroup_path = cgroup_of(sandbox.id);
  if (::mkdir(cgroup_path.c_str(), 0755) != 0) return "mkdir sandbox cgroup";
  base::UniqueFd cgroup(::open(cgroup_path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!cgroup) return "open sandbox cgroup";
  if (FailedStep failed = start(sandbox, own_network, overlay.get(), cgroup.get())) return failed;
  return finish(sandbox, own_network);
}

FailedStep World::start(Sandbox& sandbox, bool own_network, int overlay, int cgroup) {
  std::array<int, 2> pair{};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair.data()) != 0)
    return "socketpair";
  sandbox.socket.reset(pair[0]);
  base::UniqueFd theirs(pair[1]);
  int pidfd = -1;
  clone_args arguments{};
  arguments.flags = kNamespaces | CLONE_PIDFD | CLONE_INTO_CGROUP |
                    (own_network ? std::uint64_t{CLONE_NEWNET} : 0);
  arguments.pidfd = reinterpret_cast<std::uint64_t>(&pidfd);
  arguments.exit_signal = SIGCHLD;
  arguments.cgroup = static_cast<__u64>(cgroup);
  if (!own_network && ::setns(sandbox.slot.get(), CLONE_NEWNET) != 0) return "enter slot";
  auto pid = static_cast<int>(::syscall(SYS_clone3, &arguments, sizeof arguments));
  if (pid == 0) {
    ChildPlan plan{theirs.get(), overlay, sandbox.link, own_network};
    close_others(plan);
    run_child(plan);
  }
  if (!own_network && ::setns(switch_netns_.get(), CLONE_NEWNET) != 0) return "leave slot";
  if (pid < 0) return "clone3";
  sandbox.pid = pid;
  sandbox.pidfd.reset(pidfd);
  return nullptr;
}

FailedStep World::finish(Sandbox& sandbox, bool own_network) {
  if (FailedStep failed = map_ids(sandbox.pid)) return failed;
  int socket = sandbox.socket.get();
  if (::send(socket, &kIdsMapped, 1, MSG_NOSIGNAL) != 1) return "send mark";
  if (own_network) {  // meanwhile the child makes its mounts
    std::array<char, 64> path{};
    std::snprintf(path.data(), path.size(), "/proc/%d/ns/net", sandbox.pid);
    base::UniqueFd netns(::open(path.data(), O_RDONLY | O_CLOEXEC));
    if (!netns) return "open the child's network namespace";
    if (FailedStep failed = make_link(route_.get(), sandbox.link, netns.get())) return failed;
    if (::send(socket, &kLinkMade, 1, MSG_NOSIGNAL) != 1) return "send mark";
  }
  return await_answer(sandbox);
}

FailedStep World::await_answer(Sandbox& sandbox) {
  ChildAnswer answer;
  if (::recv(sandbox.socket.get(), &answer, sizeof answer, 0) != sizeof answer)
    return "answer of pid 1";
  sandbox.child_cpu_ns = answer.cpu_ns;
  if (answer.step[0] == '\0') return nullptr;
  child_error_ = answer.step;
  errno = answer.error;
  return child_error_.c_str();
}

FailedStep World::destroy(unsigned id) {
  auto found = sandboxes_.find(id);
  if (found == sandboxes_.end()) return "no such sandbox";
  Sandbox sandbox = std::move(found->second);
  sandboxes_.erase(found);
  untidy_.push_back(id);
  if (sandbox.pidfd) {
    ::syscall(SYS_pidfd_send_signal, sandbox.pidfd.get(), SIGKILL, nullptr, 0);
    siginfo_t info{};
    if (::waitid(P_PIDFD, static_cast<id_t>(sandbox.pidfd.get()), &info, WEXITED) != 0)
      return "reap";
  }
  while (::rmdir(cgroup_of(id).c_str()) != 0) {
    if (errno != EBUSY) return errno == ENOENT ? nullptr : "rmdir cgroup";
    ::sched_yield();
  }
  if (sandbox.slot) slots_.push_back(Slot{std::move(sandbox.slot), sandbox.link});
  return nullptr;
}

void World::tidy() {
  for (unsigned id : untidy_) remove_overlay_directories(id);
  untidy_.clear();
}

}  // namespace bench
