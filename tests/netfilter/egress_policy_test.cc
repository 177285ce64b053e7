// The proxy under a policy: what is judged, what is dialled, and that nothing else leaves. The far
// end counts TCP segments: a blocked connection must not send even a SYN (NET-50). Every "blocked"
// has its positive control on the same servers.
#include <sys/socket.h>

#include <future>
#include <map>
#include <mutex>
#include <sstream>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_future.hpp>

#include "emulator/base/posix.h"
#include "netfilter/egress/egress_proxy.h"
#include "tests/netfilter/support/client_hello.h"
#include "tests/netfilter/support/world.h"

namespace netfilter::tests {
namespace {

namespace asio = boost::asio;
using egress::EgressProxy;
using List = std::vector<std::string>;

constexpr const char* kOther = "1.1.1.1";

// Names as the machine resolves them.
base::Task<std::vector<Ipv4>> resolve(std::string name) {
  static const std::map<std::string, std::vector<Ipv4>> kNames = {
      {"example.com", {{93, 184, 216, 34}}},
      {"two.example.com", {{203, 0, 113, 1}, {93, 184, 216, 34}}},
      {"rebind.test", {{10, 200, 0, 1}}},
      {"mixed.test", {{10, 200, 0, 1}, {93, 184, 216, 34}}},
      {"machine.test", {{198, 51, 100, 7}}},
  };
  auto found = kNames.find(name);
  if (found == kNames.end()) co_return base::fail(base::Errc::kNotFound, "no such name");
  co_return found->second;
}

class PolicyProxy {
 public:
  explicit PolicyProxy(World& world, EgressProxy::Options options = {}) {
    EgressProxy::Hooks hooks;
    hooks.sandbox_of = [](std::string address) -> std::optional<egress::SandboxRef> {
      return egress::SandboxRef{address == "10.71.0.1" ? "a" : "b"};
    };
    hooks.policy_of = [this](const std::string& id) { return policies_[id]; };
    hooks.resolve = &resolve;
    hooks.on_flow = [this](const egress::FlowEvent& event) {
      std::lock_guard lock(mutex_);
      rules_.push_back(event.decision.rule);
    };
    policies_["a"] = policies_["b"] = std::make_shared<const Policy>();
    proxy_ = std::make_unique<EgressProxy>(context_.get_executor(), options, std::move(hooks));
    auto started = proxy_->start(*world.network);
    EXPECT_TRUE(started) << (started ? "" : started.error().message());
    thread_ = std::thread([this] { context_.run(); });
  }
  ~PolicyProxy() {
    asio::co_spawn(context_, proxy_->stop(), asio::use_future).get();
    guard_.reset();
    thread_.join();
  }

  void set(const std::string& id, List allow, List deny) {
    auto policy = Policy::compile({std::move(allow), std::move(deny)});
    ASSERT_TRUE(policy);
    std::promise<void> done;
    asio::post(context_, [&] {
      policies_[id] = std::make_shared<const Policy>(std::move(*policy));
      proxy_->policy_changed(id);
      done.set_value();
    });
    done.get_future().get();
  }
  std::string last_rule() {
    std::lock_guard lock(mutex_);
    return rules_.empty() ? "" : rules_.back();
  }

