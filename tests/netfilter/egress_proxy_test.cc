// The transparent proxy, from inside a slot to an internet that is another namespace.
#include "netfilter/egress/egress_proxy.h"

#include <sys/socket.h>

#include <filesystem>
#include <future>
#include <mutex>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_future.hpp>
#include <boost/asio/write.hpp>

#include "emulator/base/async.h"
#include "tests/netfilter/support/world.h"

namespace netfilter::tests {
namespace {

namespace asio = boost::asio;
using egress::EgressProxy;

// The proxy on a loop of its own; the test thread plays client and internet.
class RunningProxy {
 public:
  explicit RunningProxy(World& world, EgressProxy::Options options = {}, bool with_dns = false) {
    EgressProxy::Hooks hooks;
    hooks.sandbox_of = [](std::string address) -> std::optional<egress::SandboxRef> {
      if (address == "10.71.0.1") return egress::SandboxRef{"a"};
      if (address == "10.71.0.2") return egress::SandboxRef{"b"};
      return std::nullopt;
    };
    hooks.on_flow = [this](const egress::FlowEvent& event) {
      std::lock_guard lock(mutex_);
      flows_.push_back(event.flow);
      rules_.push_back(event.decision.rule);
    };
    if (with_dns) hooks.serve_dns = &RunningProxy::say_dns;
    proxy_ = std::make_unique<EgressProxy>(context_.get_executor(), options, std::move(hooks));
    auto started = proxy_->start(*world.network);
    EXPECT_TRUE(started) << (started ? "" : started.error().message());
    thread_ = std::thread([this] { context_.run(); });
  }
  ~RunningProxy() {
    asio::co_spawn(context_, proxy_->stop(), asio::use_future).get();
    guard_.reset();
    thread_.join();
    EXPECT_EQ(proxy_->connections(), 0U);
  }

  void cut_all(const std::string& id) {
    on_loop([this, id] { proxy_->cut_all(id); });
  }
  std::size_t connections() {
    std::size_t count = 0;
    on_loop([&] { count = proxy_->connections(); });
    return count;
  }
  bool settles_at(std::size_t count) {
    auto deadline = std::chrono::steady_clock::now() + kPatience;
    while (connections() != count) {
      if (std::chrono::steady_clock::now() > deadline) return false;
      std::this_thread::yield();
    }
    return true;
  }
  std::vector<egress::Flow> flows() {
    std::lock_guard lock(mutex_);
    return flows_;
  }
  std::vector<std::string> rules() {
    std::lock_guard lock(mutex_);
    return rules_;
  }

 private:
  static asio::awaitable<void> say_dns(egress::Connection& connection) {
    std::string text = "dns";
    co_await asio::async_write(connection.client, asio::buffer(text), base::kUse);
  }
  void on_loop(const std::function<void()>& work) {
    std::promise<void> promise;
    auto done = promise.get_future();
    asio::post(context_, [&] {
      work();
      promise.set_value();
    });
    done.get();
  }

