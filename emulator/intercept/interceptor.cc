#include "emulator/intercept/interceptor.h"

#include <chrono>
#include <utility>

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>

#include "emulator/base/log.h"
#include "emulator/base/scope_exit.h"
#include "emulator/intercept/exchange.h"
#include "netfilter/domain_pattern.h"

namespace emulator::intercept {

namespace asio = boost::asio;
namespace egress = netfilter::egress;
using proxy::Channel;

namespace {

constexpr auto kHandshakeLimit = std::chrono::seconds(30);

}  // namespace

base::Result<std::unique_ptr<Interceptor>> Interceptor::create(Authority& authority,
                                                               std::string roots,
                                                               RulesOf rules_of) {
  std::unique_ptr<Interceptor> interceptor(new Interceptor(std::move(rules_of), std::move(roots)));
  auto leaf_of = [&authority](std::string_view name) { return authority.leaf(name); };
  SANDLOT_TRY(interceptor->towards_sandboxes_, proxy::TlsContext::create(std::move(leaf_of)));
  return interceptor;
}

bool Interceptor::concerns(const egress::Flow& flow) const {
  auto rules = rules_of_(flow.sandbox.id);
  // At our own door nobody knows before the first bytes whether it is TLS.
  bool may_be_tls = flow.kind != egress::FlowClass::kHttp;
  return rules && rules->concern(flow.name, flow.port, may_be_tls);
}

base::Result<> Interceptor::load_roots() {
  if (towards_servers_) return {};
  SANDLOT_TRY(towards_servers_, proxy::TlsClientContext::create(roots_));
  std::string().swap(roots_);
  return {};
}

asio::awaitable<bool> Interceptor::start_tls(const egress::Flow& flow,
                                             std::shared_ptr<Channel> client,
                                             std::shared_ptr<Channel> server) {
  asio::steady_timer limit(client->executor(), kHandshakeLimit);
  limit.async_wait([client, server](const boost::system::error_code& error) {
    if (error) return;
    client->close(true);
    server->close(true);
  });
  auto loaded = load_roots();
  std::string problem = loaded ? "" : loaded.error().message();
  if (loaded) problem = co_await server->start_tls(*towards_servers_, flow.name);
  if (!problem.empty()) {
    base::log::warn("egress.upstream_tls",
                    {{"sandbox", flow.sandbox.id}, {"name", flow.name}, {"error", problem}});
    co_return false;
  }
  co_return co_await client->start_tls(*towards_sandboxes_);
}

asio::awaitable<void> Interceptor::carry(egress::Connection& connection, std::string first_flight) {
  // Cancelled operations report; what ends a connection is that its channels are closed.
  co_await asio::this_coro::throw_if_cancelled(false);
  auto client = std::make_shared<Channel>(std::move(connection.client));
  auto server = std::make_shared<Channel>(std::move(connection.upstream));
  connection.on_cut = [client, server] {
    client->close(true);
    server->close(true);
  };
  base::ScopeExit forget([&connection] { connection.on_cut = nullptr; });
  client->unread(first_flight);
  const egress::Flow& flow = connection.flow;
  if (flow.kind == egress::FlowClass::kTls) {
    if (!co_await start_tls(flow, client, server)) {
      connection.close_reason = egress::CloseReason::kNotConnected;
      client->close(false);
      server->close(false);
      co_return;
    }
  }
  Exchange::Editor editor = [this, &flow](std::string_view host) {
    auto rules = rules_of_(flow.sandbox.id);
    if (!rules || netfilter::normalise_name(host) != flow.name) return Edits();
    return rules->of(flow.name, flow.port, flow.kind == egress::FlowClass::kTls);
  };
  Traffic traffic{connection.sent, connection.received, connection.last_activity};
  Exchange exchange(std::move(client), std::move(server), std::move(editor), traffic);
  co_await exchange.run();
  if (exchange.was_reset() && !connection.is_cut)
    connection.close_reason = egress::CloseReason::kReset;
}

}  // namespace emulator::intercept
