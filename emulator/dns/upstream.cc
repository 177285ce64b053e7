#include "emulator/dns/upstream.h"

#include <sys/random.h>

#include <array>

#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>

#include "emulator/base/async.h"
#include "emulator/base/deadline.h"
#include "emulator/base/posix.h"

namespace emulator::dns {

namespace asio = boost::asio;

namespace {

constexpr std::size_t kMaxServers = 3;
constexpr std::uint16_t kPort = 53;
constexpr std::size_t kMaxMessage = 65535;

std::uint16_t random_id() {
  std::uint16_t id = 0;
  (void)!::getrandom(&id, sizeof id, 0);
  return id;
}

base::Failure failed(const char* what, const boost::system::error_code& error) {
  return base::fail(base::os_error(what, error.value()));
}

// Opens `socket` for the server's family, in the namespace that `open` stands for.
template <class Socket>
base::Result<> open_for(Socket& socket,
                        const typename Socket::protocol_type& protocol,
                        const OpenSocket& open) {
  boost::system::error_code error;
  if (open == nullptr) {
    socket.open(protocol, error);
  } else {
    SANDLOT_TRY(auto opened, open(protocol.family(), protocol.type()));
    socket.assign(protocol, opened.get(), error);
    if (!error) (void)opened.release();
  }
  if (error) return failed("open a socket for the resolver", error);
  return {};
}

// A socket of its own per question: its random port is half of the protection against forged
// answers.
base::Task<Bytes> ask_by_udp(Bytes query, asio::ip::udp::endpoint server, OpenSocket open) {
  asio::ip::udp::socket socket(co_await asio::this_coro::executor);
  SANDLOT_CO_CHECK(open_for(socket, server.protocol(), open));
  boost::system::error_code error;
  socket.connect(server, error);
  if (!error) socket.send(asio::buffer(query), 0, error);
  if (error) co_return failed("ask resolver", error);
  Bytes reply(kMaxMessage);
  for (;;) {
    auto [receive_error, count] = co_await socket.async_receive(asio::buffer(reply), base::kUse);
    if (receive_error) co_return failed("ask resolver", receive_error);
    if (!answers(View(reply).first(count), query)) continue;
    reply.resize(count);
    reply.shrink_to_fit();
    co_return reply;
  }
}

base::Task<Bytes> ask_by_tcp(Bytes query, asio::ip::udp::endpoint server, OpenSocket open) {
  asio::ip::tcp::socket socket(co_await asio::this_coro::executor);
  asio::ip::tcp::endpoint target(server.address(), server.port());
  SANDLOT_CO_CHECK(open_for(socket, target.protocol(), open));
  auto [connect_error] = co_await socket.async_connect(target, base::kUse);
  if (connect_error) co_return failed("ask resolver", connect_error);
  std::array<std::uint8_t, 2> length{static_cast<std::uint8_t>(query.size() >> 8U),
                                     static_cast<std::uint8_t>(query.size() & 0xffU)};
  std::array<asio::const_buffer, 2> parts{asio::buffer(length), asio::buffer(query)};
  auto [write_error, written] = co_await asio::async_write(socket, parts, base::kUse);
  if (write_error) co_return failed("ask resolver", write_error);
  auto [length_error, two] = co_await asio::async_read(socket, asio::buffer(length), base::kUse);
  if (length_error) co_return failed("ask resolver", length_error);
  Bytes reply(static_cast<std::size_t>((length[0] << 8U) | length[1]));
  auto [read_error, count] = co_await asio::async_read(socket, asio::buffer(reply), base::kUse);
  if (read_error) co_return failed("ask resolver", read_error);
  if (!answers(reply, query))
    co_return base::fail(base::Errc::kUnavailable, "resolver answered something else");
  co_return reply;
}

}  // namespace

Servers parse_resolv_conf(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r";
  Servers servers;
  for (std::size_t at = 0; at < text.size() && servers.size() < kMaxServers;) {
    std::size_t end = std::min(text.find('\n', at), text.size());
    std::string_view line = text.substr(at, end - at);
    at = end + 1;
    constexpr std::string_view kKey = "nameserver";
    if (!line.starts_with(kKey)) continue;
    line.remove_prefix(kKey.size());
    std::size_t start = line.find_first_not_of(kBlank);
    if (start == 0 || start == std::string_view::npos) continue;
    line.remove_prefix(start);
    line = line.substr(0, line.find_first_of(kBlank));
    boost::system::error_code error;
    auto address = asio::ip::make_address(std::string(line), error);
    if (!error) servers.emplace_back(address, kPort);
  }
  return servers;
}

const Servers& HostResolvers::servers() {
  struct ::stat now {};
  if (::stat(file_.c_str(), &now) != 0) {
    seen_ = {};
    servers_.clear();
    return servers_;
  }
  bool same = now.st_ino == seen_.st_ino && now.st_dev == seen_.st_dev &&
              now.st_size == seen_.st_size && now.st_mtim.tv_sec == seen_.st_mtim.tv_sec &&
              now.st_mtim.tv_nsec == seen_.st_mtim.tv_nsec;
  if (same) return servers_;
  seen_ = now;
  auto text = base::read_file(file_, 1U << 20U);
  servers_ = text ? parse_resolv_conf(*text) : Servers();
  return servers_;
}

base::Task<Bytes> ask(Bytes query,
                      Servers servers,
                      Transport transport,
                      std::chrono::milliseconds limit,
                      OpenSocket open) {
  if (servers.empty())
    co_return base::fail(base::Errc::kUnavailable, "this machine has no resolver");
  std::uint16_t id = id_of(query);
  auto each = limit / static_cast<int>(servers.size());
  base::Result<Bytes> reply = base::fail(base::Errc::kUnavailable, "no resolver answered");
  for (const auto& server : servers) {
    set_id(query, random_id());
    auto task = transport == Transport::kUdp ? ask_by_udp(query, server, open)
                                             : ask_by_tcp(query, server, open);
    reply = co_await base::with_deadline(std::move(task), each, "resolver");
    if (reply) {
      set_id(*reply, id);
      break;
    }
  }
  co_return reply;
}

}  // namespace emulator::dns
