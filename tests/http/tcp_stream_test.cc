#include <array>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>
#include <gtest/gtest.h>

#include "emulator/base/async.h"
#include "fakeapi/http/byte_stream.h"

namespace fakeapi::http {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;

// What read after read returned, until there were `wanted` of them.
boost::asio::awaitable<void> read_repeatedly(ByteStream& stream,
                                             std::vector<std::size_t>& counts,
                                             std::size_t wanted) {
  std::array<char, 1024> bytes{};
  while (counts.size() < wanted) {
    auto count = co_await stream.read_some(bytes);
    if (!count) co_return;
    counts.push_back(*count);
  }
}

TEST(TcpStream, SaysAgainThatItIsAtItsEndWhenReadOnceMore) {
  asio::io_context context;
  tcp::acceptor acceptor(context, tcp::endpoint(asio::ip::address_v4::loopback(), 0));
  tcp::socket client(context);
  client.connect(acceptor.local_endpoint());
  auto stream = make_tcp_stream(acceptor.accept());

  std::vector<std::size_t> counts;
  auto reading = read_repeatedly(*stream, counts, 4);
  asio::co_spawn(context, std::move(reading), [](std::exception_ptr) {});
  asio::write(client, asio::buffer("half", 4));
  while (counts.empty()) context.run_one_for(std::chrono::seconds(5));
  // The reader waits now: its end comes as an event, not as the answer of a read.
  context.run_for(std::chrono::milliseconds(20));
  client.shutdown(tcp::socket::shutdown_send);
  context.run_for(std::chrono::seconds(5));
  EXPECT_EQ(counts, (std::vector<std::size_t>{4, 0, 0, 0}));
}

}  // namespace
}  // namespace fakeapi::http
