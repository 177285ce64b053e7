#include "emulator/cli/doctor_network.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>

#include "emulator/base/ids.h"
#include "emulator/base/posix.h"
#include "emulator/base/run_tool.h"
#include "emulator/base/scope_exit.h"
#include "emulator/cli/endpoint.h"
#include "emulator/cli/name_check.h"
#include "netfilter/machine_rules.h"
#include "netfilter/network.h"
#include "netfilter/uplink.h"

#include <netdb.h>

namespace emulator::cli {
namespace {

// "iptables v1.8.9 (nf_tables)" -> "iptables-restore, nf_tables flavour".
std::string with_flavour(const std::string& tool) {
  auto output = base::run_tool({.argv = {tool, "--version"}});
  const std::string text = output ? output->out : "";
  const auto open = text.find('(');
  const auto close = text.find(')', std::min(open, text.size()));
  if (close == std::string::npos) return tool;
  return tool + " (" + text.substr(open + 1, close - open - 1) + " flavour)";
}

// --internet host, as far as it can be tried without touching the machine: the rules, in the switch
// that ends with this check; and whether forwarding is on already.
Check try_machine_uplink(const netfilter::SwitchNamespace& network) {
  const std::string id = "internet.host";
  const std::string rules =
      netfilter::machine_rules("sl-doctor", {169, 254, 71, 2}, "sandlot:doctor");
  const std::string tool = network.restore_tool();
  std::string reason;
  auto tried = netfilter::run_in_netns(network.fd(), [&]() -> base::Result<> {
    SANDLOT_TRY(auto output, base::run_tool({.argv = {tool, "--noflush"}, .stdin_text = rules}));
    if (output.exit_code != 0) reason = output.err;
    return {};
  });
  if (!tried) reason = tried.error().message();
  if (!reason.empty()) {
    return warn(id, "UDP and ICMP would have no way out (TCP and DNS do): " + reason,
                "modprobe -a xt_MASQUERADE xt_addrtype xt_conntrack xt_comment");
  }
  const bool forwards =
      base::read_file("/proc/sys/net/ipv4/ip_forward", 16).value_or("0").starts_with('1');
  return ok(id, std::string("UDP and ICMP leave by a link and four rules on this machine; ") +
                    (forwards ? "net.ipv4.ip_forward is on already"
                              : "net.ipv4.ip_forward is switched on with them, and off again"));
}

Check check_uplink(const netfilter::SwitchNamespace& network, const config::Options& options) {
  switch (options.internet) {
    case config::Internet::kHost:
      return try_machine_uplink(network);
    case config::Internet::kNetns: {
      auto found = netfilter::open_named_netns(options.internet_netns);
      if (found) return ok("internet.netns", options.internet_netns + " is a network namespace");
      return fail("internet.netns", found.error().message(),
                  "ip netns add NAME, and --internet netns:NAME");
    }
    case config::Internet::kFake:
      return ok("internet.fake", "needs nothing of this machine");
    case config::Internet::kNone:
      break;
  }
  return ok("internet.none", "needs nothing of this machine");
}

Checks try_switch(const std::filesystem::path& directory, const config::Options& options) {
  if (::unshare(CLONE_NEWNS) != 0 ||
      ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
    return {fail("network", base::os_error("a mount namespace").message(), "sudo sandlot doctor")};
  }
  if (!base::find_tool("iptables-restore") && !base::find_tool("iptables-legacy-restore") &&
      !base::find_tool("iptables-nft-restore")) {
    return {fail("network.iptables", "no iptables-restore on this machine",
                 "apt-get install -y iptables")};
  }
  auto made = netfilter::SwitchNamespace::create(directory, {});
  if (!made) {
    return {fail("network.iptables", made.error().message(),
                 "modprobe -a ip_tables iptable_nat iptable_mangle nf_tables nft_chain_nat "
                 "xt_conntrack; or the other flavour: "
                 "update-alternatives --config iptables")};
  }
  Checks checks = {ok("network.iptables", with_flavour((*made)->restore_tool()) +
                                              " loads the rules in a namespace of its own, " +
                                              with_flavour((*made)->slot_restore_tool()) +
                                              " those of policies")};
  auto slot = netfilter::make_slot(**made, 1, 1);
  if (!slot) {
    checks.push_back(fail("network.veth", slot.error().message(), "modprobe veth"));
  } else {
    checks.push_back(ok("network.veth", "a veth pair between two namespaces"));
  }
  checks.push_back(check_uplink(**made, options));
  return checks;
}

// The errno of binding; 0 when the port is free.
int try_bind(const std::string& host, std::uint16_t port, int type) {
  addrinfo hints{};
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE;
  hints.ai_socktype = type;
  addrinfo* list = nullptr;
  if (::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &list) != 0) return EINVAL;
  const base::UniqueFd socket(::socket(list->ai_family, type | SOCK_CLOEXEC, 0));
  int error = socket ? 0 : errno;
  const int yes = 1;
  // As the listener does: connections in TIME_WAIT are no obstacle.
  if (error == 0 && type == SOCK_STREAM)
    ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  if (error == 0 && list->ai_family == AF_INET6)
    ::setsockopt(socket.get(), IPPROTO_IPV6, IPV6_V6ONLY, &yes, sizeof yes);
  if (error == 0 && ::bind(socket.get(), list->ai_addr, list->ai_addrlen) != 0) error = errno;
  if (error == 0 && type == SOCK_STREAM && ::listen(socket.get(), 1) != 0) error = errno;
  ::freeaddrinfo(list);
  return error;
}

struct Port {
  std::string flag;
  std::vector<std::string> hosts;
  std::uint16_t number = 0;
  std::vector<int> types;
};

Check check_port(const Port& port, const config::Options& options) {
  const std::string id = "port." + port.flag;
  const std::string number = std::to_string(port.number);
  if (port.number == 0) return ok(id, "any free one");
  std::string hosts;
  for (const std::string& host : port.hosts) {
    for (int type : port.types) {
      const int error = try_bind(host, port.number, type);
      // A machine without IPv6 still serves IPv4.
      if (error == EAFNOSUPPORT || (error == EADDRNOTAVAIL && host == "::1")) continue;
      if (error == 0) continue;
      if (error == EADDRINUSE) {
        auto running = find_endpoint(options.run_dir, options.port);
        if (running && (running->port == port.number || running->https_port == port.number ||
                        running->dns_port == port.number)) {
          return ok(id, number + " is held by the running emulator (pid " +
                            std::to_string(running->pid) + ")");
        }
        return fail(id, number + " on " + host + " is in use by another program",
                    "sandlot serve --" + port.flag +
                        " 0 (any free one); who has it: ss -lntup 'sport = :" + number + "'");
      }
      return fail(id, number + " on " + host + ": " + base::os_error("bind", error).message(),
                  "sandlot serve --" + port.flag + " PORT");
    }
    hosts += (hosts.empty() ? "" : ", ") + host;
  }
  return ok(id, number + " is free on " + hosts);
}

}  // namespace

