// What the decision log costs the egress proxy: the same proxy without it, with it, and with a
// follower, in turns, in namespaces of this process. The figure is CPU time of the proxy's own
// thread: clients and far end run on other threads, so nothing but the proxy is in it.
//   decision_log_bench [ROUNDS]      one line of JSON: per variant, us of CPU per connection and
//   per
//                                    MiB, one number for each round
#include <sys/socket.h>

#include <cstdio>
#include <cstdlib>
#include <future>
#include <map>
#include <vector>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_future.hpp>
#include <gtest/gtest.h>

#include "emulator/base/task_group.h"
#include "emulator/decisions/decision_log.h"
#include "emulator/decisions/record_json.h"
#include "tests/netfilter/support/world.h"

#include <time.h>

namespace {

namespace asio = boost::asio;
using emulator::decisions::DecisionLog;
using netfilter::egress::EgressProxy;
using netfilter::tests::World;

constexpr std::uint16_t kShortPort = 7001;
constexpr std::uint16_t kBulkPort = 7002;
constexpr int kConnections = 1000;
constexpr std::size_t kBulk = 256U << 20U;
constexpr std::size_t kMiB = 1U << 20U;
constexpr int kRounds = 15;

enum class Variant { kNoLog, kLog, kFollowed };

// One proxy on a thread of its own.
class Proxy {
 public:
  Proxy(World& world, Variant variant) : log_(context_.get_executor(), clock_, 4096) {
    EgressProxy::Hooks hooks;
    hooks.sandbox_of = [](const std::string&) {
      return netfilter::egress::SandboxRef{"ia1b2c3d4e5f6g7h8i9j0"};
    };
    auto policy = netfilter::Policy::compile({{"93.184.216.0/24"}, {"0.0.0.0/0"}});
    auto shared = std::make_shared<const netfilter::Policy>(std::move(*policy));
    hooks.policy_of = [shared](const std::string&) { return shared; };
    if (variant != Variant::kNoLog) {
      hooks.on_flow = [this](const auto& event) { log_.judged(event); };
      hooks.on_end = [this](const auto& end) { log_.ended(end); };
    }
    proxy_ = std::make_unique<EgressProxy>(context_.get_executor(), EgressProxy::Options(),
                                           std::move(hooks));
    EXPECT_TRUE(proxy_->start(*world.network));
    if (variant == Variant::kFollowed) tasks_.spawn("follower", follow());
    thread_ = std::thread([this] { context_.run(); });
  }
  ~Proxy() {
    asio::co_spawn(context_, shut_down(), asio::use_future).get();
    context_.stop();
    thread_.join();
  }
  // CPU time of the proxy's thread, once it has nothing left to do.
  double cpu_us() {
    std::promise<double> now;
    asio::post(context_, [&] {
      timespec time{};
      ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
      now.set_value(static_cast<double>(time.tv_sec) * 1e6 +
                    static_cast<double>(time.tv_nsec) / 1e3);
    });
    return now.get_future().get();
  }

 private:
  asio::awaitable<void> shut_down() {
    co_await proxy_->stop();
    tasks_.cancel();
    co_await tasks_.join();
  }

  // As control_routes.cc does it, but for the socket.
  asio::awaitable<void> follow() {
    DecisionLog::Follower follower(log_);
    do {
      while (const auto* record = follower.next())
        formatted_ += emulator::decisions::to_json_line(*record).size();
    } while (co_await follower.wait());
  }

