// Connections whose requests are changed on their way, and the emulator's own door: where they are
// dialled, and under whose policy.
#include <fcntl.h>
#include <sys/socket.h>

#include <future>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_future.hpp>
#include <boost/asio/write.hpp>

#include "emulator/base/async.h"
#include "netfilter/egress/egress_proxy.h"
#include "tests/netfilter/support/client_hello.h"
#include "tests/netfilter/support/world.h"

namespace netfilter::tests {
namespace {

namespace asio = boost::asio;
using egress::EgressProxy;
using List = std::vector<std::string>;

constexpr const char* kOther = "1.1.1.1";
constexpr const char* kDoor = "198.18.0.1";
constexpr std::uint16_t kDoorPort = 7463;
constexpr std::uint16_t kReallyListensOn = 41234;

base::Task<std::vector<Ipv4>> resolve(std::string name) {
  if (name == "api.test") co_return std::vector<Ipv4>{{93, 184, 216, 34}};
  if (name == "plain.test") co_return std::vector<Ipv4>{{93, 184, 216, 34}};
  if (name == "inner.test") co_return std::vector<Ipv4>{{10, 200, 0, 1}};
  if (name == "3000-x.sandlot.test") co_return std::vector<Ipv4>{{198, 18, 0, 1}};
  co_return base::fail(base::Errc::kNotFound, "no such name");
}

// In place of the interceptor: says so to the server, and brings back what that says.
asio::awaitable<void> carry_changed(egress::Connection& connection, std::string first_flight) {
  std::string text = "changed " + first_flight;
  (void)co_await asio::async_write(connection.upstream, asio::buffer(text), base::kUse);
  std::array<char, 4096> buffer{};
  auto [error, count] =
      co_await connection.upstream.async_read_some(asio::buffer(buffer), base::kUse);
  auto answer = asio::buffer(buffer.data(), count);
  (void)co_await asio::async_write(connection.client, answer, base::kUse);
}

class ChangingProxy {
 public:
  explicit ChangingProxy(World& world, EgressProxy::Options options = {}) {
    EgressProxy::Hooks hooks;
    hooks.sandbox_of = [](std::string) { return egress::SandboxRef{"a"}; };
    hooks.policy_of = [this](const std::string&) { return policy_; };
    hooks.resolve = &resolve;
    hooks.is_changed = [](const egress::Flow& flow) {
      return flow.name.empty() || flow.name == "api.test" || flow.name == "inner.test";
    };
    hooks.carry_changed = &carry_changed;
    proxy_ = std::make_unique<EgressProxy>(context_.get_executor(), options, std::move(hooks));
    auto started = proxy_->start(*world.network);
    EXPECT_TRUE(started) << (started ? "" : started.error().message());
    proxy_->set_own_door({{198, 18, 0, 1}, {80, 443, kDoorPort}, kReallyListensOn});
    thread_ = std::thread([this] { context_.run(); });
  }
  ~ChangingProxy() {
    asio::co_spawn(context_, proxy_->stop(), asio::use_future).get();
    guard_.reset();
    thread_.join();
  }
  void set(List allow, List deny) {
    auto policy = Policy::compile({std::move(allow), std::move(deny)});
    ASSERT_TRUE(policy);
    std::promise<void> done;
    asio::post(context_, [&] {
      policy_ = std::make_shared<const Policy>(std::move(*policy));
      proxy_->policy_changed("a");
      done.set_value();
    });
    done.get_future().get();
  }

