#include "emulator/dns/server.h"

#include <sys/socket.h>

#include <algorithm>
#include <array>

#include "emulator/base/log.h"

namespace emulator::dns {

namespace asio = boost::asio;

namespace {

constexpr std::array<std::uint8_t, 4> kLoopback4 = {127, 0, 0, 1};
constexpr std::array<std::uint8_t, 16> kLoopback6 = {0, 0, 0, 0, 0, 0, 0, 0,
                                                     0, 0, 0, 0, 0, 0, 0, 1};
constexpr std::uint32_t kTtl = 60;
constexpr auto kLimit = std::chrono::seconds(5);
constexpr int kPortAttempts = 8;

base::Result<std::uint16_t> port_of(int socket) {
  asio::ip::udp::endpoint endpoint;
  auto size = static_cast<socklen_t>(endpoint.capacity());
  if (::getsockname(socket, endpoint.data(), &size) != 0) return base::fail_errno("getsockname");
  endpoint.resize(size);
  return endpoint.port();
}

}  // namespace

Server::Server(asio::any_io_executor executor, std::vector<std::string> domains, ServerList servers)
    : domains_(std::move(domains)),
      servers_(std::move(servers)),
      listener_(std::move(executor),
                [this](Bytes query, Transport transport, const asio::ip::address&) {
                  return answer(std::move(query), transport);
                }) {}

base::Result<std::uint16_t> Server::start(const std::string& address, std::uint16_t port) {
  base::Result<std::uint16_t> outcome = base::fail(base::Errc::kInternal, "DNS server");
  // A port that is free for UDP may be taken for TCP; only a port that nobody asked for can be
  // another one.
  for (int attempt = 0; attempt < (port == 0 ? kPortAttempts : 1); ++attempt) {
    SANDLOT_TRY(auto udp, bind_socket(address, port, SOCK_DGRAM));
    SANDLOT_TRY(std::uint16_t bound, port_of(udp.get()));
    auto tcp = bind_socket(address, bound, SOCK_STREAM);
    if (!tcp) {
      outcome = base::fail(std::move(tcp).error());
      continue;
    }
    SANDLOT_CHECK(listener_.serve_udp(std::move(udp)));
    SANDLOT_CHECK(listener_.serve_tcp(std::move(*tcp)));
    return bound;
  }
  return outcome;
}

asio::awaitable<void> Server::stop() {
  co_await listener_.stop();
}

bool Server::is_ours(const std::string& name) const {
  return std::any_of(domains_.begin(), domains_.end(),
                     [&](const std::string& domain) { return is_under(name, domain); });
}

asio::awaitable<Bytes> Server::answer(Bytes query, Transport transport) {
  auto question = parse_query(query);
  if (!question) co_return make_reply(query, Rcode::kFormatError);
  if (is_ours(question->name)) {
    bool internet = question->klass == kClassInternet;
    if (internet && question->type == kTypeA)
      co_return make_address_reply(query, *question, kLoopback4, kTtl);
    if (internet && question->type == kTypeAaaa)
      co_return make_address_reply(query, *question, kLoopback6, kTtl);
    co_return make_reply(query, Rcode::kNoError);
  }
  Servers servers = servers_();
  if (servers.empty()) co_return make_reply(query, Rcode::kNoSuchName);
  auto reply = co_await ask(query, std::move(servers), transport, kLimit);
  if (!reply) {
    base::log::debug("dns.no_answer",
                     {{"name", question->name}, {"error", reply.error().message()}});
    co_return make_reply(query, Rcode::kServerFailure);
  }
  co_return std::move(*reply);
}

}  // namespace emulator::dns
