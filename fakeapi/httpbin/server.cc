#include "fakeapi/httpbin/server.h"

#include <chrono>
#include <memory>

#include "emulator/base/async.h"
#include "fakeapi/http/connection.h"
#include "fakeapi/httpbin/httpbin.h"

namespace fakeapi::httpbin {

namespace asio = boost::asio;
using asio::ip::tcp;

namespace {

asio::awaitable<void> serve(std::unique_ptr<http::ByteStream> stream) {
  const http::Handler handler = answer;
  co_await http::serve_connection(*stream, handler);
}

}  // namespace

Server::Server(asio::any_io_executor executor) : acceptor_(executor), tasks_(executor) {}

base::Result<> Server::start(base::UniqueFd listener) {
  boost::system::error_code error;
  acceptor_.assign(tcp::v6(), listener.get(), error);
  if (error) return base::fail(base::os_error("httpbin", error.value()));
  (void)listener.release();
  tasks_.spawn("httpbin accept", accept());
  return {};
}

asio::awaitable<void> Server::accept() {
  for (;;) {
    auto [error, socket] = co_await acceptor_.async_accept(base::kUse);
    if (error == asio::error::operation_aborted) co_return;
    if (error) {  // out of descriptors: let some be closed
      co_await base::sleep_for(std::chrono::milliseconds(10));
      continue;
    }
    tasks_.spawn("httpbin", serve(http::make_tcp_stream(std::move(socket))));
  }
}

asio::awaitable<void> Server::stop() {
  boost::system::error_code ignored;
  acceptor_.close(ignored);
  tasks_.cancel();
  co_await tasks_.join();
}

}  // namespace fakeapi::httpbin
