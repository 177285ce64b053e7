#include "emulator/dns/forwarder.h"

#include "tests/emulator/dns/fake_resolver.h"
#include "tests/emulator/dns/loop_thread.h"

namespace emulator::dns {
namespace {

class ForwarderTest : public testing::Test {
 protected:
  void start(Servers servers, Forwarder::Options options = {}) {
    forwarder_ = std::make_unique<Forwarder>(
        loop_.context.get_executor(), [servers] { return servers; }, options);
    auto socket = bind_socket("127.0.0.1", 0, SOCK_DGRAM);
    ASSERT_TRUE(socket);
    port_ = port_of(socket->get());
    ASSERT_TRUE(forwarder_->start_on(std::move(*socket)));
    loop_.run();
  }
  void TearDown() override { loop_.stop(*forwarder_); }

  LoopThread loop_;
  std::unique_ptr<Forwarder> forwarder_;
  std::uint16_t port_ = 0;
};

TEST_F(ForwarderTest, PassesTheAnswerOnWithTheClientsId) {
  FakeResolver resolver;
  start({resolver.endpoint()});
  Bytes query = make_query("example.com", kTypeA, 0x4242);
  Bytes reply = ask_udp(port_, query);
  EXPECT_TRUE(answers(reply, query));
  EXPECT_EQ(tail_of(reply, 4), (Bytes{93, 184, 216, 34}));
}

TEST_F(ForwarderTest, AnswersIpv6QuestionsWithNothingAndAsksNobody) {
  FakeResolver resolver;
  start({resolver.endpoint()});
  Bytes reply = ask_udp(port_, make_query("example.com", kTypeAaaa));
  EXPECT_EQ(rcode_of(reply), 0);
  EXPECT_EQ(answers_in(reply), 0);
  EXPECT_EQ(resolver.asked(), 0);
}

TEST_F(ForwarderTest, FailsAtOnceWithoutAResolver) {
  start({});
  auto before = std::chrono::steady_clock::now();
  EXPECT_EQ(rcode_of(ask_udp(port_, make_query("example.com", kTypeA))), 2);
  EXPECT_LT(std::chrono::steady_clock::now() - before, std::chrono::seconds(1));
}

TEST_F(ForwarderTest, FailsAtOnceWithoutInternet) {
  FakeResolver resolver;
  Forwarder::Options options;
  options.internet = false;
  start({resolver.endpoint()}, options);
  EXPECT_EQ(rcode_of(ask_udp(port_, make_query("example.com", kTypeA))), 2);
  EXPECT_EQ(rcode_of(ask_udp(port_, make_query("example.com", kTypeAaaa))), 2);
  EXPECT_EQ(resolver.asked(), 0);
}

TEST_F(ForwarderTest, FailsAtOnceWhenNoResolverCanBeReached) {
  // Nobody listens on these: a laptop without a network.
  auto closed = boost::asio::ip::udp::endpoint(boost::asio::ip::make_address("127.0.0.1"), 1);
  start({closed, closed, closed});
  auto before = std::chrono::steady_clock::now();
  EXPECT_EQ(rcode_of(ask_udp(port_, make_query("example.com", kTypeA))), 2);
  EXPECT_LT(std::chrono::steady_clock::now() - before, std::chrono::milliseconds(900));
}

TEST_F(ForwarderTest, AnswersItsOwnNamesItselfEvenWithoutInternet) {
  FakeResolver resolver;
  Forwarder::Options options;
  options.internet = false;
  options.own_name = [](const std::string& name) -> std::optional<std::array<std::uint8_t, 4>> {
    if (name != "8080-x.sandlot.test") return std::nullopt;
    return std::array<std::uint8_t, 4>{198, 18, 0, 1};
  };
  start({resolver.endpoint()}, options);
  Bytes reply = ask_udp(port_, make_query("8080-x.Sandlot.test", kTypeA));
  EXPECT_EQ(tail_of(reply, 4), (Bytes{198, 18, 0, 1}));
  reply = ask_udp(port_, make_query("8080-x.sandlot.test", kTypeAaaa));
  EXPECT_EQ(rcode_of(reply), 0);
  EXPECT_EQ(answers_in(reply), 0);
  EXPECT_EQ(rcode_of(ask_udp(port_, make_query("api.sandlot.test", kTypeA))), 2);
  EXPECT_EQ(resolver.asked(), 0);
}

TEST_F(ForwarderTest, SaysThatThereIsNoSuchNameToWhomItIsToldAndAsksNobody) {
  FakeResolver resolver;
  std::string told;
  Forwarder::Options options;
  options.has_no_name = [](const boost::asio::ip::address& client, const std::string& name) {
    return client.is_loopback() && name == "gone.example.com";
  };
  options.on_question = [&](const QuestionEvent& event) {
    told = event.question.name + " " + std::to_string(static_cast<int>(event.rcode));
  };
  start({resolver.endpoint()}, options);
  Bytes query = make_query("Gone.example.com", kTypeA, 0x4242);
  Bytes reply = ask_udp(port_, query);
  EXPECT_TRUE(answers(reply, query));
  EXPECT_EQ(rcode_of(reply), 3);
  EXPECT_EQ(told, "gone.example.com 3");
  EXPECT_EQ(rcode_of(ask_udp(port_, make_query("gone.example.com", kTypeAaaa))), 3);
  EXPECT_EQ(resolver.asked(), 0);
  EXPECT_EQ(answers_in(ask_udp(port_, make_query("example.com", kTypeA))), 1);
}

TEST_F(ForwarderTest, TellsWhoAskedForWhatAndHowItEnded) {
  FakeResolver resolver;
  std::string told;
  Forwarder::Options options;
  options.on_question = [&](const QuestionEvent& event) {
    told = event.client.to_string() + " " + event.question.name + " " +
           std::to_string(event.question.type) + " " +
           std::to_string(static_cast<int>(event.rcode));
  };
  start({resolver.endpoint()}, options);
  ask_udp(port_, make_query("example.com", kTypeA));
  EXPECT_EQ(told, "127.0.0.1 example.com 1 0");
}

TEST_F(ForwarderTest, AsksTheNextResolverWhenOneIsSilent) {
  FakeResolver silent([](const Bytes&) { return Bytes(); });
  FakeResolver resolver;
  Forwarder::Options options;
  options.limit = std::chrono::milliseconds(600);
  start({silent.endpoint(), resolver.endpoint()}, options);
  EXPECT_EQ(answers_in(ask_udp(port_, make_query("example.com", kTypeA))), 1);
  EXPECT_EQ(silent.asked(), 1);
}

TEST_F(ForwarderTest, FailsAfterItsLimitWhenAllAreSilent) {
  FakeResolver silent([](const Bytes&) { return Bytes(); });
  Forwarder::Options options;
  options.limit = std::chrono::milliseconds(100);
  start({silent.endpoint()}, options);
  EXPECT_EQ(rcode_of(ask_udp(port_, make_query("example.com", kTypeA))), 2);
}

TEST_F(ForwarderTest, IgnoresAnswersToOtherQuestions) {
  FakeResolver forger([](const Bytes& query) {
    Bytes other = make_query("evil.example", kTypeA, id_of(query));
    return FakeResolver::answer_with_a(other);
  });
  Forwarder::Options options;
  options.limit = std::chrono::milliseconds(100);
  start({forger.endpoint()}, options);
  EXPECT_EQ(rcode_of(ask_udp(port_, make_query("example.com", kTypeA))), 2);
}

TEST_F(ForwarderTest, KeepsTheTruncationBit) {
  FakeResolver resolver([](const Bytes& query) {
    Bytes reply = make_reply(query, Rcode::kNoError);
    reply[2] |= 0x02;
    return reply;
  });
  start({resolver.endpoint()});
  Bytes reply = ask_udp(port_, make_query("big.example", 16));
  ASSERT_GE(reply.size(), kHeaderSize);
  EXPECT_EQ(reply[2] & 0x02, 0x02);
}

// A resolver that does not care what the client can take.
TEST_F(ForwarderTest, CutsWhatIsLongerThanTheClientTakesByUdp) {
  FakeResolver resolver([](const Bytes& query) {
    std::vector<std::array<std::uint8_t, 4>> addresses(100, {192, 0, 2, 1});
    return make_addresses_reply(query, *parse_query(query), addresses, 60);
  });
  start({resolver.endpoint()});
  Bytes query = make_query("many.test", kTypeA);
  Bytes cut = ask_udp(port_, query);
  ASSERT_GE(cut.size(), kHeaderSize);
  EXPECT_LE(cut.size(), 512U);
  EXPECT_EQ(cut[2] & 0x02, 0x02);
  EXPECT_EQ(answers_in(cut), 30);
  query[11] = 1;
  for (int byte : {0, 0, 41, 16, 0, 0, 0, 0, 0, 0, 0})
    query.push_back(static_cast<std::uint8_t>(byte));
  Bytes whole = ask_udp(port_, query);
  ASSERT_GE(whole.size(), kHeaderSize);
  EXPECT_EQ(whole[2] & 0x02, 0);
  EXPECT_EQ(answers_in(whole), 100);
}

TEST_F(ForwarderTest, SaysFormatErrorToNonsense) {
  start({});
  Bytes nonsense = make_query("example.com", kTypeA);
  nonsense[5] = 9;
  EXPECT_EQ(rcode_of(ask_udp(port_, nonsense)), 1);
}

}  // namespace
}  // namespace emulator::dns
