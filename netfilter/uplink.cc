#include "netfilter/uplink.h"

#include <fcntl.h>
#include <linux/nsfs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstring>
#include <memory>
#include <thread>

#include "emulator/base/posix.h"
#include "netfilter/netlink.h"
#include "netfilter/netns.h"

#include <ifaddrs.h>

namespace netfilter {

namespace {

constexpr int kUplinkIndex = 900;  // below the slots' links
constexpr Mac kUplinkMac = {0x02, 0x53, 0x4c, 0x00, 0x01, 0x01};
constexpr Mac kDownlinkMac = {0x02, 0x53, 0x4c, 0x00, 0x01, 0x02};

// Waits until the link carries packets, some milliseconds. The answer comes under the same lock
// under which the kernel's worker makes it so.
base::Result<> wait_for_carrier(NetlinkSocket& netlink, int index) {
  auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(5);
  for (;;) {
    SANDLOT_TRY(bool up, netlink.carries(index));
    if (up) return {};
    if (std::chrono::steady_clock::now() > deadline)
      return base::fail(base::Errc::kDeadlineExceeded, "the link does not come up");
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

// The far end, from inside its namespace. Its number is the kernel's choice: the namespace is not
// ours.
base::Result<int> set_up_far_end(const FarEnd& far) {
  auto index = static_cast<int>(::if_nametoindex(far.name.c_str()));
  if (index == 0) return base::fail_errno("find link " + far.name);
  SANDLOT_TRY(auto sysctls, NetSysctls::open());
  // Otherwise it would answer on a link-local address (contract-network 2.8).
  SANDLOT_CHECK(sysctls.set("ipv6/conf/" + far.name + "/disable_ipv6", "1"));
  SANDLOT_TRY(auto netlink, NetlinkSocket::open());
  NetlinkBatch link;
  link.set_link_up(index);
  link.add_address(index, far.address, 30);
  link.add_neighbour(index, far.switch_address, kUplinkMac);
  SANDLOT_CHECK(netlink.commit(link));
  SANDLOT_CHECK(wait_for_carrier(netlink, index));
  return index;
}

// Of the calling thread's namespace.
base::Result<std::vector<Ipv4>> own_addresses() {
  ifaddrs* list = nullptr;
  if (::getifaddrs(&list) != 0) return base::fail_errno("list addresses");
  std::unique_ptr<ifaddrs, decltype(&::freeifaddrs)> owner(list, &::freeifaddrs);
  std::vector<Ipv4> addresses;
  for (const ifaddrs* one = list; one != nullptr; one = one->ifa_next) {
    if (one->ifa_addr == nullptr || one->ifa_addr->sa_family != AF_INET) continue;
    Ipv4 address{};
    const auto* inet = reinterpret_cast<const sockaddr_in*>(one->ifa_addr);
    std::memcpy(address.data(), &inet->sin_addr, address.size());
    addresses.push_back(address);
  }
  return addresses;
}

}  // namespace

base::Result<base::UniqueFd> lock_uplinks() {
  constexpr std::string_view kName("\0sandlot uplink", 15);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(&address.sun_path, kName.data(), kName.size());
  auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + kName.size());
  base::UniqueFd fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!fd) return base::fail_errno("open a socket");
  auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), size) != 0) {
    if (errno != EADDRINUSE || std::chrono::steady_clock::now() > deadline)
      return base::fail_errno("wait for another emulator's uplink");
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return fd;
}

base::Result<int> connect_uplink(const SwitchNamespace& network, int far_netns, const FarEnd& far) {
  auto near = run_in_netns(network.fd(), [&]() -> base::Result<> {
    SANDLOT_TRY(auto netlink, NetlinkSocket::open());
    NetlinkBatch link;
    link.add_veth({kUplinkName, kUplinkIndex, kUplinkMac}, {far.name, 0, kDownlinkMac}, far_netns);
    link.add_address(kUplinkIndex, far.switch_address, 30);
    link.add_neighbour(kUplinkIndex, far.address, kDownlinkMac);
    return netlink.commit(link);
  });
  if (!near) return base::fail(std::move(near).error().context("uplink"));
  int far_index = 0;
  auto there = run_in_netns(far_netns, [&]() -> base::Result<> {
    SANDLOT_TRY(far_index, set_up_far_end(far));
    return {};
  });
  if (!there) return base::fail(std::move(there).error().context("uplink, far end"));
  // A route needs a link that is up at both ends.
  auto route = run_in_netns(network.fd(), [&]() -> base::Result<> {
    SANDLOT_TRY(auto netlink, NetlinkSocket::open());
    NetlinkBatch way_out;
    way_out.add_default_route(kUplinkIndex, far.address);
    SANDLOT_CHECK(netlink.commit(way_out));
    return wait_for_carrier(netlink, kUplinkIndex);
  });
  if (!route) return base::fail(std::move(route).error().context("uplink, default route"));
  return far_index;
}

