// The switch's way out for what is not TCP: one link from the switch to another network namespace,
// to which UDP and ICMP of the sandboxes are forwarded, all under one address. What is at the other
// end depends on `--internet`: the fake internet, a namespace that somebody else made
// (open_named_netns), or the machine (machine_uplink.h). Used by emulator/application. The switch's
// rules that belong to it are in switch_rules.cc; the link disappears with either namespace.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "emulator/base/result.h"
#include "emulator/base/unique_fd.h"
#include "netfilter/ipv4.h"
#include "netfilter/network.h"

namespace netfilter {

inline constexpr const char* kUplinkName = "up0";      // in the switch
inline constexpr const char* kDownlinkName = "down0";  // in the fake internet's namespace

// The other end, in the namespace that the link leads to.
struct FarEnd {
  std::string name = kDownlinkName;
  // The source of everything that arrives there, and that link's own address: the two hosts of a
  // /30. By default of TEST-NET-3, as a public address would be.
  Ipv4 switch_address = {203, 0, 113, 2};
  Ipv4 address = {203, 0, 113, 1};
};

// Makes the link, both addresses, the switch's default route and permanent neighbours; nothing
// else is changed at the far end. IPv6 is off on both ends before either comes up. `network` must
// have been created with `uplink`. Returns the index of the far end. Blocking (some netlink
// batches).
base::Result<int> connect_uplink(const SwitchNamespace& network,
                                 int far_netns,
                                 const FarEnd& far = {});

// Removes the link from the far end's side and waits until it is gone; no error when there is none.
// Blocks for 30 ms and more.
base::Result<> remove_uplink(int far_netns, const std::string& name);

// One instance at a time per network namespace, whatever their directories: a name that only one
// socket of the calling thread's namespace can have, and that goes with its process. Held while
// rules and addresses are looked at and changed. Waits up to 20 s.
base::Result<base::UniqueFd> lock_uplinks();

// A /30 of `pool`.0/24 in which the namespace has no address yet: several emulators may lead to one
// namespace. kResourceExhausted when all 64 are taken.
base::Result<FarEnd> free_far_end(int far_netns, const Ipv4& pool, std::string name);

// A link into a namespace that is not ours, under addresses that are free there. Owner: removes the
// link. Nothing else there is touched, no rule, no route, no forwarding.
class NamedUplink {
 public:
  static base::Result<std::unique_ptr<NamedUplink>> open(const SwitchNamespace& network,
                                                         base::UniqueFd far_netns,
                                                         std::string link);
  ~NamedUplink() { (void)remove_uplink(far_netns_.get(), link_); }
  NamedUplink(const NamedUplink&) = delete;
  NamedUplink& operator=(const NamedUplink&) = delete;

 private:
  NamedUplink(base::UniqueFd far_netns, std::string link)
      : far_netns_(std::move(far_netns)), link_(std::move(link)) {}
  base::UniqueFd far_netns_;
  std::string link_;
};

// A network namespace by the name that `ip netns` knows it by, or by a path. kNotFound,
// kInvalidArgument (it is something else, or the one that this process is in).
base::Result<base::UniqueFd> open_named_netns(const std::string& name_or_path);

}  // namespace netfilter
