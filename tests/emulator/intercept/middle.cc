#include "tests/emulator/intercept/middle.h"

#include <algorithm>
#include <chrono>
#include <functional>
#include <future>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_future.hpp>
#include <gtest/gtest.h>

#include "emulator/base/async.h"
#include "emulator/base/ids.h"

namespace tests {

namespace asio = boost::asio;
namespace egress = netfilter::egress;
namespace intercept = emulator::intercept;
using asio::ip::tcp;

Middle::Middle(std::uint16_t server, bool tls, std::string roots)
    : work_(asio::make_work_guard(context_)),
      directory_(std::filesystem::temp_directory_path() / ("sandlot-middle-" + base::random_id(8))),
      acceptor_(context_, tcp::endpoint(asio::ip::address_v4::loopback(), 0)),
      server_(server),
      tls_(tls),
      port_(acceptor_.local_endpoint().port()),
      tasks_(context_.get_executor()) {
  auto authority = intercept::Authority::open(directory_);
  EXPECT_TRUE(authority);
  authority_ = std::move(*authority);
  auto rules_of = [this](const std::string&) { return rules_; };
  auto made = intercept::Interceptor::create(*authority_, std::move(roots), rules_of);
  EXPECT_TRUE(made);
  interceptor_ = std::move(*made);
  tasks_.spawn("accept", accept());
  loop_ = std::thread([this] { context_.run(); });
}

Middle::~Middle() {
  on_loop([this] { acceptor_.close(); });
  cut_all();
  asio::co_spawn(context_, tasks_.join(), asio::use_future).get();
  work_.reset();
  loop_.join();
  std::filesystem::remove_all(directory_);
  std::filesystem::remove(directory_.string() + ".lock");
}

void Middle::on_loop(std::function<void()> work) {
  std::promise<void> done;
  asio::post(context_, [&] {
    work();
    done.set_value();
  });
  done.get_future().get();
}

void Middle::set(std::vector<std::pair<std::string, std::string>> headers) {
  intercept::HeaderRules rules;
  rules.add("a.test", std::nullopt, intercept::Edits{std::move(headers), {}, {}});
  use(std::move(rules));
}

void Middle::use(intercept::HeaderRules rules) {
  auto kept = std::make_shared<const intercept::HeaderRules>(std::move(rules));
  on_loop([&] { rules_ = kept; });
}

void Middle::cut_all() {
  on_loop([this] {
    for (egress::Connection* each : live_) each->cut(egress::CloseReason::kPolicyChanged);
  });
}

std::vector<Middle::Ended> Middle::ended(std::size_t count) {
  for (int tries = 0; tries < 500; ++tries) {
    {
      std::lock_guard lock(mutex_);
      if (ended_.size() >= count) return ended_;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  ADD_FAILURE() << "no end of " << count << " connections";
  return std::vector<Ended>(count);
}

asio::awaitable<void> Middle::accept() {
  for (;;) {
    auto [error, client] = co_await acceptor_.async_accept(base::kUse);
    if (error) co_return;
    tasks_.spawn("carry", carry(std::move(client)));
  }
}

asio::awaitable<void> Middle::carry(tcp::socket client) {
  egress::Connection connection(std::move(client));
  connection.flow.name = "a.test";
  connection.flow.port = tls_ ? 443 : 80;
  connection.flow.kind = tls_ ? egress::FlowClass::kTls : egress::FlowClass::kHttp;
  tcp::endpoint target(asio::ip::address_v4::loopback(), server_);
  auto [error] = co_await connection.upstream.async_connect(target, base::kUse);
  EXPECT_FALSE(error);
  live_.push_back(&connection);
  co_await interceptor_->carry(connection, "");
  live_.erase(std::find(live_.begin(), live_.end(), &connection));
  std::lock_guard lock(mutex_);
  ended_.push_back({connection.sent, connection.received, connection.close_reason});
}

}  // namespace tests