base::Result<> remove_uplink(int far_netns, const std::string& name) {
  return run_in_netns(far_netns, [&]() -> base::Result<> {
    auto index = static_cast<int>(::if_nametoindex(name.c_str()));
    if (index == 0) return {};
    SANDLOT_TRY(auto netlink, NetlinkSocket::open());
    NetlinkBatch batch;
    batch.delete_link(index);
    auto deleted = netlink.commit(batch);
    // The switch may have died in between, and taken the link with it.
    if (!deleted && ::if_nametoindex(name.c_str()) == 0) return {};
    return deleted;
  });
}

base::Result<FarEnd> free_far_end(int far_netns, const Ipv4& pool, std::string name) {
  std::vector<Ipv4> taken;
  auto listed = run_in_netns(far_netns, [&]() -> base::Result<> {
    SANDLOT_TRY(taken, own_addresses());
    return {};
  });
  if (!listed) return base::fail(std::move(listed).error());
  for (unsigned first = 0; first < 256; first += 4) {
    Ipv4Range range{{pool[0], pool[1], pool[2], static_cast<std::uint8_t>(first)}, 30};
    bool free = std::none_of(taken.begin(), taken.end(),
                             [&](const Ipv4& address) { return range.contains(address); });
    if (!free) continue;
    FarEnd far{std::move(name), range.first, range.first};
    far.address[3] = static_cast<std::uint8_t>(first + 1);
    far.switch_address[3] = static_cast<std::uint8_t>(first + 2);
    return far;
  }
  return base::fail(base::Errc::kResourceExhausted, "no free addresses for an uplink");
}

base::Result<std::unique_ptr<NamedUplink>> NamedUplink::open(const SwitchNamespace& network,
                                                             base::UniqueFd far_netns,
                                                             std::string link) {
  constexpr Ipv4 kPool = {203, 0, 113, 0};  // TEST-NET-3, as a public address would be
  // Until the addresses are on the link: another emulator may use the same namespace.
  base::UniqueFd lock;
  auto locked = run_in_netns(far_netns.get(), [&]() -> base::Result<> {
    SANDLOT_TRY(lock, lock_uplinks());
    return {};
  });
  if (!locked) return base::fail(std::move(locked).error());
  SANDLOT_TRY(auto far, free_far_end(far_netns.get(), kPool, link));
  std::unique_ptr<NamedUplink> uplink(new NamedUplink(std::move(far_netns), std::move(link)));
  SANDLOT_CHECK(connect_uplink(network, uplink->far_netns_.get(), far));
  return uplink;
}

base::Result<base::UniqueFd> open_named_netns(const std::string& name_or_path) {
  bool path = name_or_path.find('/') != std::string::npos;
  SANDLOT_TRY(auto fd,
              base::open_file(path ? name_or_path : "/run/netns/" + name_or_path, O_RDONLY));
  if (::ioctl(fd.get(), NS_GET_NSTYPE) != CLONE_NEWNET)
    return base::fail(base::Errc::kInvalidArgument, name_or_path + " is not a network namespace");
  struct ::stat there {};
  struct ::stat here {};
  if (::fstat(fd.get(), &there) != 0 || ::stat("/proc/self/ns/net", &here) != 0)
    return base::fail_errno("look at a network namespace");
  if (there.st_ino == here.st_ino && there.st_dev == here.st_dev) {
    return base::fail(base::Errc::kInvalidArgument,
                      name_or_path + " is the machine's own network namespace; use 'host'");
  }
  return fd;
}

}  // namespace netfilter
