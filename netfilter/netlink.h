// Route netlink in batches: the few requests that links, addresses, routes and neighbours need,
// sent by one sendmsg and answered by one acknowledgement each. Used by slot.cc and network.cc;
// programs like `ip` are never run (one costs as much as everything here, performance.md 2.2). It
// does not parse dumps.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "emulator/base/result.h"
#include "emulator/base/unique_fd.h"
#include "netfilter/ipv4.h"

namespace netfilter {

using Mac = std::array<std::uint8_t, 6>;

struct VethEnd {
  std::string name;
  int index = 0;  // chosen by the caller, so that one batch can go on to use the link
  Mac mac{};
};

// Requests in the order in which the kernel shall carry them out. A plain value.
class NetlinkBatch {
 public:
  // The pair, one queue each, `end` up; `peer` is born (down) in the namespace `peer_netns` (moving
  // it later would cost 30 ms).
  void add_veth(const VethEnd& end, const VethEnd& peer, int peer_netns);
  void set_link_up(int index);
  // Both ends, when it is a pair. The kernel waits for what still uses it: 30 ms and more.
  void delete_link(int index);
  // address/32 (or another length) on the link.
  void add_address(int index, const Ipv4& address, std::uint8_t prefix_length);
  // destination/32 on the link itself. `source` is what our own packets to it carry. Takes the
  // place of a route that a dying link with the same address still has.
  void add_host_route(int index, const Ipv4& destination, const Ipv4& source);
  // 0.0.0.0/0 by a gateway that needs no route of its own (onlink).
  void add_default_route(int index, const Ipv4& gateway);
  // Every address that no other route knows is this namespace's own.
  void add_local_default(int index);
  // Nothing leaves by any route but those more exact than one half of all addresses: the default
  // route has no turn any more, flows that have one included. Existing ones are taken over.
  void add_blackholes();
  // Undoes it; does nothing when there is none.
  void delete_blackholes();
  // So many bytes a second leave by the link, in place of the bucket that it had; and none any more
  // (does nothing when there is none).
  void set_bucket(int index, std::uint64_t bytes_per_second);
  void delete_bucket(int index);
  // A permanent neighbour: no ARP is ever sent for it.
  void add_neighbour(int index, const Ipv4& address, const Mac& mac);

 private:
  friend class NetlinkSocket;
  struct Request {
    std::string what;  // for the error
    std::size_t at;    // where its header starts in bytes_
    int ignored = 0;   // an error number that is none
  };

  template <class Header>
  void begin(std::string what, std::uint16_t type, std::uint16_t flags, const Header& header);
  void append(const void* data, std::size_t size);
  void attribute(std::uint16_t type, const void* data, std::size_t size);
  void attribute(std::uint16_t type, std::uint32_t value);
  std::size_t open_nested(std::uint16_t type);
  void close_nested(std::size_t at);
  void end();

  std::vector<std::byte> bytes_;
  std::vector<Request> requests_;
};

// A route netlink socket. It works on the network namespace in which it was opened, from any
// thread.
class NetlinkSocket {
 public:
  static base::Result<NetlinkSocket> open();

  // Carries out the whole batch and waits for it. The error is that of the first request that was
  // refused (those after it have been tried as well). Blocking.
  base::Result<> commit(const NetlinkBatch& batch);
  // Whether packets to `address` would be delivered to this machine itself: its own addresses, and
  // whole ranges with a `local` route. An unreachable address is not local. Blocks for some
  // microseconds.
  base::Result<bool> is_local(const Ipv4& address);
  // Whether the link has been found to carry packets (operational state "up"). Until the kernel's
  // worker has noticed the carrier of a new link, what is sent over it is dropped.
  base::Result<bool> carries(int index);
  // The index of a veth's other end, in the namespace where that is.
  base::Result<int> peer_of(int index);

 private:
  // An attribute of the link; empty when it has none of this type. kNotFound: there is no link.
  base::Result<std::vector<std::byte>> link_attribute(int index, std::uint16_t type);
  explicit NetlinkSocket(base::UniqueFd fd) : fd_(std::move(fd)) {}
  base::UniqueFd fd_;
  std::uint32_t queries_ = 0;
};

// What an error number says of a route that was asked for: there is none (unreachable, blackhole,
// prohibit), so the address is not local; anything else is an error of the asking.
base::Result<bool> local_by_error(int error_number);

// The index of `lo` in every network namespace.
inline constexpr int kLoopbackIndex = 1;
// The index of `eth0` in every slot: chosen, so that one batch makes a link and uses it; beyond
// what the kernel hands out by itself (loopback, fallback tunnels).
inline constexpr int kSlotLink = 64;

}  // namespace netfilter
