// Who may use the control API: this machine, and whoever has the token.
#include "emulator/control/control_api.h"

#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>

#include "tests/support/memory_stream.h"
#include "tests/support/run_task.h"

namespace emulator::control {
namespace {

namespace asio = boost::asio;
namespace http = fakeapi::http;

class Port final : public ControlPort {
 public:
  bool ready() const override { return true; }
  base::Task<std::vector<std::pair<std::string, std::size_t>>> reset() override {
    co_return std::vector<std::pair<std::string, std::size_t>>();
  }
  base::Task<StateReport> state() override { co_return StateReport(); }
  ClockReport clock() const override { return {}; }
  base::Task<> change_clock(ClockChange) override { co_return base::Result<>(); }
};

// A connection of this machine, or of another one.
class From final : public http::ByteStream {
 public:
  From(http::ByteStream& stream, bool is_local) : stream_(stream), is_local_(is_local) {}
  base::Task<std::size_t> read_some(std::span<char> into) override {
    return stream_.read_some(into);
  }
  base::Task<> write_all(std::string_view first, std::string_view second) override {
    return stream_.write_all(first, second);
  }
  base::Task<> shutdown_write() override { return stream_.shutdown_write(); }
  void close(bool reset) override { stream_.close(reset); }
  asio::any_io_executor executor() override { return stream_.executor(); }
  bool is_local() const override { return is_local_; }

 private:
  http::ByteStream& stream_;
  bool is_local_;
};

asio::awaitable<std::string> ask(ControlApi* api,
                                 http::ByteStream* near,
                                 http::ByteStream* far,
                                 std::string headers) {
  std::string request = "GET /_sandlot/livez HTTP/1.1\r\n" + headers + "\r\n";
  (void)co_await near->write_all(request, {});
  http::ServerConnection connection(*far);
  auto head = co_await connection.read_head();
  co_await api->handle(**head, connection);
  std::array<char, 4096> buffer{};
  auto count = co_await near->read_some(buffer);
  co_return std::string(buffer.data(), count.value_or(0));
}

int status(const std::string& token, bool is_local, const std::string& headers) {
  asio::io_context context;
  Port port;
  ControlApi api(port, {"localhost"}, token);
  auto [near, far] = tests::make_memory_streams(context.get_executor());
  From stream(*far, is_local);
  std::string answer = tests::run_task(context, ask(&api, near.get(), &stream, headers));
  return std::atoi(answer.substr(9, 3).c_str());
}

TEST(ControlApi, IsForThisMachineOnly) {
  EXPECT_EQ(status("", true, "Host: localhost:7463\r\n"), 200);
  EXPECT_EQ(status("", false, "Host: localhost:7463\r\n"), 403);
  EXPECT_EQ(status("", false, "Host: localhost:7463\r\nAuthorization: Bearer \r\n"), 403);
  EXPECT_EQ(status("", true, "Host: elsewhere:7463\r\n"), 403) << "DNS rebinding";
  EXPECT_EQ(status("", true, "Host: localhost\r\nOrigin: https://example.com\r\n"), 403);
}

TEST(ControlApi, IsForWhoeverHasTheTokenToo) {
  const std::string host = "Host: machine.example.com:7463\r\n";
  EXPECT_EQ(status("long enough", false, host + "Authorization: Bearer long enough\r\n"), 200);
  EXPECT_EQ(status("long enough", false, host + "Authorization: Bearer long enougH\r\n"), 403);
  EXPECT_EQ(status("long enough", false, host + "Authorization: Bearer long\r\n"), 403);
  EXPECT_EQ(status("long enough", false, host), 403);
  EXPECT_EQ(status("long enough", true, "Host: localhost\r\n"), 200) << "this machine needs none";
}

}  // namespace
}  // namespace emulator::control
