// What exists in the fake internet, as values: hosts with their names, addresses and services, and
// the answers of its DNS. Read by everything in this folder; made by host_file.h. Pure but for the
// sequences of a name's answers, which move on with every question.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "emulator/base/result.h"
#include "emulator/dns/message.h"
#include "netfilter/ipv4.h"

namespace emulator::fakenet {

using netfilter::Ipv4;
using std::chrono::milliseconds;

// One answer of a host's web servers.
struct Route {
  std::string method;      // upper case; "" = every one
  std::string path = "*";  // without the query; a '*' at the end stands for the rest
  int status = 200;
  std::vector<std::pair<std::string, std::string>> headers;
  std::optional<std::string> body;  // nullopt: the line that describes the request
  milliseconds delay{0};
  bool reset = false;  // no answer: the connection is reset
};

enum class ServiceKind { kHttp, kHttps, kDns, kBanner, kEcho, kSilent, kReset };

struct Service {
  ServiceKind kind = ServiceKind::kHttp;
  std::string text;       // kBanner: sent first
  std::string at_end;     // kEcho, TCP: sent after the client's half-close
  milliseconds delay{0};  // before the service does anything
};
std::string_view to_string(ServiceKind kind);

struct Host {
  std::vector<std::string> names;  // lower case; "*.example.com" is every name below, at any depth
  std::vector<Ipv4> addresses;
  std::map<std::uint16_t, Service> tcp;
  std::map<std::uint16_t, Service> udp;
  std::vector<Route> routes;  // the first that matches answers

  const Route* route(std::string_view method, std::string_view path) const;
};

// An entry of the DNS that is no host's own: rebinding, failures.
struct Record {
  std::string name;
  std::vector<std::vector<Ipv4>> answers;  // one after the other, then from the start
  dns::Rcode rcode = dns::Rcode::kNoError;
  milliseconds delay{0};
};

// What a host file says.
struct HostList {
  bool defaults = true;  // beside the built-in hosts
  std::vector<Host> hosts;
  std::vector<Record> records;
};

struct Resolution {
  dns::Rcode rcode = dns::Rcode::kNoSuchName;
  std::vector<Ipv4> addresses;
  std::uint32_t ttl = 60;
  milliseconds delay{0};
};

class Hosts {
 public:
  // kInvalidArgument when two hosts claim one address or name.
  static base::Result<Hosts> make(HostList list);

  const std::vector<Host>& all() const { return hosts_; }
  const std::vector<Record>& records() const { return records_; }
  const Host* at(const Ipv4& address) const;
  // The answer to a question for A records; `name` in lower case. Moves a sequence on unless the
  // question is for something else.
  Resolution resolve(const std::string& name, bool move_on = true);
  // Whether a client that believes the DNS may look for `name` (lower case) at this host.
  bool serves(const Host& host, const std::string& name) const;

 private:
  struct Named {
    std::size_t index = 0;
    bool record = false;
  };
  // Exact names beat wildcards, a longer wildcard beats a shorter one.
  const Named* find(const std::string& name) const;

  std::vector<Host> hosts_;
  std::vector<Record> records_;
  std::map<Ipv4, std::size_t> by_address_;
  std::map<std::string, Named, std::less<>> by_name_;
  std::map<std::string, std::size_t> position_;  // of a sequence
};

// `over` on top of `base`: its hosts and records take their names and addresses away from those of
// `base`, which disappear when nothing is left of them.
HostList layered(HostList base, HostList over);

}  // namespace emulator::fakenet
