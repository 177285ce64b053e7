#include "emulator/dns/server.h"

#include <arpa/inet.h>
#include <poll.h>

#include <array>

#include "tests/emulator/dns/fake_resolver.h"
#include "tests/emulator/dns/loop_thread.h"

namespace emulator::dns {
namespace {

const Bytes kLoopback6 = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};

class DnsServerTest : public testing::Test {
 protected:
  void start(Servers servers, std::vector<std::string> domains = {"localhost"}) {
    server_ = std::make_unique<Server>(loop_.context.get_executor(), std::move(domains),
                                       [servers] { return servers; });
    auto port = server_->start("127.0.0.1", 0);
    ASSERT_TRUE(port) << port.error().message();
    port_ = *port;
    loop_.run();
  }
  void TearDown() override { loop_.stop(*server_); }

  LoopThread loop_;
  std::unique_ptr<Server> server_;
  std::uint16_t port_ = 0;
};

TEST_F(DnsServerTest, SaysThatEveryNameUnderTheDomainIsThisMachine) {
  start({});
  for (const char* name :
       {"localhost", "LOCALHOST", "3000-iabc.localhost", "api.localhost", "a.b.c.localhost"}) {
    EXPECT_EQ(tail_of(ask_udp(port_, make_query(name, kTypeA)), 4), (Bytes{127, 0, 0, 1})) << name;
    EXPECT_EQ(tail_of(ask_udp(port_, make_query(name, kTypeAaaa)), 16), kLoopback6) << name;
  }
}

TEST_F(DnsServerTest, SpeaksTcpOnTheSamePort) {
  start({});
  Bytes query = make_query("3000-iabc.localhost", kTypeA);
  Bytes reply = ask_tcp(port_, query);
  EXPECT_TRUE(answers(reply, query));
  EXPECT_EQ(tail_of(reply, 4), (Bytes{127, 0, 0, 1}));
}

TEST_F(DnsServerTest, HasNoOtherRecordsForItsNames) {
  start({});
  Bytes reply = ask_udp(port_, make_query("x.localhost", 16));
  EXPECT_EQ(rcode_of(reply), 0);
  EXPECT_EQ(answers_in(reply), 0);
}

TEST_F(DnsServerTest, AnswersForAConfiguredDomainOnly) {
  start({}, {"sbx.test"});
  EXPECT_EQ(answers_in(ask_udp(port_, make_query("3000-x.sbx.test", kTypeA))), 1);
  EXPECT_EQ(rcode_of(ask_udp(port_, make_query("3000-x.localhost", kTypeA))), 3);
}

TEST_F(DnsServerTest, KnowsNoOtherNamesWithoutAResolver) {
  start({});
  EXPECT_EQ(rcode_of(ask_udp(port_, make_query("example.com", kTypeA))), 3);
}

TEST_F(DnsServerTest, AsksTheMachinesResolversForOtherNames) {
  FakeResolver resolver;
  start({resolver.endpoint()});
  EXPECT_EQ(tail_of(ask_udp(port_, make_query("example.com", kTypeA)), 4),
            (Bytes{93, 184, 216, 34}));
  EXPECT_EQ(resolver.asked(), 1);
  ask_udp(port_, make_query("3000-x.localhost", kTypeA));
  EXPECT_EQ(resolver.asked(), 1);
}

TEST_F(DnsServerTest, AnswersManyQuestionsOnOneConnection) {
  start({});
  base::UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in server{};
  server.sin_family = AF_INET;
  server.sin_port = htons(port_);
  server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ASSERT_EQ(::connect(socket.get(), reinterpret_cast<sockaddr*>(&server), sizeof server), 0);
  for (std::uint16_t id = 1; id < 20; ++id) {
    Bytes query = make_query("x.localhost", kTypeA, id);
    EXPECT_TRUE(answers(exchange_tcp(socket.get(), query), query));
  }
}

// Whether the server has ended the connection within `patience`.
bool ended(int socket, std::chrono::milliseconds patience) {
  pollfd wait{socket, POLLIN, 0};
  char byte = 0;
  return ::poll(&wait, 1, static_cast<int>(patience.count())) == 1 &&
         ::recv(socket, &byte, 1, 0) <= 0;
}

base::UniqueFd connected(std::uint16_t port, const char* from = "127.0.0.1") {
  base::UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in own{};
  own.sin_family = AF_INET;
  ::inet_pton(AF_INET, from, &own.sin_addr);
  EXPECT_EQ(::bind(socket.get(), reinterpret_cast<sockaddr*>(&own), sizeof own), 0);
  sockaddr_in server = own;
  server.sin_port = htons(port);
  server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(::connect(socket.get(), reinterpret_cast<sockaddr*>(&server), sizeof server), 0);
  return socket;
}

TEST_F(DnsServerTest, EndsAConnectionThatAnnouncesMoreThanAQuestion) {
  start({});
  base::UniqueFd socket = connected(port_);
  constexpr std::array<char, 2> kAnnounced = {'\x10', '\x01'};  // 4097
  ASSERT_EQ(::send(socket.get(), kAnnounced.data(), kAnnounced.size(), 0), 2);
  EXPECT_TRUE(ended(socket.get(), std::chrono::seconds(3)));
}

TEST_F(DnsServerTest, OneClientsConnectionsLeaveRoomForTheOthers) {
  start({});
  std::vector<base::UniqueFd> held;
  for (int i = 0; i < 32; ++i) held.push_back(connected(port_));
  Bytes query = make_query("x.localhost", kTypeA);
  EXPECT_TRUE(answers(exchange_tcp(held.back().get(), query), query));
  base::UniqueFd more = connected(port_);
  EXPECT_TRUE(ended(more.get(), std::chrono::seconds(3)));
  base::UniqueFd other = connected(port_, "127.0.0.2");
  EXPECT_TRUE(answers(exchange_tcp(other.get(), query), query));
  EXPECT_TRUE(answers(ask_udp(port_, query), query));
}

TEST(DnsShare, IsOfOneClientAndOfAll) {
  Share share(3, 2);
  auto one = boost::asio::ip::make_address("10.71.0.1");
  auto two = boost::asio::ip::make_address("10.71.0.2");
  EXPECT_TRUE(share.take(one));
  EXPECT_TRUE(share.take(one));
  EXPECT_FALSE(share.take(one));
  EXPECT_TRUE(share.take(two));
  EXPECT_FALSE(share.take(two)) << "all together";
  share.give_back(one);
  EXPECT_TRUE(share.take(two));
  share.give_back(two);
  share.give_back(two);
  share.give_back(one);
  EXPECT_TRUE(share.take(one));
  EXPECT_TRUE(share.take(one));
}

TEST_F(DnsServerTest, SaysWhenItsPortIsTaken) {
  start({});
  Server second(loop_.context.get_executor(), {"localhost"}, [] { return Servers(); });
  auto port = second.start("127.0.0.1", port_);
  ASSERT_FALSE(port);
  EXPECT_EQ(port.error().os_errno(), EADDRINUSE) << port.error().message();
}

}  // namespace
}  // namespace emulator::dns
