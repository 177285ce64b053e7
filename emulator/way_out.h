// Where the packets of sandboxes leave that are not TCP, for those `--internet` modes in which the
// far end is not ours: the machine's network (host), made when the first sandbox may send any, and
// a namespace that somebody else made (netns:NAME). Used by network_stack alone; the fake internet
// has its own (fakenet/).
#pragma once

#include <filesystem>
#include <memory>
#include <mutex>
#include <string>

#include <boost/asio/awaitable.hpp>

#include "emulator/base/async.h"
#include "emulator/base/result.h"
#include "emulator/base/unique_fd.h"
#include "emulator/config/options.h"
#include "emulator/dns/upstream.h"
#include "netfilter/egress/egress_proxy.h"
#include "netfilter/machine_uplink.h"
#include "netfilter/network.h"
#include "netfilter/uplink.h"

namespace emulator {

class WayOut {
 public:
  // `run_dir` is the instance's own directory.
  WayOut(const config::Options& options, std::filesystem::path run_dir)
      : options_(options), run_dir_(std::move(run_dir)) {}

  // Finds what `--internet` names; an error is one of the configuration. Before anything is made.
  base::Result<> find();
  // Whether the switch gets an uplink, now or later; and whether anything comes through it: not
  // after it could not be made.
  bool through_uplink() const { return options_.internet != config::Internet::kNone; }
  bool carries_datagrams() const { return through_uplink() && !failed_; }
  netfilter::egress::Uplink egress_uplink() const;
  // netns:NAME: makes the link. The other modes: nothing yet. Blocking. `network` must outlive
  // this.
  base::Result<> connect(const netfilter::SwitchNamespace& network);
  // host: makes the uplink, once; a failure is logged once, and UDP and ICMP go nowhere then (they
  // are not needed for TCP and DNS). The other modes: nothing.
  boost::asio::awaitable<void> open_for_datagrams(base::BlockingPool& pool);
  // Whether the internet is behind the switch, and the resolvers there. Else the machine's are.
  bool through_switch() const { return egress_uplink() == netfilter::egress::Uplink::kSwitch; }
  dns::Servers servers() const { return servers_; }

 private:
  void open_machine_uplink();

  const config::Options& options_;
  std::filesystem::path run_dir_;
  const netfilter::SwitchNamespace* network_ = nullptr;
  base::UniqueFd named_netns_;
  dns::Servers servers_;
  std::unique_ptr<netfilter::NamedUplink> named_;
  // Until the first sandbox that may send datagrams has it: those that come at the same time wait.
  std::mutex opening_;
  bool tried_ = false;
  bool open_ = false;  // both of the loop's thread
  bool failed_ = false;
  std::unique_ptr<netfilter::MachineUplink> machine_;
};

}  // namespace emulator
