// Two emulators whose internet is the same namespace, at the same moment.
#include "netfilter/uplink.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/socket.h>

#include <algorithm>
#include <filesystem>
#include <thread>

#include "emulator/base/posix.h"
#include "netfilter/netns.h"
#include "tests/netfilter/support/world.h"

#include <ifaddrs.h>

namespace netfilter::tests {
namespace {

std::vector<std::uint32_t> addresses_in(int netns) {
  std::vector<std::uint32_t> found;
  EXPECT_TRUE(run_in_netns(netns, [&]() -> base::Result<> {
    ifaddrs* list = nullptr;
    if (::getifaddrs(&list) != 0) return base::fail_errno("getifaddrs");
    for (const ifaddrs* one = list; one != nullptr; one = one->ifa_next) {
      if (one->ifa_addr == nullptr || one->ifa_addr->sa_family != AF_INET) continue;
      found.push_back(reinterpret_cast<const sockaddr_in*>(one->ifa_addr)->sin_addr.s_addr);
    }
    ::freeifaddrs(list);
    return {};
  }));
  std::sort(found.begin(), found.end());
  return found;
}

base::UniqueFd new_netns() {
  base::UniqueFd fd;
  EXPECT_TRUE(run_on_thread([&]() -> base::Result<> {
    if (::unshare(CLONE_NEWNET) != 0) return base::fail_errno("unshare");
    SANDLOT_TRY(fd, base::open_file("/proc/thread-self/ns/net", O_RDONLY));
    return {};
  }));
  return fd;
}

TEST(NamedUplink, SeveralAtOnceGetAddressesOfTheirOwn) {
  constexpr std::size_t kAtOnce = 4;
  World world;  // for its directory
  base::UniqueFd far = new_netns();
  std::vector<std::unique_ptr<SwitchNamespace>> switches;
  for (std::size_t i = 0; i < kAtOnce; ++i) {
    auto own = std::filesystem::path(world.directory) / std::to_string(i);
    std::filesystem::create_directory(own);
    auto made = SwitchNamespace::create(own, SwitchPorts(), true);
    ASSERT_TRUE(made) << made.error().message();
    switches.push_back(std::move(*made));
  }
  std::vector<std::unique_ptr<NamedUplink>> uplinks(kAtOnce);
  std::vector<std::thread> starts;
  for (std::size_t i = 0; i < kAtOnce; ++i) {
    starts.emplace_back([&, i] {
      base::UniqueFd fd(::fcntl(far.get(), F_DUPFD_CLOEXEC, 0));
      auto opened = NamedUplink::open(*switches[i], std::move(fd), "sl-" + std::to_string(i));
      EXPECT_TRUE(opened) << opened.error().message();
      if (opened) uplinks[i] = std::move(*opened);
    });
  }
  for (std::thread& start : starts) start.join();
  auto addresses = addresses_in(far.get());
  EXPECT_EQ(addresses.size(), kAtOnce);
  EXPECT_EQ(std::adjacent_find(addresses.begin(), addresses.end()), addresses.end());
}

}  // namespace
}  // namespace netfilter::tests
