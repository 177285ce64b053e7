#include "netfilter/switch_rules.h"

#include "netfilter/ipv4.h"

namespace netfilter {

namespace {

// Decides what of a sandbox's packets goes on, before any destination is translated, so that the
// proxy's own address cannot be named by a sandbox (169.254/16 is denied) and yet is where its
// connections end.
std::string mangle_table() {
  std::string text = "*mangle\n:SANDLOT - [0:0]\n-A PREROUTING -i s+ -j SANDLOT\n";
  // A sandbox's own address is checked by rp_filter on its link; this is the belt to those braces.
  text += "-A SANDLOT ! -s 10.71.0.0/16 -j DROP\n";
  for (const Ipv4Range& range : kAlwaysDenied) {
    text.append("-A SANDLOT -d ").append(to_string(range)).append(" -j DROP\n");
  }
  text += "-A SANDLOT -p tcp -j RETURN\n";
  text.append("-A SANDLOT -d ").append(kDnsServer).append(" -p udp --dport 53 -j RETURN\n");
  // UDP and ICMP have no way out yet, and would be dropped for want of a route anyway.
  text += "-A SANDLOT -j DROP\nCOMMIT\n";
  return text;
}

std::string nat_table(const SwitchPorts& ports) {
  std::string to = std::string(" -j DNAT --to-destination ") + kGateway + ":";
  std::string text = "*nat\n";
  text += "-A PREROUTING -i s+ -p tcp --dport 80" + to + std::to_string(ports.http) + "\n";
  text += "-A PREROUTING -i s+ -p tcp --dport 443" + to + std::to_string(ports.tls) + "\n";
  text += "-A PREROUTING -i s+ -p tcp" + to + std::to_string(ports.other) + "\n";
  text.append("-A PREROUTING -i s+ -d ").append(kDnsServer).append(" -p udp --dport 53");
  text += to + std::to_string(ports.dns) + "\nCOMMIT\n";
  return text;
}

std::string filter_table() {
  return "*filter\n"
         ":INPUT DROP [0:0]\n"
         ":FORWARD DROP [0:0]\n"
         "-A INPUT -i lo -j ACCEPT\n"
         "-A INPUT -i s+ -m conntrack --ctstate DNAT -j ACCEPT\n"
         "-A INPUT -i s+ -m conntrack --ctstate ESTABLISHED -j ACCEPT\n"
         "-A INPUT -i s+ -j DROP\n"
         "-A FORWARD -i s+ -o s+ -j DROP\n"
         "COMMIT\n";
}

}  // namespace

std::string switch_rules(const SwitchPorts& ports) {
  return mangle_table() + nat_table(ports) + filter_table();
}

std::string switch_rules_ipv6() {
  return "*filter\n:INPUT DROP [0:0]\n:FORWARD DROP [0:0]\n:OUTPUT DROP [0:0]\nCOMMIT\n";
}

}  // namespace netfilter
