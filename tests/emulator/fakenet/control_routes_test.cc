// Without a fake internet the routes say how to get one.
#include "emulator/fakenet/control_routes.h"

#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>

#include "tests/support/memory_stream.h"
#include "tests/support/run_task.h"

namespace emulator::fakenet {
namespace {

namespace http = fakeapi::http;

boost::asio::awaitable<std::string> ask(http::RouteHandler* handler,
                                        http::ByteStream* near,
                                        http::ByteStream* far) {
  http::ServerConnection connection(*far);
  std::string request = "GET /_sandlot/fakenet/canary HTTP/1.1\r\nHost: localhost\r\n\r\n";
  (void)co_await near->write_all(request, {});
  auto head = co_await connection.read_head();
  http::RoutedRequest routed{**head, {}, connection};
  co_await (*handler)(std::move(routed));
  std::array<char, 4096> buffer{};
  auto count = co_await near->read_some(buffer);
  co_return std::string(buffer.data(), count.value_or(0));
}

TEST(ControlRoutes, SayThatThereIsNoFakeInternet) {
  boost::asio::io_context context;
  auto [near, far] = tests::make_memory_streams(context.get_executor());
  auto routes = control_routes(nullptr);
  ASSERT_EQ(routes.size(), 4U);
  EXPECT_EQ(routes[0].path, "/_sandlot/fakenet/canary");
  std::string answer = tests::run_task(context, ask(&routes[0].handler, near.get(), far.get()));
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 404 ")) << answer;
  EXPECT_NE(answer.find("--internet fake"), std::string::npos) << answer;
}

}  // namespace
}  // namespace emulator::fakenet