 private:
  asio::io_context context_{1};
  asio::executor_work_guard<asio::io_context::executor_type> guard_ =
      asio::make_work_guard(context_);
  std::shared_ptr<const Policy> policy_ = std::make_shared<const Policy>();
  std::unique_ptr<EgressProxy> proxy_;
  std::thread thread_;
};

struct Servers {
  explicit Servers(World& world)
      : http_server(world.internet.get(), kWebServer, 80, echo("web")),
        tls_server(world.internet.get(), kWebServer, 443, echo("web")),
        other_http(world.internet.get(), kOther, 80, echo("other")),
        other_tls(world.internet.get(), kOther, 443, echo("other")),
        private_tls(world.internet.get(), kPrivateServer, 443, echo("private")) {}
  TcpServer http_server, tls_server, other_http, other_tls, private_tls;
};

TEST(EgressChanged, WhatIsMeantForANameGoesToTheNameWhereverTheSandboxSaysItIs) {
  World world;
  Servers servers(world);
  ChangingProxy proxy(world);
  EXPECT_EQ(exchange(world.a, kWebServer, 80, http("api.test")), "web|changed " + http("api.test"));
  EXPECT_EQ(exchange(world.a, kOther, 80, http("api.test")), "web|changed " + http("api.test"));
  EXPECT_EQ(exchange(world.a, kOther, 443, tls("api.test")), "web|changed " + tls("api.test"));
  EXPECT_EQ(servers.other_http.accepted() + servers.other_tls.accepted(), 0);
  EXPECT_EQ(exchange(world.a, kOther, 443, tls("else.test")), "other|" + tls("else.test"));
  EXPECT_EQ(exchange(world.a, kOther, 443, "no tls"), "other|no tls");
  EXPECT_EQ(exchange(world.a, kOther, 443, tls("inner.test")), "");
  EXPECT_EQ(servers.private_tls.accepted(), 0);
}

TEST(EgressChanged, ThePolicySpeaksAboutTheNamesAddressToo) {
  World world;
  Servers servers(world);
  ChangingProxy proxy(world);
  proxy.set({}, {kWebServer});
  EXPECT_EQ(exchange(world.a, kWebServer, 443, tls("api.test")), "");
  EXPECT_EQ(exchange(world.a, kOther, 443, tls("api.test")), "");
  EXPECT_EQ(servers.tls_server.accepted(), 0);
  EXPECT_EQ(exchange(world.a, kOther, 443, tls("else.test")), "other|" + tls("else.test"));
  proxy.set({"api.test"}, {"0.0.0.0/0"});
  EXPECT_EQ(exchange(world.a, kOther, 443, tls("api.test")), "web|changed " + tls("api.test"));
}

// The own door's server, on this machine's loopback.
struct Door {
  Door()
      : here(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC)),
        server(here.get(), "127.0.0.1", kReallyListensOn, echo("door")) {}
  base::UniqueFd here;
  TcpServer server;
};

TEST(EgressOwnDoor, AnswersOnItsPortsAlsoWithoutInternet) {
  World world;
  Door door;
  EgressProxy::Options options;
  options.uplink = egress::Uplink::kNone;
  ChangingProxy proxy(world, options);
  const std::string hello = tls("3000-x.sandlot.test");
  for (std::uint16_t port : {std::uint16_t{443}, kDoorPort}) {
    EXPECT_EQ(exchange(world.a, kDoor, port, hello), "door|" + hello);
  }
  EXPECT_EQ(exchange(world.a, kDoor, 80, http("x")), "door|" + http("x"));
  EXPECT_EQ(exchange(world.a, kDoor, kDoorPort, http("x")), "door|" + http("x"));
  EXPECT_EQ(exchange(world.a, kDoor, 22, "x"), "");
  EXPECT_EQ(exchange(world.a, kDoor, kReallyListensOn, "x"), "");
  EXPECT_EQ(exchange(world.a, kOther, 80, http("x")), "");
}

TEST(EgressOwnDoor, IsNoWayToOtherNamesWithoutInternet) {
  World world;
  Servers servers(world);
  Door door;
  EgressProxy::Options options;
  options.uplink = egress::Uplink::kNone;
  ChangingProxy proxy(world, options);
  proxy.set({"plain.test", "api.test", "*.sandlot.test"}, {"0.0.0.0/0"});
  for (const char* name : {"plain.test", "api.test"}) {
    EXPECT_EQ(exchange(world.a, kDoor, 443, tls(name)), "");
    EXPECT_EQ(exchange(world.a, kDoor, 80, http(name)), "");
  }
  EXPECT_EQ(servers.tls_server.accepted() + servers.http_server.accepted(), 0);
  const std::string hello = tls("3000-x.sandlot.test");
  EXPECT_EQ(exchange(world.a, kDoor, 443, hello), "door|" + hello);
}

TEST(EgressOwnDoor, IsUnderThePolicyLikeTheInternet) {
  World world;
  Door door;
  ChangingProxy proxy(world);
  const std::string hello = tls("3000-x.sandlot.test");
  const std::string request = http("3000-x.sandlot.test:7463");
  proxy.set({}, {"0.0.0.0/0"});
  for (std::uint16_t port : {std::uint16_t{443}, kDoorPort}) {
    EXPECT_EQ(exchange(world.a, kDoor, port, hello), "");
    EXPECT_EQ(exchange(world.a, kDoor, port, request), "");
  }
  EXPECT_EQ(door.server.accepted(), 0);
  proxy.set({"*.sandlot.test"}, {"0.0.0.0/0"});
  EXPECT_EQ(exchange(world.a, kDoor, kDoorPort, hello), "door|" + hello);
  EXPECT_EQ(exchange(world.a, kDoor, kDoorPort, request), "door|" + request);
  EXPECT_EQ(exchange(world.a, kDoor, 443, hello), "door|" + hello);
  EXPECT_EQ(exchange(world.a, kDoor, kDoorPort, tls("else.test")), "");
  // A name of ours leads here, wherever the sandbox says it is.
  EXPECT_EQ(exchange(world.a, kOther, 443, hello), "door|" + hello);
}

}  // namespace
}  // namespace netfilter::tests