  asio::io_context context_{1};
  asio::executor_work_guard<asio::io_context::executor_type> guard_ =
      asio::make_work_guard(context_);
  std::mutex mutex_;
  std::vector<egress::Flow> flows_;
  std::vector<std::string> rules_;
  std::unique_ptr<EgressProxy> proxy_;
  std::thread thread_;
};

std::size_t open_descriptors() {
  std::size_t count = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    (void)entry;
    ++count;
  }
  return count;
}

class EgressPort : public testing::TestWithParam<std::pair<std::uint16_t, egress::FlowClass>> {};

TEST_P(EgressPort, IsCarriedToTheAddressDialledWithHalfClose) {
  auto [port, kind] = GetParam();
  World world;
  TcpServer server(world.internet.get(), kWebServer, port, answer_after_end);
  RunningProxy proxy(world);
  auto client = connect_from(world.a.netns.get(), kWebServer, port);
  ASSERT_TRUE(client);
  send_text(client->get(), "hello internet");
  ::shutdown(client->get(), SHUT_WR);
  EXPECT_EQ(read_to_end(client->get()), "got 14 bytes");
  auto flows = proxy.flows();
  ASSERT_EQ(flows.size(), 1U);
  EXPECT_EQ(flows[0].sandbox.id, "a");
  EXPECT_EQ(flows[0].kind, kind);
  EXPECT_EQ(to_string(flows[0].address), kWebServer);
  EXPECT_EQ(flows[0].port, port);
}

INSTANTIATE_TEST_SUITE_P(Classes,
                         EgressPort,
                         testing::Values(std::pair{std::uint16_t{80}, egress::FlowClass::kHttp},
                                         std::pair{std::uint16_t{443}, egress::FlowClass::kTls},
                                         std::pair{std::uint16_t{22}, egress::FlowClass::kOther},
                                         std::pair{std::uint16_t{5018},
                                                   egress::FlowClass::kOther}));

TEST(EgressProxy, CarriesProtocolsInWhichTheServerSpeaksFirst) {
  World world;
  TcpServer server(world.internet.get(), kWebServer, 22, greet("SSH-2.0-fake\r\n"));
  RunningProxy proxy(world);
  auto client = connect_from(world.a.netns.get(), kWebServer, 22);
  ASSERT_TRUE(client);
  EXPECT_EQ(read_once(client->get()), "SSH-2.0-fake\r\n");
}

TEST(EgressProxy, ClosesAcceptedConnectionsWhenThereIsNoInternet) {
  World world;
  TcpServer server(world.internet.get(), kWebServer, 443, greet("hello"));
  EgressProxy::Options options;
  options.uplink = egress::Uplink::kNone;
  RunningProxy proxy(world, options);
  auto client = connect_from(world.a.netns.get(), kWebServer, 443);
  ASSERT_TRUE(client) << "connect itself succeeds, as in the cloud";
  EXPECT_EQ(read_to_end(client->get()), "");
  EXPECT_EQ(server.accepted(), 0);
  EXPECT_EQ(proxy.rules(), std::vector<std::string>{"no internet"});
}

TEST(EgressProxy, RefusesAddressesOfTheMachineThatLookPublic) {
  World world;
  TcpServer server(world.machine.get(), kMachineAddress, 80, greet("machine"));
  auto control = connect_from(world.machine.get(), kMachineAddress, 80);
  ASSERT_TRUE(control);
  EXPECT_EQ(read_once(control->get()), "machine");
  control->reset();
  int before = server.accepted();
  RunningProxy proxy(world);
  for (const char* address : {kMachineAddress, "203.0.113.2", "203.0.113.3"}) {
    auto client = connect_from(world.a.netns.get(), address, 80);
    ASSERT_TRUE(client);
    EXPECT_EQ(read_to_end(client->get()), "") << address;
  }
  EXPECT_EQ(server.accepted(), before);
  EXPECT_EQ(proxy.rules(), (std::vector<std::string>{"internal", "internal", "internal"}));
}

TEST(EgressProxy, EndsTheConnectionWhenNobodyListens) {
  World world;
  RunningProxy proxy(world);
  auto client = connect_from(world.a.netns.get(), kWebServer, 81);
  ASSERT_TRUE(client);
  EXPECT_EQ(read_to_end(client->get()), "");
}

TEST(EgressProxy, GivesUpDiallingAfterItsLimit) {
  World world;
  EgressProxy::Options options;
  options.dial_limit = milliseconds(100);
  RunningProxy proxy(world, options);
  // The internet forwards nothing: the SYN to an address that nobody has disappears (no route, no
  // answer).
  auto client = connect_from(world.a.netns.get(), "198.18.0.77", 80);
  ASSERT_TRUE(client);
  EXPECT_EQ(read_to_end(client->get()), "");
}

TEST(EgressProxy, ServesDnsOverTcpItself) {
  World world;
  TcpServer server(world.internet.get(), kDnsServer, 53, greet("the real one"));
  EgressProxy::Options options;
  options.uplink = egress::Uplink::kNone;
  RunningProxy proxy(world, options, true);
  auto client = connect_from(world.a.netns.get(), kDnsServer, 53);
  ASSERT_TRUE(client);
  EXPECT_EQ(read_to_end(client->get()), "dns");
  EXPECT_EQ(server.accepted(), 0);
}

TEST(EgressProxy, ClosesConnectionsOfUnknownSandboxes) {
  World world;
  auto stranger = make_slot(*world.network, 9, 9);
  ASSERT_TRUE(stranger);
  TcpServer server(world.internet.get(), kWebServer, 80, greet("hello"));
  RunningProxy proxy(world);
  auto client = connect_from(stranger->netns.get(), kWebServer, 80);
  ASSERT_TRUE(client);
  EXPECT_EQ(read_to_end(client->get()), "");
  EXPECT_EQ(server.accepted(), 0);
}

TEST(EgressProxy, CutsTheConnectionsOfOneSandboxOnBothSides) {
  World world;
  std::atomic<bool> server_saw_reset = false;
  TcpServer server(world.internet.get(), kWebServer, 22, [&](int connection) {
    send_text(connection, "hi");
    server_saw_reset = read_to_end(connection) == "(reset)";
  });
  TcpServer other(world.internet.get(), kWebServer, 23, greet("hi"));
  RunningProxy proxy(world);
  auto mine = connect_from(world.a.netns.get(), kWebServer, 22);
  auto theirs = connect_from(world.b.netns.get(), kWebServer, 23);
  ASSERT_TRUE(mine && theirs);
  EXPECT_EQ(read_once(mine->get()), "hi");
  EXPECT_EQ(read_once(theirs->get()), "hi");
  proxy.cut_all("a");
  EXPECT_EQ(read_to_end(mine->get()), "(reset)");
  EXPECT_TRUE(proxy.settles_at(1));
  send_text(theirs->get(), "still here");
  EXPECT_EQ(proxy.connections(), 1U);
}

TEST(EgressProxy, PassesAResetOnToTheOtherSide) {
  World world;
  TcpServer server(world.internet.get(), kWebServer, 22, [](int connection) {
    send_text(connection, "hi");
    read_once(connection);
    linger hard{1, 0};
    ::setsockopt(connection, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
  });
  RunningProxy proxy(world);
  auto client = connect_from(world.a.netns.get(), kWebServer, 22);
  ASSERT_TRUE(client);
  EXPECT_EQ(read_once(client->get()), "hi");
  send_text(client->get(), "bye");
  EXPECT_EQ(read_to_end(client->get()), "(reset)");
}

TEST(EgressProxy, LimitsTheConnectionsOfEachSandbox) {
  World world;
  EgressProxy::Options options;
  options.connections_per_sandbox = 2;
  RunningProxy proxy(world, options);
  // One is served, the others wait in the listener's queue: all are connected.
  TcpServer silent(world.internet.get(), kWebServer, 24,
                   [](int connection) { read_to_end(connection); });
  auto first = connect_from(world.a.netns.get(), kWebServer, 24);
  auto second = connect_from(world.a.netns.get(), kWebServer, 24);
  ASSERT_TRUE(first && second);
  ASSERT_TRUE(proxy.settles_at(2));
  auto third = connect_from(world.a.netns.get(), kWebServer, 24);
  ASSERT_TRUE(third);
  EXPECT_EQ(read_to_end(third->get()), "");
  auto other = connect_from(world.b.netns.get(), kWebServer, 24);
  ASSERT_TRUE(other);
  EXPECT_TRUE(proxy.settles_at(3));
  first.reset();
  EXPECT_TRUE(proxy.settles_at(2));
  auto fourth = connect_from(world.a.netns.get(), kWebServer, 24);
  ASSERT_TRUE(fourth);
  EXPECT_TRUE(proxy.settles_at(3));
}

TEST(EgressProxy, CutsConnectionsThatRestTooLong) {
  World world;
  TcpServer server(world.internet.get(), kWebServer, 22, greet("hi"));
  EgressProxy::Options options;
  options.idle_limit = milliseconds(200);
  RunningProxy proxy(world, options);
  auto client = connect_from(world.a.netns.get(), kWebServer, 22);
  ASSERT_TRUE(client);
  EXPECT_EQ(read_once(client->get()), "hi");
  EXPECT_EQ(read_to_end(client->get()), "(reset)");
}

TEST(EgressProxy, CarriesMegabytesBothWaysUnchanged) {
  World world;
  std::string payload;
  for (std::uint32_t i = 0; payload.size() < (24U << 20U); ++i)
    payload += std::to_string(i * 2654435761U);
  std::string arrived;
  TcpServer server(world.internet.get(), kWebServer, 443, [&](int connection) {
    arrived = read_to_end(connection);
    send_text(connection, payload);
  });
  RunningProxy proxy(world);
  auto client = connect_from(world.a.netns.get(), kWebServer, 443);
  ASSERT_TRUE(client);
  send_text(client->get(), payload);
  ::shutdown(client->get(), SHUT_WR);
  EXPECT_TRUE(read_to_end(client->get()) == payload);
  EXPECT_TRUE(arrived == payload);
}

TEST(EgressProxy, ReadsNoFasterThanTheOtherSideTakes) {
  World world;
  std::atomic<std::size_t> pushed = 0;
  TcpServer server(world.internet.get(), kWebServer, 443, [&](int connection) {
    std::string block(1U << 20U, 'x');
    timeval limit{0, 300000};
    ::setsockopt(connection, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    while (pushed < (256U << 20U)) {
      auto count = ::send(connection, block.data(), block.size(), MSG_NOSIGNAL);
      if (count <= 0) break;
      pushed += static_cast<std::size_t>(count);
    }
  });
  RunningProxy proxy(world);
  auto client = connect_from(world.a.netns.get(), kWebServer, 443);
  ASSERT_TRUE(client);
  // The client reads nothing: the server must come to a halt after the buffers on the way are full.
  std::string text = read_once(client->get());
  EXPECT_FALSE(text.empty());
  auto deadline = std::chrono::steady_clock::now() + kPatience;
  std::size_t last = 0;
  while (std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(milliseconds(400));
    if (pushed == last && last != 0) break;
    last = pushed;
  }
  EXPECT_LT(pushed, 64U << 20U);
}

// Sends until nothing is taken any more for 300 ms.
void send_without_end(int connection) {
  std::string block(1U << 20U, 'x');
  timeval limit{0, 300000};
  ::setsockopt(connection, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  while (::send(connection, block.data(), block.size(), MSG_NOSIGNAL) > 0) {
  }
}

TEST(EgressProxy, CutsBulkThatIsStuckOnItsWayAndLeavesNoPipeBehind) {
  World world;
  std::promise<void> stuck;
  TcpServer server(world.internet.get(), kWebServer, 443, [&](int connection) {
    send_without_end(connection);
    stuck.set_value();
    read_to_end(connection);
  });
  std::size_t before = open_descriptors();
  {
    RunningProxy proxy(world);
    auto client = connect_from(world.a.netns.get(), kWebServer, 443);
    ASSERT_TRUE(client);
    ASSERT_EQ(stuck.get_future().wait_for(kPatience), std::future_status::ready);
    proxy.cut_all("a");
    EXPECT_TRUE(proxy.settles_at(0));
    std::string rest = read_to_end(client->get());
    EXPECT_EQ(rest.substr(rest.size() - std::min<std::size_t>(rest.size(), 7)), "(reset)");
  }
  auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (open_descriptors() > before && std::chrono::steady_clock::now() < deadline)
    std::this_thread::yield();
  EXPECT_LE(open_descriptors(), before);
}

TEST(EgressProxy, BulkThatNobodyTakesRestsToo) {
  World world;
  TcpServer server(world.internet.get(), kWebServer, 443, [](int connection) {
    send_without_end(connection);
    read_to_end(connection);
  });
  EgressProxy::Options options;
  options.idle_limit = milliseconds(200);
  RunningProxy proxy(world, options);
  auto client = connect_from(world.a.netns.get(), kWebServer, 443);
  ASSERT_TRUE(client);
  EXPECT_TRUE(proxy.settles_at(1));
  EXPECT_TRUE(proxy.settles_at(0));
}

TEST(EgressProxy, ASmallMessageFollowsBulkAtOnce) {
  World world;
  TcpServer server(world.internet.get(), kWebServer, 443, [](int connection) {
    send_text(connection, std::string(1U << 20U, 'x'));
    for (;;) {
      std::string text = read_once(connection);
      if (text.empty()) break;
      send_text(connection, text);
    }
  });
  RunningProxy proxy(world);
  auto client = connect_from(world.a.netns.get(), kWebServer, 443);
  ASSERT_TRUE(client);
  std::size_t bulk = 0;
  while (bulk < (1U << 20U)) bulk += read_once(client->get()).size();
  auto started = std::chrono::steady_clock::now();
  for (int i = 0; i < 20; ++i) {
    send_text(client->get(), "ping");
    EXPECT_EQ(read_once(client->get()), "ping");
  }
  // Held back by nothing: a delayed acknowledgement alone would be 40 ms each.
  EXPECT_LT(std::chrono::steady_clock::now() - started, milliseconds(400));
}

TEST(EgressProxy, LeavesNoDescriptorBehind) {
  World world;
  TcpServer server(world.internet.get(), kWebServer, 80, answer_after_end);
  std::size_t before = open_descriptors();
  {
    RunningProxy proxy(world);
    for (int i = 0; i < 20; ++i) {
      auto client = connect_from(world.a.netns.get(), kWebServer, i % 2 == 0 ? 80 : 81);
      ASSERT_TRUE(client);
      if (i % 4 == 0) continue;  // hangs up at once
      ::shutdown(client->get(), SHUT_WR);
      EXPECT_EQ(read_to_end(client->get()), i % 2 == 0 ? "got 0 bytes" : "");
    }
    auto held = connect_from(world.a.netns.get(), kWebServer, 80);
    EXPECT_TRUE(held);
  }
  // The server closes its own ends on its own thread.
  auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (open_descriptors() > before && std::chrono::steady_clock::now() < deadline)
    std::this_thread::yield();
  EXPECT_LE(open_descriptors(), before);
}

}  // namespace
}  // namespace netfilter::tests
