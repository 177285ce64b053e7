#include "emulator/fakenet/hosts.h"

#include <algorithm>
#include <set>

namespace emulator::fakenet {

std::string_view to_string(ServiceKind kind) {
  switch (kind) {
    case ServiceKind::kHttp:
      return "http";
    case ServiceKind::kHttps:
      return "https";
    case ServiceKind::kDns:
      return "dns";
    case ServiceKind::kBanner:
      return "banner";
    case ServiceKind::kEcho:
      return "echo";
    case ServiceKind::kSilent:
      return "silent";
    case ServiceKind::kReset:
      return "reset";
  }
  return "";
}

const Route* Host::route(std::string_view method, std::string_view path) const {
  for (const Route& route : routes) {
    // A HEAD is answered as the GET would be.
    bool same = route.method.empty() || route.method == method ||
                (route.method == "GET" && method == "HEAD");
    std::string_view pattern = route.path;
    bool prefix = pattern.ends_with('*');
    if (prefix) pattern.remove_suffix(1);
    if (same && (prefix ? path.starts_with(pattern) : path == pattern)) return &route;
  }
  return nullptr;
}

base::Result<Hosts> Hosts::make(HostList list) {
  Hosts hosts;
  hosts.hosts_ = std::move(list.hosts);
  hosts.records_ = std::move(list.records);
  auto claim = [&hosts](const std::string& name, Named named) -> base::Result<> {
    if (hosts.by_name_.emplace(name, named).second) return {};
    return base::fail(base::Errc::kInvalidArgument, "the name '" + name + "' is there twice");
  };
  for (std::size_t i = 0; i < hosts.hosts_.size(); ++i) {
    for (const Ipv4& address : hosts.hosts_[i].addresses) {
      if (hosts.by_address_.emplace(address, i).second) continue;
      return base::fail(base::Errc::kInvalidArgument,
                        "the address " + netfilter::to_string(address) + " is there twice");
    }
    for (const std::string& name : hosts.hosts_[i].names) SANDLOT_CHECK(claim(name, {i, false}));
  }
  for (std::size_t i = 0; i < hosts.records_.size(); ++i)
    SANDLOT_CHECK(claim(hosts.records_[i].name, {i, true}));
  return hosts;
}

const Host* Hosts::at(const Ipv4& address) const {
  auto found = by_address_.find(address);
  return found == by_address_.end() ? nullptr : &hosts_[found->second];
}

const Hosts::Named* Hosts::find(const std::string& name) const {
  if (auto exact = by_name_.find(name); exact != by_name_.end()) return &exact->second;
  for (std::size_t dot = name.find('.'); dot != std::string::npos; dot = name.find('.', dot + 1)) {
    auto wildcard = by_name_.find("*" + name.substr(dot));
    if (wildcard != by_name_.end()) return &wildcard->second;
  }
  return nullptr;
}

Resolution Hosts::resolve(const std::string& name, bool move_on) {
  Resolution resolution;
  const Named* found = find(name);
  if (found == nullptr) return resolution;
  resolution.rcode = dns::Rcode::kNoError;
  if (!found->record) {
    resolution.addresses = hosts_[found->index].addresses;
    return resolution;
  }
  const Record& record = records_[found->index];
  resolution.rcode = record.rcode;
  resolution.delay = record.delay;
  if (record.answers.empty()) return resolution;
  std::size_t& position = position_[record.name];
  resolution.addresses = record.answers[position % record.answers.size()];
  if (move_on) ++position;
  if (record.answers.size() > 1) resolution.ttl = 0;
  return resolution;
}

bool Hosts::serves(const Host& host, const std::string& name) const {
  const Named* found = find(name);
  if (found == nullptr) return false;
  if (!found->record) return &hosts_[found->index] == &host;
  for (const auto& answer : records_[found->index].answers) {
    for (const Ipv4& address : answer) {
      if (at(address) == &host) return true;
    }
  }
  return false;
}

HostList layered(HostList base, HostList over) {
  std::set<std::string> names;
  std::set<Ipv4> addresses;
  for (const Host& host : over.hosts) {
    names.insert(host.names.begin(), host.names.end());
    addresses.insert(host.addresses.begin(), host.addresses.end());
  }
  for (const Record& record : over.records) names.insert(record.name);
  for (Host& host : base.hosts) {
    std::erase_if(host.names, [&](const std::string& name) { return names.contains(name); });
    std::erase_if(host.addresses, [&](const Ipv4& address) { return addresses.contains(address); });
  }
  std::erase_if(base.hosts, [](const Host& host) { return host.addresses.empty(); });
  std::erase_if(base.records, [&](const Record& record) { return names.contains(record.name); });
  std::move(base.hosts.begin(), base.hosts.end(), std::back_inserter(over.hosts));
  std::move(base.records.begin(), base.records.end(), std::back_inserter(over.records));
  return over;
}

}  // namespace emulator::fakenet
