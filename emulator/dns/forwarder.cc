#include "emulator/dns/forwarder.h"

#include <sys/socket.h>

#include "emulator/base/log.h"

namespace emulator::dns {

namespace asio = boost::asio;

namespace {

constexpr std::uint32_t kOwnTtl = 60;

}  // namespace

Forwarder::Forwarder(asio::any_io_executor executor, ServerList servers, Options options)
    : servers_(std::move(servers)),
      options_(std::move(options)),
      listener_(std::move(executor),
                [this](Bytes query, Transport transport, asio::ip::address client) {
                  return answer(std::move(query), transport, std::move(client));
                }) {}

base::Result<> Forwarder::start(const netfilter::SwitchNamespace& network) {
  SANDLOT_TRY(auto socket, netfilter::open_socket_in(network.fd(), AF_INET, SOCK_DGRAM));
  SANDLOT_CHECK(bind_to(socket.get(), netfilter::kGateway, network.ports().dns, SOCK_DGRAM));
  return start_on(std::move(socket));
}

base::Result<> Forwarder::start_on(base::UniqueFd udp_socket) {
  return listener_.serve_udp(std::move(udp_socket));
}

asio::awaitable<void> Forwarder::serve_stream(asio::ip::tcp::socket& stream, StreamBytes bytes) {
  co_await listener_.serve_stream(stream, bytes);
}

asio::awaitable<void> Forwarder::stop() {
  co_await listener_.stop();
}

asio::awaitable<Bytes> Forwarder::answer(Bytes query,
                                         Transport transport,
                                         asio::ip::address client) {
  auto question = parse_query(query);
  if (!question) co_return make_reply(query, Rcode::kFormatError);
  Bytes reply;
  if (options_.has_no_name && options_.has_no_name(client, question->name)) {
    reply = make_reply(query, Rcode::kNoSuchName);
  } else {
    reply = co_await answer_question(std::move(query), *question, transport);
  }
  if (options_.on_question && reply.size() >= kHeaderSize) {
    QuestionEvent event{client, *question, transport, static_cast<Rcode>(reply[3] & 0x0fU)};
    options_.on_question(event);
  }
  co_return reply;
}

asio::awaitable<Bytes> Forwarder::answer_question(Bytes query,
                                                  const Question& question,
                                                  Transport transport) {
  if (auto own = options_.own_name ? options_.own_name(question.name) : std::nullopt) {
    bool address = question.klass == kClassInternet && question.type == kTypeA;
    if (address) co_return make_address_reply(query, question, *own, kOwnTtl);
    co_return make_reply(query, Rcode::kNoError);
  }
  Servers servers = options_.internet ? servers_() : Servers();
  // At once, not after a time-out: programs in the sandbox wait for this (contract-network 5.6).
  if (servers.empty()) co_return make_reply(query, Rcode::kServerFailure);
  // A sandbox has no IPv6; an empty answer saves its programs the attempt.
  if (question.type == kTypeAaaa) co_return make_reply(query, Rcode::kNoError);
  auto reply =
      co_await ask(query, std::move(servers), transport, options_.limit, options_.open_socket);
  if (!reply) {
    base::log::debug("dns.no_answer",
                     {{"name", question.name}, {"error", reply.error().message()}});
    co_return make_reply(query, Rcode::kServerFailure);
  }
  co_return std::move(*reply);
}

}  // namespace emulator::dns
