// The sandboxes' resolver: what they send to 8.8.8.8 port 53 arrives here (UDP by the rules of the
// switch, TCP by the egress proxy) and goes on to the machine's resolvers. Made by
// emulator/application. No cache and no filter: names are not secret in the cloud either
// (contract-network 2.5).
#pragma once

#include <array>
#include <chrono>
#include <functional>
#include <optional>
#include <string>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>

#include "emulator/base/result.h"
#include "emulator/dns/listener.h"
#include "emulator/dns/message.h"
#include "emulator/dns/upstream.h"
#include "netfilter/network.h"

namespace emulator::dns {

// One question of a sandbox that was answered.
struct QuestionEvent {
  const boost::asio::ip::address& client;  // of the sandbox
  const Question& question;
  Transport transport = Transport::kUdp;
  Rcode rcode = Rcode::kNoError;  // of the answer
};

class Forwarder {
 public:
  struct Options {
    bool internet =
        true;  // false (--internet none): every question is answered by SERVFAIL at once
    std::chrono::milliseconds limit = std::chrono::seconds(2);
    OpenSocket open_socket = nullptr;  // where the questions leave; empty: this machine's network
    // The address of a name that is the emulator's own, whatever the internet says. Optional.
    std::function<std::optional<std::array<std::uint8_t, 4>>(const std::string& name)> own_name =
        nullptr;
    // Whether this client is to be told that there is no such name, whatever the internet says.
    // Optional.
    std::function<bool(const boost::asio::ip::address& client, const std::string& name)>
        has_no_name = nullptr;
    // Told of every question that could be read. Optional.
    std::function<void(const QuestionEvent&)> on_question = nullptr;
  };

  Forwarder(boost::asio::any_io_executor executor, ServerList servers, Options options);

  // Listens on the switch's DNS port.
  base::Result<> start(const netfilter::SwitchNamespace& network);
  // Listens on a bound UDP socket.
  base::Result<> start_on(base::UniqueFd udp_socket);
  // A TCP connection to 8.8.8.8:53 (EgressProxy::Hooks::serve_dns). `stream` must outlive the
  // await.
  boost::asio::awaitable<void> serve_stream(boost::asio::ip::tcp::socket& stream,
                                            StreamBytes bytes);
  boost::asio::awaitable<void> stop();

 private:
  boost::asio::awaitable<Bytes> answer(Bytes query,
                                       Transport transport,
                                       boost::asio::ip::address client);
  boost::asio::awaitable<Bytes> answer_question(Bytes query,
                                                const Question& question,
                                                Transport transport);

  ServerList servers_;
  Options options_;
  Listener listener_;
};

}  // namespace emulator::dns
