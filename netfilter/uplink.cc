#include "netfilter/uplink.h"

#include "netfilter/netlink.h"
#include "netfilter/netns.h"

namespace netfilter {

namespace {

constexpr int kUplinkIndex = 900;  // below the slots' links
constexpr Mac kUplinkMac = {0x02, 0x53, 0x4c, 0x00, 0x01, 0x01};
constexpr Mac kDownlinkMac = {0x02, 0x53, 0x4c, 0x00, 0x01, 0x02};

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
    return netlink.commit(link);
  });
  if (!far) return base::fail(std::move(far).error().context("uplink, far end"));
  // A route needs a link that is up at both ends.
  auto route = run_in_netns(network.fd(), []() -> base::Result<> {
    SANDLOT_TRY(auto netlink, NetlinkSocket::open());
    NetlinkBatch way_out;
    way_out.add_default_route(kUplinkIndex, kDownlinkAddress);
    return netlink.commit(way_out);
  });
  if (!route) return base::fail(std::move(route).error().context("uplink, default route"));
  return {};
}

}  // namespace netfilter
