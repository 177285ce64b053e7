#include "netfilter/bandwidth.h"

#include "netfilter/netlink.h"
#include "netfilter/network.h"

namespace netfilter {

using base::Result;

namespace {

Result<NetlinkSocket> netlink_in(int netns_fd) {
  std::optional<NetlinkSocket> socket;
  SANDLOT_CHECK(run_in_netns(netns_fd, [&]() -> Result<> {
    SANDLOT_TRY(socket, NetlinkSocket::open());
    return {};
  }));
  return std::move(*socket);
}

Result<> pace(NetlinkSocket& socket, int link, std::optional<std::uint64_t> rate) {
  NetlinkBatch batch;
  rate ? batch.set_bucket(link, *rate) : batch.delete_bucket(link);
  auto done = socket.commit(batch);
  if (done || done.error().code() != base::Errc::kNotFound) return done;
  return base::fail(base::Errc::kUnimplemented, "this kernel has no token bucket filter (sch_tbf)");
}

}  // namespace

Result<> set_bandwidth(int switch_fd, int slot_fd, std::optional<std::uint64_t> bytes_per_second) {
  SANDLOT_TRY(auto inside, netlink_in(slot_fd));
  SANDLOT_TRY(auto outside, netlink_in(switch_fd));
  SANDLOT_TRY(int link, inside.peer_of(kSlotLink));
  SANDLOT_CHECK(pace(outside, link, bytes_per_second));
  auto paced = pace(inside, kSlotLink, bytes_per_second);
  if (!paced) (void)pace(outside, link, std::nullopt);
  return paced;
}

}  // namespace netfilter