 private:
  asio::io_context context_{1};
  asio::executor_work_guard<asio::io_context::executor_type> guard_ =
      asio::make_work_guard(context_);
  std::mutex mutex_;
  std::vector<std::string> rules_;
  std::map<std::string, std::shared_ptr<const Policy>> policies_;
  std::unique_ptr<EgressProxy> proxy_;
  std::thread thread_;
};

// TCP segments that ever came to the internet.
long segments_now(const World& world) {
  long count = -1;
  auto read = run_in_netns(world.internet.get(), [&]() -> base::Result<> {
    SANDLOT_TRY(std::string text, base::read_file("/proc/thread-self/net/snmp"));
    auto line = text.rfind("\nTcp: ");
    std::istringstream fields(text.substr(line + 6));
    for (int i = 0; i < 10; ++i) fields >> count;  // InSegs is the tenth
    return {};
  });
  EXPECT_TRUE(read);
  return count;
}

// The same, once the last acknowledgements of earlier connections are in.
long segments(const World& world) {
  for (long last = -1;;) {
    long now = segments_now(world);
    if (now == last) return now;
    last = now;
    std::this_thread::sleep_for(milliseconds(50));
  }
}

struct Servers {
  explicit Servers(World& world)
      : http_server(world.internet.get(), kWebServer, 80, echo("web")),
        tls_server(world.internet.get(), kWebServer, 443, echo("web")),
        alternative(world.internet.get(), kWebServer, 8443, echo("web")),
        other_http(world.internet.get(), kOther, 80, echo("other")),
        other_tls(world.internet.get(), kOther, 443, echo("other")),
        private_tls(world.internet.get(), kPrivateServer, 443, echo("private")) {}
  TcpServer http_server, tls_server, alternative, other_http, other_tls, private_tls;
};

TEST(EgressPolicy, Net26Net40Net41AllowedNamesPassAndOthersLeaveNoTrace) {
  World world;
  Servers servers(world);
  PolicyProxy proxy(world);
  proxy.set("a", {"example.com"}, {"0.0.0.0/0"});
  EXPECT_EQ(exchange(world.a, kWebServer, 80, http("example.com")), "web|" + http("example.com"));
  EXPECT_EQ(exchange(world.a, kWebServer, 443, tls("Example.com")), "web|" + tls("Example.com"));
  EXPECT_EQ(proxy.last_rule(), "allowOut[0]=example.com");
  long before = segments(world);
  EXPECT_EQ(exchange(world.a, kWebServer, 80, http("google.com")), "");
  EXPECT_EQ(exchange(world.a, kWebServer, 443, tls("google.com")), "");
  EXPECT_EQ(exchange(world.a, kOther, 443, "no tls at all"), "");
  EXPECT_EQ(exchange(world.a, kWebServer, 8443, tls("example.com")), "");
  EXPECT_EQ(proxy.last_rule(), "denyOut[0]=0.0.0.0/0");
  EXPECT_EQ(segments(world), before);
  EXPECT_EQ(exchange(world.b, kOther, 443, tls("google.com")), "other|" + tls("google.com"));
}

TEST(EgressPolicy, AForgedNameReachesOnlyTheNamesOwnServer) {
  World world;
  Servers servers(world);
  PolicyProxy proxy(world);
  proxy.set("a", {"example.com", kOther}, {"0.0.0.0/0"});
  EXPECT_EQ(exchange(world.a, kOther, 443, tls("example.com")), "web|" + tls("example.com"));
  EXPECT_EQ(exchange(world.a, "9.9.9.9", 80, http("example.com")), "web|" + http("example.com"));
  EXPECT_EQ(servers.other_tls.accepted(), 0);
}

TEST(EgressPolicy, ANameThatResolvesToAnInternalAddressIsRefused) {
  World world;
  Servers servers(world);
  PolicyProxy proxy(world);
  proxy.set("a", {"*.test"}, {"0.0.0.0/0"});
  long before = segments(world);
  EXPECT_EQ(exchange(world.a, kWebServer, 443, tls("rebind.test")), "");
  EXPECT_EQ(proxy.last_rule(), "internal");
  EXPECT_EQ(exchange(world.a, kWebServer, 443, tls("machine.test")), "");
  EXPECT_EQ(exchange(world.a, kWebServer, 443, tls("unknown.test")), "");
  EXPECT_EQ(segments(world), before);
  EXPECT_EQ(exchange(world.a, kOther, 443, tls("mixed.test")), "web|" + tls("mixed.test"));
  EXPECT_EQ(servers.private_tls.accepted(), 0);
}

TEST(EgressPolicy, TriesTheNextAddressOfAName) {
  World world;
  Servers servers(world);  // nobody listens on 203.0.113.1
  PolicyProxy proxy(world);
  proxy.set("a", {"*.example.com"}, {"0.0.0.0/0"});
  EXPECT_EQ(exchange(world.a, kWebServer, 443, tls("two.example.com")),
            "web|" + tls("two.example.com"));
}

TEST(EgressPolicy, Net41AHelloOfAThousandRecordsHasItsName) {
  World world;
  Servers servers(world);
  PolicyProxy proxy(world);
  proxy.set("a", {"example.com"}, {"0.0.0.0/0"});
  std::string many = records(hello(extension(51, std::string(5000, 'k')) + sni("example.com")), 5);
  EXPECT_EQ(exchange(world.a, kOther, 443, many).substr(0, 4), "web|");
  EXPECT_EQ(exchange(world.a, kOther, 443, record(std::string("\x01\x00\xf0\x00x", 5))), "");
}

TEST(EgressPolicy, Net48Net49ABlockedConnectionIsOpenUntilTheFirstBytes) {
  World world;
  Servers servers(world);
  PolicyProxy proxy(world);
  proxy.set("a", {}, {"0.0.0.0/0"});
  long before = segments(world);
  for (std::uint16_t port : std::initializer_list<std::uint16_t>{80, 443}) {
    auto client = connect_from(world.a.netns.get(), kWebServer, port, milliseconds(1000));
    ASSERT_TRUE(client);
    timeval limit{0, 400000};
    ::setsockopt(client->get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    EXPECT_EQ(read_to_end(client->get()), "(time-out)") << "silent: stays open";
    send_text(client->get(), port == 80 ? http("x.com") : tls("x.com"));
    limit.tv_sec = 5;
    ::setsockopt(client->get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    EXPECT_EQ(read_to_end(client->get()), "");
  }
  for (std::uint16_t port : std::initializer_list<std::uint16_t>{22, 8443}) {
    auto client = connect_from(world.a.netns.get(), kWebServer, port, milliseconds(1000));
    ASSERT_TRUE(client);
    EXPECT_EQ(read_to_end(client->get()), "") << "closed at once";
  }
  EXPECT_EQ(segments(world), before);
}

TEST(EgressPolicy, ASilentClientIsJudgedByAddressWhenTheTimeIsUp) {
  World world;
  TcpServer server(world.internet.get(), kOther, 443, greet("hello"));
  EgressProxy::Options options;
  options.peek_limit = milliseconds(200);
  PolicyProxy proxy(world, options);
  proxy.set("a", {"example.com", kOther}, {"0.0.0.0/0"});
  auto allowed = connect_from(world.a.netns.get(), kOther, 443);
  ASSERT_TRUE(allowed);
  EXPECT_EQ(read_once(allowed->get()), "hello");
  auto denied = connect_from(world.a.netns.get(), kWebServer, 443);
  ASSERT_TRUE(denied);
  EXPECT_EQ(read_to_end(denied->get()), "");
}

TEST(EgressPolicy, Net14Net54AddressesDecideWithoutAName) {
  World world;
  Servers servers(world);
  PolicyProxy proxy(world);
  proxy.set("a", {kOther}, {kOther, "0.0.0.0/0"});
  EXPECT_EQ(exchange(world.a, kOther, 443, "anything"), "other|anything");
  EXPECT_EQ(exchange(world.a, kOther, 80, "anything"), "other|anything");
  EXPECT_EQ(exchange(world.a, kWebServer, 443, "anything"), "");
}

TEST(EgressPolicy, Net58TighteningCutsWhatIsNoLongerAllowedAndNothingElse) {
  World world;
  TcpServer web(world.internet.get(), kWebServer, 22, greet("web"));
  TcpServer other(world.internet.get(), kOther, 22, greet("other"));
  TcpServer third(world.internet.get(), kWebServer, 23, greet("b"));
  PolicyProxy proxy(world);
  auto cut = connect_from(world.a.netns.get(), kWebServer, 22);
  auto kept = connect_from(world.a.netns.get(), kOther, 22);
  auto foreign = connect_from(world.b.netns.get(), kWebServer, 23);
  ASSERT_TRUE(cut && kept && foreign);
  EXPECT_EQ(read_once(cut->get()), "web");
  EXPECT_EQ(read_once(kept->get()), "other");
  EXPECT_EQ(read_once(foreign->get()), "b");
  proxy.set("a", {kOther}, {"0.0.0.0/0"});
  EXPECT_EQ(read_to_end(cut->get()), "(reset)");
  timeval limit{0, 300000};
  for (int socket : {kept->get(), foreign->get()}) {
    ::setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    EXPECT_EQ(read_to_end(socket), "(time-out)") << "still open";
  }
}

// A conversation of many turns.
TcpServer::Serve chat() {
  return [](int connection) {
    for (std::string said = read_once(connection); !said.empty(); said = read_once(connection))
      send_text(connection, "heard");
  };
}

// "heard" while it goes on, "(reset)" once it was cut.
std::string ask(int socket) {
  send_text(socket, "next");
  return read_once(socket) == "heard" ? "heard" : "(reset)";
}

TEST(EgressPolicy, Net58AConnectionByNameLivesWhileItsNameOrWhereItLeadsIsAllowed) {
  World world;
  TcpServer server(world.internet.get(), kWebServer, 443, chat());
  PolicyProxy proxy(world);
  proxy.set("a", {"example.com"}, {"0.0.0.0/0"});
  // The sandbox says 1.1.1.1; where it leads is 93.184.216.34.
  auto client = connect_from(world.a.netns.get(), kOther, 443);
  ASSERT_TRUE(client);
  send_text(client->get(), tls("example.com"));
  EXPECT_EQ(read_once(client->get()), "heard");
  const std::vector<std::pair<List, List>> kStillAllowed = {
      {{}, {}},
      {{"0.0.0.0/0"}, {"0.0.0.0/0"}},
      {{kWebServer}, {"0.0.0.0/0"}},
      {{"*.com"}, {"0.0.0.0/0"}},
      {{"example.com", kWebServer}, {"0.0.0.0/0"}},
      {{}, {kOther}}};
  for (const auto& [allow, deny] : kStillAllowed) {
    proxy.set("a", allow, deny);
    EXPECT_EQ(ask(client->get()), "heard") << testing::PrintToString(allow);
  }
  proxy.set("a", {kOther}, {"0.0.0.0/0"});
  EXPECT_EQ(ask(client->get()), "(reset)") << "it never led to 1.1.1.1";
}

TEST(EgressPolicy, Net58AConnectionByAddressLivesWhileTheAddressIsAllowedWhateverItCallsItself) {
  World world;
  TcpServer server(world.internet.get(), kOther, 443, chat());
  PolicyProxy proxy(world);
  // A name that is not allowed is looked for all the same: another one might be.
  proxy.set("a", {"else.com", kOther}, {"0.0.0.0/0"});
  auto client = connect_from(world.a.netns.get(), kOther, 443);
  ASSERT_TRUE(client);
  send_text(client->get(), tls("example.com"));
  EXPECT_EQ(read_once(client->get()), "heard");
  proxy.set("a", {"example.com", kOther}, {"0.0.0.0/0"});
  EXPECT_EQ(ask(client->get()), "heard");
  proxy.set("a", {"example.com"}, {"0.0.0.0/0"});
  EXPECT_EQ(ask(client->get()), "(reset)") << "1.1.1.1 was never shown to be example.com";
}

TEST(EgressPolicy, APolicyThatComesWhileTheNameIsAwaitedCounts) {
  World world;
  Servers servers(world);
  PolicyProxy proxy(world);
  proxy.set("a", {"example.com"}, {"0.0.0.0/0"});
  auto client = connect_from(world.a.netns.get(), kWebServer, 443);
  ASSERT_TRUE(client);
  send_text(client->get(), tls("example.com").substr(0, 20));
  proxy.set("a", {}, {"0.0.0.0/0"});
  send_text(client->get(), tls("example.com").substr(20));
  EXPECT_EQ(read_to_end(client->get()), "");
  EXPECT_EQ(servers.tls_server.accepted(), 0);
}

TEST(EgressPolicy, OppositePoliciesOfTwoSandboxesDoNotMeet) {
  World world;
  Servers servers(world);
  PolicyProxy proxy(world);
  proxy.set("a", {}, {kOther});
  proxy.set("b", {kOther}, {"0.0.0.0/0"});
  EXPECT_EQ(exchange(world.a, kWebServer, 443, "x"), "web|x");
  EXPECT_EQ(exchange(world.a, kOther, 443, "x"), "");
  EXPECT_EQ(exchange(world.b, kOther, 443, "x"), "other|x");
  EXPECT_EQ(exchange(world.b, kWebServer, 443, "x"), "");
}

}  // namespace
}  // namespace netfilter::tests
