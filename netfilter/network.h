// The switch namespace and the network slots that hang on it. Used by emulator/sandboxes (slots)
// and emulator/application (switch, proxy). Everything here blocks (netlink, setns on the calling
// thread's behalf via a throw-away thread): call it from a BlockingPool.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "emulator/base/result.h"
#include "emulator/base/unique_fd.h"

namespace netfilter {

// Runs `work` inside `netns_fd`, on the calling thread, which is back where it was afterwards. For
// sockets that must live there and for programs that must run there (a child inherits the thread's
// namespace). `work` must not suspend. A thread that cannot go back ends the process.
base::Result<> run_in_netns(int netns_fd, const std::function<base::Result<>()>& work);

// Opens a socket inside the network namespace (setns, socket, setns back on a helper thread; 4-18
// us of kernel time when called on a thread of a BlockingPool). Non-blocking, close-on-exec.
base::Result<base::UniqueFd> open_socket_in(int netns_fd, int family, int type);

inline constexpr const char* kGateway =
    "169.254.1.1";  // on the switch's lo; every sandbox's default route
inline constexpr const char* kDnsServer = "8.8.8.8";  // what a sandbox's resolv.conf names

// Ports of the transparent proxy and the DNS forwarder on kGateway, inside the switch.
struct SwitchPorts {
  std::uint16_t http = 5016;   // from dport 80
  std::uint16_t tls = 5017;    // from dport 443
  std::uint16_t other = 5018;  // every other TCP port
  // UDP 53 to kDnsServer; 0: no forwarder, questions leave like every other datagram.
  std::uint16_t dns = 5353;
};

// Sandlot's own network namespace with the constant rules. Owner: removes the bind mount
// `<run_dir>/switch.netns` on destruction; the kernel removes veths and rules with the last
// reference.
class SwitchNamespace {
 public:
  // Makes the namespace, lo, the gateway address and the rules (one iptables-restore). With
  // `uplink` it forwards UDP and ICMP to the link that connect_uplink (uplink.h) then makes.
  static base::Result<std::unique_ptr<SwitchNamespace>> create(const std::filesystem::path& run_dir,
                                                               SwitchPorts ports,
                                                               bool uplink = false);
  ~SwitchNamespace();
  SwitchNamespace(const SwitchNamespace&) = delete;
  SwitchNamespace& operator=(const SwitchNamespace&) = delete;

  int fd() const { return fd_.get(); }
  SwitchPorts ports() const { return ports_; }
  // Which of the iptables programs loaded the rules ("iptables-restore", "iptables-legacy-restore",
  // ...).
  const std::string& restore_tool() const { return restore_tool_; }
  // The one for the rules in the slots: the legacy back-end where it works, because replacing a
  // table through nft waits for the kernel's read-copy-update (8-16 ms against 1-2).
  const std::string& slot_restore_tool() const { return slot_restore_tool_; }

 private:
  SwitchNamespace(base::UniqueFd fd,
                  std::filesystem::path mount,
                  SwitchPorts ports,
                  std::string restore_tool,
                  std::string slot_restore_tool);
  base::UniqueFd fd_;
  std::filesystem::path mount_;
  SwitchPorts ports_;
  std::string restore_tool_;
  std::string slot_restore_tool_;
};

// What is in the switch, for /_sandlot/state and leak tests. Blocking (runs one program, 2-5 ms).
struct NetworkCounts {
  std::size_t links = 0;  // veths of slots; a link lives on for up to 34 ms after its slot
  std::size_t rules = 0;  // constant
};
base::Result<NetworkCounts> count_network(const SwitchNamespace& network);

// One network namespace with its veth, ready for a tenant. Dropping it drops the last reference to
// the namespace (the veth pair dies with it, asynchronously).
struct Slot {
  int index = 0;               // address 10.71.0.0 + index, link "s<serial>" in the switch
  std::string address;         // "10.71.0.7"
  std::uint32_t first_id = 0;  // 2^28 + index * 65536
  base::UniqueFd netns;
};

// Makes namespace, veth (its peer `eth0` born inside), address, route, permanent neighbours,
// sysctls (ping, low ports, IPv6 off on eth0 and on for lo). `serial` is never reused, so that a
// link that is still dying cannot collide. `used`: another slot had this index, whose flows the
// switch has to forget first (0.1-3 ms). About 1.3 ms; no move, no delete (performance.md 2.2).
base::Result<Slot> make_slot(const SwitchNamespace& network,
                             int index,
                             std::uint32_t serial,
                             bool used = false);

}  // namespace netfilter
