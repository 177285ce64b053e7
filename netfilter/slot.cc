// make_slot of network.h: one sandbox's network namespace and its veth.
#include <fcntl.h>
#include <sched.h>

#include "emulator/base/log.h"
#include "emulator/base/posix.h"
#include "netfilter/conntrack.h"
#include "netfilter/netlink.h"
#include "netfilter/netns.h"
#include "netfilter/network.h"

namespace netfilter {

namespace {

constexpr Ipv4 kGatewayAddress = {169, 254, 1, 1};
constexpr Mac kSwitchMac = {0x02, 0x53, 0x4c,
                            0x00, 0x00, 0x01};  // on every link: they are point to point
// Chosen as kSlotLink is.
constexpr std::uint32_t kFirstSwitchLink = 1000;
// The ids of slot n end at 2^28 + (n + 1) * 65536 - 1; ping_group_range ends at 2^31 - 1.
constexpr std::uint32_t kFirstId = 1U << 28U;
constexpr std::uint32_t kIdsPerSlot = 1U << 16U;
constexpr int kSlots = static_cast<int>(((1U << 31U) - kFirstId) / kIdsPerSlot);

struct Plan {
  Ipv4 address;
  VethEnd outer;
  VethEnd inner;
};

Plan plan_of(int index, std::uint32_t serial) {
  auto high = static_cast<std::uint8_t>(index >> 8);
  auto low = static_cast<std::uint8_t>(index & 0xff);
  Plan plan;
  plan.address = {10, 71, high, low};
  plan.outer = {"s" + std::to_string(serial), static_cast<int>(kFirstSwitchLink + serial),
                kSwitchMac};
  plan.inner = {"eth0", kSlotLink, {0x02, 0x00, 10, 71, high, low}};
  return plan;
}

// Before the veth is born: its IPv6 follows the default. `lo` was there first and keeps its ::1.
base::Result<> set_slot_sysctls() {
  SANDLOT_TRY(auto sysctls, NetSysctls::open());
  SANDLOT_CHECK(sysctls.set("ipv6/conf/default/disable_ipv6", "1"));
  // The sandbox's users are ids of the initial user namespace here: ping and low ports for all of
  // them.
  SANDLOT_CHECK(sysctls.set("ipv4/ping_group_range", "0 2147483647"));
  SANDLOT_CHECK(sysctls.set("ipv4/ip_unprivileged_port_start", "0"));
  // Every TCP peer of a sandbox is this machine: the proxies end its connections. Not the machine's
  // default, which may pace (base::use_local_congestion_control).
  SANDLOT_CHECK(sysctls.set("ipv4/tcp_congestion_control", "reno"));
  return {};
}

// Otherwise what the far end of an old flow still sends would reach the heir of the address.
void forget_flows(const Ipv4& address) {
  auto forgotten = forget_flows_of(address);
  if (!forgotten) base::log::debug("slot.flows", {{"error", forgotten.error().message()}});
}

NetlinkBatch outer_batch(const Plan& plan, int netns_fd) {
  NetlinkBatch batch;
  batch.add_veth(plan.outer, plan.inner, netns_fd);
  batch.add_host_route(plan.outer.index, plan.address, kGatewayAddress);
  batch.add_neighbour(plan.outer.index, plan.address, plan.inner.mac);
  return batch;
}

NetlinkBatch inner_batch(const Plan& plan) {
  NetlinkBatch batch;
  batch.set_link_up(kLoopbackIndex);
  batch.set_link_up(plan.inner.index);
  batch.add_address(plan.inner.index, plan.address, 32);
  batch.add_default_route(plan.inner.index, kGatewayAddress);
  batch.add_neighbour(plan.inner.index, kGatewayAddress, plan.outer.mac);
  return batch;
}

}  // namespace

base::Result<Slot> make_slot(const SwitchNamespace& network,
                             int index,
                             std::uint32_t serial,
                             bool used) {
  if (index < 0 || index >= kSlots) {
    return base::fail(base::Errc::kInvalidArgument,
                      "slot " + std::to_string(index) + " does not exist");
  }
  if (serial > (1U << 31U) - 1 - kFirstSwitchLink) {
    return base::fail(base::Errc::kResourceExhausted, "slot serials are used up");
  }
  Plan plan = plan_of(index, serial);
  Slot slot;
  slot.index = index;
  slot.address = to_string(plan.address);
  slot.first_id = kFirstId + static_cast<std::uint32_t>(index) * kIdsPerSlot;
  auto made = run_on_thread([&]() -> base::Result<> {
    if (::unshare(CLONE_NEWNET) != 0) return base::fail_errno("make a network namespace");
    SANDLOT_TRY(slot.netns, base::open_file("/proc/thread-self/ns/net", O_RDONLY));
    SANDLOT_CHECK(set_slot_sysctls());
    SANDLOT_TRY(auto inside, NetlinkSocket::open());
    if (::setns(network.fd(), CLONE_NEWNET) != 0)
      return base::fail_errno("enter the switch namespace");
    if (used) forget_flows(plan.address);
    SANDLOT_TRY(auto outside, NetlinkSocket::open());
    SANDLOT_CHECK(outside.commit(outer_batch(plan, slot.netns.get())));
    return inside.commit(inner_batch(plan));
  });
  if (!made)
    return base::fail(std::move(made).error().context("network slot " + std::to_string(index)));
  return slot;
}

}  // namespace netfilter
