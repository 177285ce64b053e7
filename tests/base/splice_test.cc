#include "emulator/base/splice.h"

#include <sys/socket.h>

#include <string>
#include <thread>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <gtest/gtest.h>

#include "emulator/base/async.h"

namespace base {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using End = Moved::End;

// Two connections: what is written to `source` comes out of `from`, what is moved to `to` comes out
// of `sink`.
class SpliceTest : public testing::Test {
 protected:
  SpliceTest() {
    connect(source_, from_);
    connect(to_, sink_);
    from_.native_non_blocking(true);
    to_.native_non_blocking(true);
  }

  Moved step(PipePool& pool, std::uint64_t limit = 1U << 30U) {
    Moved moved;
    auto task = [](tcp::socket& from, tcp::socket& to, std::uint64_t most, PipePool& pipes,
                   Moved& result) -> asio::awaitable<void> {
      result = co_await splice_some(from, to, most, pipes);
    };
    asio::co_spawn(context_, task(from_, to_, limit, pool, moved), asio::detached);
    context_.restart();
    context_.run();
    return moved;
  }
  std::string received(std::size_t count) {
    std::string text(count, '\0');
    asio::read(sink_, asio::buffer(text));
    return text;
  }

  asio::io_context context_{1};
  tcp::socket source_{context_};
  tcp::socket from_{context_};
  tcp::socket to_{context_};
  tcp::socket sink_{context_};

 private:
  void connect(tcp::socket& a, tcp::socket& b) {
    tcp::acceptor acceptor(context_, tcp::endpoint(asio::ip::address_v4::loopback(), 0));
    a.connect(acceptor.local_endpoint());
    acceptor.accept(b);
  }
};

TEST_F(SpliceTest, MovesWhatIsThereAndNoMoreThanAskedFor) {
  PipePool pool;
  asio::write(source_, asio::buffer(std::string("hello world")));
  EXPECT_EQ(step(pool, 5).count, 5U);
  EXPECT_EQ(received(5), "hello");
  EXPECT_EQ(step(pool).count, 6U);
  EXPECT_EQ(received(6), " world");
  EXPECT_EQ(pool.leased(), 0U);
  EXPECT_EQ(pool.idle(), 1U);
}

TEST_F(SpliceTest, SaysThatTheSourceHasEnded) {
  PipePool pool;
  source_.shutdown(tcp::socket::shutdown_send);
  Moved moved = step(pool);
  EXPECT_EQ(moved.count, 0U);
  EXPECT_EQ(moved.end, End::kEndOfStream);
  EXPECT_FALSE(moved.error);
}

TEST_F(SpliceTest, TellsAFailedSourceFromAFailedTarget) {
  PipePool pool;
  source_.set_option(asio::socket_base::linger(true, 0));
  source_.close();
  Moved moved = step(pool);
  EXPECT_EQ(moved.end, End::kSourceFailed);
  EXPECT_EQ(moved.error, asio::error::connection_reset);
}

TEST_F(SpliceTest, AFailedTargetCostsThePipeAndNotTheProcess) {
  PipePool pool;
  asio::write(source_, asio::buffer(std::string("lost")));
  to_.shutdown(tcp::socket::shutdown_send);
  Moved moved = step(pool);
  EXPECT_EQ(moved.end, End::kTargetFailed);
  EXPECT_EQ(moved.error, asio::error::broken_pipe);
  EXPECT_EQ(moved.count, 0U);
  EXPECT_EQ(pool.leased(), 0U);
  EXPECT_EQ(pool.idle(), 0U);
}

TEST_F(SpliceTest, ASlowTargetHoldsTheSourceBackAndLosesNothing) {
  PipePool pool;
  std::string text(8U << 20U, '\0');
  for (std::size_t i = 0; i < text.size(); ++i) text[i] = static_cast<char>(i * 2654435761U >> 13U);
  std::thread writer([&] {
    asio::write(source_, asio::buffer(text));
    source_.shutdown(tcp::socket::shutdown_send);
  });
  std::string got;
  std::thread reader([&] {
    // Until the moving side has come to a halt for certain.
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    got = received(text.size());
  });
  std::uint64_t total = 0;
  Moved moved;
  while (moved.end == End::kOpen) {
    moved = step(pool);
    total += moved.count;
  }
  writer.join();
  reader.join();
  EXPECT_EQ(moved.end, End::kEndOfStream);
  EXPECT_EQ(total, text.size());
  EXPECT_TRUE(got == text);
}

TEST_F(SpliceTest, WhoWaitsForBytesHoldsNoPipeAndCanBeCancelled) {
  PipePool pool;
  std::size_t leased = 9;
  asio::steady_timer timer(context_, std::chrono::milliseconds(20));
  timer.async_wait([&](const boost::system::error_code&) {
    leased = pool.leased();
    from_.cancel();
  });
  Moved moved = step(pool);
  EXPECT_EQ(leased, 0U);
  EXPECT_EQ(moved.end, End::kSourceFailed);
  EXPECT_EQ(moved.error, asio::error::operation_aborted);
}

TEST_F(SpliceTest, WithoutAPipeNothingIsRead) {
  PipePool pool(1);
  auto taken = pool.take();
  ASSERT_TRUE(taken);
  asio::write(source_, asio::buffer(std::string("x")));
  EXPECT_EQ(step(pool).end, End::kNoPipe);
  taken.release();
  EXPECT_EQ(step(pool).count, 1U);
}

TEST(PipePool, KeepsAFewPipesOpen) {
  PipePool pool(4, 2);
  {
    auto a = pool.take();
    auto b = pool.take();
    auto c = pool.take();
    auto d = pool.take();
    EXPECT_TRUE(d);
    EXPECT_FALSE(pool.take());
    EXPECT_EQ(pool.leased(), 4U);
  }
  EXPECT_EQ(pool.leased(), 0U);
  EXPECT_EQ(pool.idle(), 2U);
}

}  // namespace
}  // namespace base