  asio::io_context context_{1};
  asio::executor_work_guard<asio::io_context::executor_type> guard_ =
      asio::make_work_guard(context_);
  base::SystemClock clock_;
  DecisionLog log_;
  std::size_t formatted_ = 0;
  base::TaskGroup tasks_{context_.get_executor()};
  std::unique_ptr<EgressProxy> proxy_;
  std::thread thread_;
};

void send_bulk(int connection) {
  std::vector<char> block(kMiB / 4, 'x');
  for (std::size_t left = kBulk; left > 0; left -= block.size()) {
    for (std::size_t at = 0; at < block.size();) {
      ssize_t sent = ::send(connection, block.data() + at, block.size() - at, MSG_NOSIGNAL);
      if (sent <= 0) return;
      at += static_cast<std::size_t>(sent);
    }
  }
}

void drain(int socket) {
  std::vector<char> block(kMiB / 4);
  while (::recv(socket, block.data(), block.size(), 0) > 0) {
  }
}

void connect_once(World& world, std::uint16_t port) {
  auto client =
      netfilter::tests::connect_from(world.a.netns.get(), netfilter::tests::kWebServer, port);
  if (client) drain(client->get());
}

struct Cost {
  std::vector<double> per_connection;
  std::vector<double> per_mib;
};

void measure(World& world, Variant variant, Cost& cost) {
  Proxy proxy(world, variant);
  for (int i = 0; i < 50; ++i) connect_once(world, kShortPort);
  double start = proxy.cpu_us();
  for (int i = 0; i < kConnections; ++i) connect_once(world, kShortPort);
  double middle = proxy.cpu_us();
  connect_once(world, kBulkPort);
  double end = proxy.cpu_us();
  cost.per_connection.push_back((middle - start) / kConnections);
  cost.per_mib.push_back((end - middle) / static_cast<double>(kBulk / kMiB));
}

// What recording one connection costs by itself, in us: no noise of the kernel's network in it.
double record_us() {
  constexpr int kRecords = 200000;
  asio::io_context context;
  base::SystemClock clock;
  DecisionLog log(context.get_executor(), clock, 4096);
  netfilter::egress::Flow flow;
  flow.sandbox.id = "ia1b2c3d4e5f6g7h8i9j0";
  flow.name = "deep.down.api.example.com";
  netfilter::Decision decision = {true, netfilter::MatchType::kDomain,
                                  "allowOut[12]=*.api.example.com"};
  auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < kRecords; ++i) {
    std::uint64_t mark = 0;
    netfilter::egress::FlowEvent event{flow, decision, mark};
    log.judged(event);
    log.ended({flow, mark});
  }
  std::chrono::duration<double, std::micro> took = std::chrono::steady_clock::now() - start;
  return took.count() / kRecords;
}

void print(const char* name, const std::vector<double>& values) {
  std::printf("\"%s\": [", name);
  for (std::size_t i = 0; i < values.size(); ++i)
    std::printf("%s%.3f", i == 0 ? "" : ", ", values[i]);
  std::printf("]");
}

}  // namespace

// Runs as a test of the world's main, which moves the process into namespaces of its own.
TEST(DecisionLogBench, Run) {
  const char* given = std::getenv("DECISION_LOG_BENCH_ROUNDS");  // NOLINT(concurrency-mt-unsafe)
  int rounds = given != nullptr ? std::atoi(given) : kRounds;
  World world;
  netfilter::tests::TcpServer short_server(
      world.internet.get(), netfilter::tests::kWebServer, kShortPort,
      [](int connection) { netfilter::tests::send_text(connection, "hello\n"); });
  netfilter::tests::TcpServer bulk_server(world.internet.get(), netfilter::tests::kWebServer,
                                          kBulkPort, &send_bulk);
  std::vector<std::pair<Variant, const char*>> variants = {
      {Variant::kNoLog, "none"}, {Variant::kLog, "log"}, {Variant::kFollowed, "followed"}};
  std::map<Variant, Cost> costs;
  for (int round = 0; round < rounds; ++round) {
    // Each variant is first as often as the others.
    for (std::size_t i = 0; i < variants.size(); ++i) {
      Variant variant = variants[(i + static_cast<std::size_t>(round)) % variants.size()].first;
      measure(world, variant, costs[variant]);
    }
  }
  std::printf("{");
  for (const auto& [variant, name] : variants) {
    std::printf("%s\"%s\": {", variant == Variant::kNoLog ? "" : ", ", name);
    print("us_per_connection", costs[variant].per_connection);
    std::printf(", ");
    print("us_per_mib", costs[variant].per_mib);
    std::printf("}");
  }
  std::vector<double> records;
  for (int round = 0; round < rounds; ++round) records.push_back(record_us());
  std::printf(", ");
  print("us_per_record", records);
  std::printf("}\n");
}