Checks check_network(const config::Options& options) {
  if (::geteuid() != 0) return {};
  std::error_code error;
  const std::filesystem::path directory =
      std::filesystem::temp_directory_path(error) / ("sandlot-doctor-" + base::random_id(8));
  const base::ScopeExit clean([&directory] {
    std::error_code ignored;
    std::filesystem::remove_all(directory, ignored);
  });
  if (auto made = base::make_directories(directory, 0700); !made) {
    return {fail("network", made.error().message(),
                 "export TMPDIR=DIR, with a DIR that can be written")};
  }
  return in_child("network", [&] { return try_switch(directory, options); });
}

Checks check_ports(const config::Options& options) {
  Checks checks = {check_port({"port", options.hosts, options.port, {SOCK_STREAM}}, options)};
  if (options.https_port) {
    checks.push_back(
        check_port({"https-port", options.hosts, *options.https_port, {SOCK_STREAM}}, options));
  }
  if (options.dns_port) {
    checks.push_back(check_port(
        {"dns-port", {options.dns_host}, *options.dns_port, {SOCK_DGRAM, SOCK_STREAM}}, options));
  }
  return checks;
}

Check check_names(const std::string& domain) {
  if (names_resolve(domain))
    return ok("names", "names under " + domain + " resolve on this machine");
  const bool local = domain == "localhost" || domain.ends_with(".localhost");
  return warn(
      "names",
      "names under " + domain +
          " do not resolve here (curl and browsers know *.localhost by themselves); 'sandlot exec' "
          "and "
          "'sandlot env --no-dns' work without",
      local ? "apt-get install -y libnss-myhostname"
            : "point *." + domain + " at 127.0.0.1 in your DNS, or sandlot serve --dns-port 53");
}

}  // namespace emulator::cli
