#include "netfilter/switch_rules.h"

#include "netfilter/ipv4.h"
#include "netfilter/uplink.h"

namespace netfilter {

namespace {

// Decides what of a sandbox's packets goes on, before any destination is translated, so that the
// proxy's own address cannot be named by a sandbox (169.254/16 is denied) and yet is where its
// connections end.
std::string mangle_table(const SwitchPorts& ports, bool uplink) {
  std::string text = "*mangle\n:SANDLOT - [0:0]\n-A PREROUTING -i s+ -j SANDLOT\n";
  // A sandbox's own address is checked by rp_filter on its link; this is the belt to those braces.
  text += "-A SANDLOT ! -s 10.71.0.0/16 -j DROP\n";
  // Connection tracking would take an error message about another sandbox's flow for part of that
  // flow, and translate and forward it. What a sandbox has to say about its own is never missed.
  text += "-A SANDLOT -m conntrack --ctstate RELATED -j DROP\n";
  for (const Ipv4Range& range : kAlwaysDenied) {
    text.append("-A SANDLOT -d ").append(to_string(range)).append(" -j DROP\n");
  }
  text += "-A SANDLOT -p tcp -j RETURN\n";
  if (ports.dns != 0)
    text.append("-A SANDLOT -d ").append(kDnsServer).append(" -p udp --dport 53 -j RETURN\n");
  // Without an uplink UDP and ICMP have no way out, and would be dropped for want of a route
  // anyway. With one they go on to be forwarded; what a policy says about them is in the sandbox's
  // slot.
  if (!uplink) text += "-A SANDLOT -j DROP\n";
  return text + "COMMIT\n";
}

std::string nat_table(const SwitchPorts& ports, bool uplink) {
  std::string to = std::string(" -j DNAT --to-destination ") + kGateway + ":";
  std::string text = "*nat\n";
  text += "-A PREROUTING -i s+ -p tcp --dport 80" + to + std::to_string(ports.http) + "\n";
  text += "-A PREROUTING -i s+ -p tcp --dport 443" + to + std::to_string(ports.tls) + "\n";
  text += "-A PREROUTING -i s+ -p tcp" + to + std::to_string(ports.other) + "\n";
  if (ports.dns != 0) {
    text.append("-A PREROUTING -i s+ -d ").append(kDnsServer).append(" -p udp --dport 53");
    text += to + std::to_string(ports.dns) + "\n";
  }
  if (uplink) text.append("-A POSTROUTING -o ").append(kUplinkName).append(" -j MASQUERADE\n");
  return text + "COMMIT\n";
}

std::string filter_table(bool uplink) {
  std::string text =
      "*filter\n"
      ":INPUT DROP [0:0]\n"
      ":FORWARD DROP [0:0]\n"
      "-A INPUT -i lo -j ACCEPT\n"
      "-A INPUT -i s+ -m conntrack --ctstate DNAT -j ACCEPT\n"
      "-A INPUT -i s+ -m conntrack --ctstate ESTABLISHED -j ACCEPT\n"
      "-A INPUT -i s+ -j DROP\n"
      "-A FORWARD -i s+ -o s+ -j DROP\n";
  if (uplink) {
    std::string name = kUplinkName;
    // Answers to what the proxy and the forwarder sent from in here.
    text += "-A INPUT -i " + name + " -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT\n";
    // All TCP ends in the proxy; what connection tracking cannot place was not translated either.
    text += "-A FORWARD -i s+ -p tcp -j DROP\n";
    text += "-A FORWARD -m conntrack --ctstate INVALID -j DROP\n";
    text += "-A FORWARD -i s+ -o " + name + " -j ACCEPT\n";
    text +=
        "-A FORWARD -i " + name + " -o s+ -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT\n";
  }
  return text + "COMMIT\n";
}

}  // namespace

std::string switch_rules(const SwitchPorts& ports, bool uplink) {
  return mangle_table(ports, uplink) + nat_table(ports, uplink) + filter_table(uplink);
}

std::string switch_rules_ipv6() {
  return "*filter\n:INPUT DROP [0:0]\n:FORWARD DROP [0:0]\n:OUTPUT DROP [0:0]\nCOMMIT\n";
}

}  // namespace netfilter
