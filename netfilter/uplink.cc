#include "netfilter/uplink.h"

#include <chrono>
#include <thread>

#include "netfilter/netlink.h"
#include "netfilter/netns.h"

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

}  // namespace

base::Result<> connect_uplink(const SwitchNamespace& network, int internet_netns) {
  auto near = run_in_netns(network.fd(), [internet_netns]() -> base::Result<> {
    SANDLOT_TRY(auto netlink, NetlinkSocket::open());
    NetlinkBatch link;
    link.add_veth({kUplinkName, kUplinkIndex, kUplinkMac},
                  {kDownlinkName, kDownlinkIndex, kDownlinkMac}, internet_netns);
    link.add_address(kUplinkIndex, kUplinkAddress, 30);
    link.add_neighbour(kUplinkIndex, kDownlinkAddress, kDownlinkMac);
    return netlink.commit(link);
  });
  if (!near) return base::fail(std::move(near).error().context("uplink"));
  auto far = run_in_netns(internet_netns, []() -> base::Result<> {
    SANDLOT_TRY(auto netlink, NetlinkSocket::open());
    NetlinkBatch link;
    link.set_link_up(kDownlinkIndex);
    link.add_address(kDownlinkIndex, kDownlinkAddress, 30);
    link.add_neighbour(kDownlinkIndex, kUplinkAddress, kUplinkMac);
    SANDLOT_CHECK(netlink.commit(link));
    return wait_for_carrier(netlink, kDownlinkIndex);
  });
  if (!far) return base::fail(std::move(far).error().context("uplink, far end"));
  // A route needs a link that is up at both ends.
  auto route = run_in_netns(network.fd(), []() -> base::Result<> {
    SANDLOT_TRY(auto netlink, NetlinkSocket::open());
    NetlinkBatch way_out;
    way_out.add_default_route(kUplinkIndex, kDownlinkAddress);
    SANDLOT_CHECK(netlink.commit(way_out));
    return wait_for_carrier(netlink, kUplinkIndex);
  });
  if (!route) return base::fail(std::move(route).error().context("uplink, default route"));
  return {};
}

}  // namespace netfilter
