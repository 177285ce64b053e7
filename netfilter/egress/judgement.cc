// What EgressProxy thinks of a connection, real or asked about: who judges it, whether its name is
// read, where it is dialled.
#include <utility>

#include "emulator/base/async.h"
#include "emulator/base/deadline.h"
#include "emulator/base/log.h"
#include "netfilter/egress/egress_proxy.h"

namespace netfilter::egress {

namespace asio = boost::asio;

namespace {

constexpr Ipv4 kDnsAddress = {8, 8, 8, 8};
constexpr std::uint16_t kDnsPort = 53;
constexpr std::uint16_t kHttpPort = 80;
constexpr std::uint16_t kTlsPort = 443;

}  // namespace

bool EgressProxy::is_own_door(const Flow& flow) const {
  return own_door_ && flow.address == own_door_->address && own_door_->has(flow.port);
}

std::shared_ptr<const Policy> EgressProxy::policy_of(const std::string& sandbox_id) const {
  static const auto kOpen = std::make_shared<const Policy>();
  return hooks_.policy_of ? hooks_.policy_of(sandbox_id) : kOpen;
}

Decision EgressProxy::judge(const Policy& policy,
                            const Destination& destination,
                            Trace* trace) const {
  Decision decision = decide(policy, destination, trace);
  bool dns = is_dns(destination.address, destination.port);
  bool own = own_door_ && destination.address == own_door_->address;
  if (decision.allowed && !dns && !own && options_.uplink == Uplink::kNone) {
    decision = {false, MatchType::kNone, "no internet"};
    if (trace != nullptr) trace->push_back({decision.rule, true});
  }
  return decision;
}

bool EgressProxy::is_machine_local(const Ipv4& address) {
  auto local = routes_->is_local(address);
  return !local || *local;
}

bool EgressProxy::is_dns(const Ipv4& address, std::uint16_t port) const {
  return address == kDnsAddress && port == kDnsPort && hooks_.serve_dns != nullptr;
}

bool EgressProxy::reads_name(const Policy& policy, const Flow& flow) const {
  return waits_for_name(policy, flow) || (may_have_name(flow) && is_changed(flow));
}

// The first of carry()'s steps, without a client.
asio::awaitable<Forecast> EgressProxy::foretell(Flow flow, Resolve resolve, Trace* trace) {
  FlowClass spoken = std::exchange(flow.kind, FlowClass::kOther);
  if (flow.port == kHttpPort) flow.kind = FlowClass::kHttp;
  if (flow.port == kTlsPort) flow.kind = FlowClass::kTls;
  flow.own_door = is_own_door(flow);
  flow.machine_local = is_machine_local(flow.address);
  std::string name = std::exchange(flow.name, std::string());
  Forecast forecast{std::move(flow), Decision{false, MatchType::kNone, "no such sandbox"}};
  Flow& seen = forecast.flow;
  auto policy = policy_of(seen.sandbox.id);
  if (!policy) co_return forecast;
  if (reads_name(*policy, seen)) {
    if (seen.kind == FlowClass::kOther)
      seen.kind = spoken == FlowClass::kTls ? FlowClass::kTls : FlowClass::kHttp;
    if (seen.kind == spoken) seen.name = std::move(name);
  }
  forecast.is_changed = !seen.name.empty() && is_changed(seen);
  forecast.decision = judge(*policy, destination_of(seen), trace);
  forecast.targets =
      co_await targets_of(seen, forecast.is_changed, resolve, forecast.decision, trace);
  co_return forecast;
}

// Where an allowed connection is dialled. By name: what the machine's resolver says, never what the
// sandbox chose, and nothing internal (contract-network 2.8); if only that is left, the connection
// is denied after all. What its requests are to carry is for the name, too; if it was the address
// that was allowed, the name's must be as well.
asio::awaitable<std::vector<Ipv4>> EgressProxy::targets_of(
    const Flow& flow, bool is_changed, const Resolve& resolve, Decision& decision, Trace* trace) {
  std::vector<Ipv4> targets;
  bool by_name = decision.by_name();
  if (!decision.allowed || is_dns(flow.address, flow.port)) co_return targets;
  if (!by_name && !is_changed) co_return std::vector<Ipv4>(1, flow.address);
  if (!resolve) co_return targets;
  auto lookup = resolve(flow.name);
  auto resolved =
      co_await base::with_deadline(std::move(lookup), options_.dial_limit, "egress resolve");
  if (!resolved) {
    base::log::debug(
        "egress.not_resolved",
        {{"sandbox", flow.sandbox.id}, {"name", flow.name}, {"error", resolved.error().message()}});
  }
  if (!resolved || resolved->empty()) {
    if (trace != nullptr) trace->push_back({"the name has no address: nothing is dialled", true});
    co_return targets;
  }
  std::optional<Decision> refused;
  for (const Ipv4& address : *resolved) {
    auto objected = objection(flow, by_name, address);
    if (!objected) {
      targets.push_back(address);
    } else if (!refused || refused->match == MatchType::kInternal) {
      refused = std::move(objected);
    }
  }
  if (!targets.empty()) co_return targets;
  if (trace != nullptr) {
    trace->push_back({refused->rule + ": what the name resolves to", true});
  } else if (refused->match == MatchType::kInternal) {
    if (auto skipped = internal_lines_.take())
      base::log::warn("egress.internal_address",
                      {{"sandbox", flow.sandbox.id},
                       {"skipped", *skipped},
                       {"name", flow.name},
                       {"address", to_string(resolved->front())},
                       {"hint",
                        "the name resolves to an internal address on this machine (VPN or "
                        "split DNS?): denied"}});
  }
  decision = std::move(*refused);
  co_return targets;
}

std::optional<Decision> EgressProxy::objection(const Flow& flow,
                                               bool by_name,
                                               const Ipv4& address) {
  static const auto kOpen = std::make_shared<const Policy>();
  Destination there = destination_of(flow);
  there.address = address;
  there.machine_local = is_machine_local(address);
  if (is_internal(address, there.machine_local))
    return Decision{false, MatchType::kInternal, "internal"};
  // The lists have spoken about the name already; what is left is whether there is a way out.
  auto policy = by_name ? kOpen : policy_of(flow.sandbox.id);
  Decision decision = policy ? judge(*policy, there) : Decision();
  if (decision.allowed) return std::nullopt;
  return decision;
}

}  // namespace netfilter::egress
