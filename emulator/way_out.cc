#include "emulator/way_out.h"

#include "emulator/base/log.h"
#include "emulator/base/posix.h"

namespace emulator {

using base::Result;
using config::Internet;

namespace {

constexpr const char* kUsualServer = "nameserver 8.8.8.8\n";  // what a sandbox asks

// As `ip netns exec NAME` would see it.
dns::Servers servers_of(const std::string& name) {
  dns::Servers servers;
  if (name.find('/') == std::string::npos) {
    auto text = base::read_file("/etc/netns/" + name + "/resolv.conf", 1U << 20U);
    if (text) servers = dns::parse_resolv_conf(*text);
  }
  return servers.empty() ? dns::parse_resolv_conf(kUsualServer) : servers;
}

}  // namespace

Result<> WayOut::find() {
  if (options_.internet == Internet::kFake) servers_ = dns::parse_resolv_conf(kUsualServer);
  if (options_.internet != Internet::kNetns) return {};
  SANDLOT_TRY(named_netns_, netfilter::open_named_netns(options_.internet_netns));
  servers_ = servers_of(options_.internet_netns);
  return {};
}

netfilter::egress::Uplink WayOut::egress_uplink() const {
  switch (options_.internet) {
    case Internet::kHost:
      return netfilter::egress::Uplink::kHost;
    case Internet::kFake:
    case Internet::kNetns:
      return netfilter::egress::Uplink::kSwitch;
    case Internet::kNone:
      break;
  }
  return netfilter::egress::Uplink::kNone;
}

Result<> WayOut::connect(const netfilter::SwitchNamespace& network) {
  network_ = &network;
  if (!named_netns_) return {};
  SANDLOT_TRY(named_, netfilter::NamedUplink::open(network, std::move(named_netns_),
                                                   "sl-" + run_dir_.filename().string()));
  return {};
}

void WayOut::open_machine_uplink() {
  std::lock_guard lock(opening_);
  if (tried_) return;
  tried_ = true;
  auto uplink = netfilter::MachineUplink::open(*network_, run_dir_);
  if (!uplink) {
    base::log::warn("uplink.failed",
                    {{"error", uplink.error().message()},
                     {"hint", "UDP and ICMP of sandboxes go nowhere; TCP and DNS work"}});
    return;
  }
  machine_ = std::move(*uplink);
}

boost::asio::awaitable<void> WayOut::open_for_datagrams(base::BlockingPool& pool) {
  if (open_ || options_.internet != Internet::kHost) co_return;
  auto work = [this]() -> Result<> {
    open_machine_uplink();
    return {};
  };
  (void)co_await base::offload(pool, std::move(work));
  open_ = true;
  failed_ = machine_ == nullptr;
}

}  // namespace emulator
