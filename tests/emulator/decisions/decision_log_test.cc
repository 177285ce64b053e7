// The ring: what it keeps, what a follower sees of it, and that nobody can make it grow.
#include "emulator/decisions/decision_log.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "emulator/decisions/record_json.h"

namespace emulator::decisions {
namespace {

namespace egress = netfilter::egress;
using Json = nlohmann::json;

class DecisionLogTest : public ::testing::Test {
 protected:
  std::uint64_t begin(DecisionLog& log, const std::string& sandbox, bool allowed = true) {
    egress::Flow flow;
    flow.sandbox.id = sandbox;
    flow.kind = egress::FlowClass::kTls;
    flow.address = {93, 184, 216, 34};
    flow.port = 443;
    flow.name = "example.com";
    netfilter::Decision decision = {allowed, netfilter::MatchType::kCidr, "denyOut[0]=0.0.0.0/0"};
    std::uint64_t mark = 0;
    egress::FlowEvent event{flow, decision, mark};
    log.judged(event);
    return mark;
  }
  void end(DecisionLog& log, std::uint64_t mark) {
    egress::Flow flow;
    egress::FlowEnd over{flow, mark};
    over.dialled = netfilter::Ipv4{93, 184, 216, 35};
    over.sent = 10;
    over.received = 20;
    log.ended(over);
  }
  static std::vector<std::string> sandboxes(const DecisionLog& log) {
    std::vector<std::string> ids;
    log.for_each([&](const Record& record) { ids.push_back(record.sandbox); });
    return ids;
  }

  boost::asio::io_context context_;
  base::SystemClock clock_;
};

TEST_F(DecisionLogTest, ARecordHasTheColumnsOfTheContract) {
  DecisionLog log(context_.get_executor(), clock_, 4);
  end(log, begin(log, "a"));
  Json line;
  log.for_each([&](const Record& record) { line = Json::parse(to_json_line(record)); });
  EXPECT_EQ(line["sandboxID"], "a");
  EXPECT_EQ(line["protocol"], "tls");
  EXPECT_EQ(line["destinationIP"], "93.184.216.34");
  EXPECT_EQ(line["destinationPort"], 443);
  EXPECT_EQ(line["serverName"], "example.com");
  EXPECT_EQ(line["decision"], "allowed");
  EXPECT_EQ(line["matchType"], "cidr");
  EXPECT_EQ(line["rule"], "denyOut[0]=0.0.0.0/0");
  EXPECT_EQ(line["dialed"], "93.184.216.35:443");
  EXPECT_EQ(line["bytesOut"], 10);
  EXPECT_EQ(line["bytesIn"], 20);
  EXPECT_EQ(line["open"], false);
  EXPECT_EQ(line["closeReason"], "ended");
  EXPECT_GE(line["durationMs"], 0.0);
  EXPECT_EQ(line["time"].get<std::string>().size(), std::string("2026-01-01T00:00:00.000Z").size());
}

TEST_F(DecisionLogTest, AConnectionThatLivesIsOpenAndHasNoEnd) {
  DecisionLog log(context_.get_executor(), clock_, 4);
  begin(log, "a");
  log.for_each([&](const Record& record) {
    Json line = Json::parse(to_json_line(record));
    EXPECT_EQ(line["open"], true);
    EXPECT_TRUE(line["closeReason"].is_null());
    EXPECT_TRUE(line["dialed"].is_null());
  });
}

TEST_F(DecisionLogTest, KeepsTheNewestAndCountsTheRest) {
  DecisionLog log(context_.get_executor(), clock_, 3);
  for (const char* id : {"a", "b", "c", "d", "e"}) begin(log, id);
  EXPECT_EQ(sandboxes(log), (std::vector<std::string>{"c", "d", "e"}));
  EXPECT_EQ(log.forgotten(), 2U);
}

TEST_F(DecisionLogTest, TheEndOfAForgottenConnectionChangesNobodyElses) {
  DecisionLog log(context_.get_executor(), clock_, 2);
  std::uint64_t first = begin(log, "a");
  begin(log, "b");
  begin(log, "c");
  end(log, first);
  log.for_each([](const Record& record) { EXPECT_FALSE(record.closed) << record.sandbox; });
}

TEST_F(DecisionLogTest, WithoutRoomItKeepsNothing) {
  DecisionLog log(context_.get_executor(), clock_, 0);
  end(log, begin(log, "a"));
  EXPECT_EQ(log.size(), 0U);
  DecisionLog::Follower follower(log);
  EXPECT_EQ(follower.next(), nullptr);
}

TEST_F(DecisionLogTest, IsEmptyAfterClearingAndGoesOnCounting) {
  DecisionLog log(context_.get_executor(), clock_, 3);
  std::uint64_t old = begin(log, "a");
  begin(log, "b");
  DecisionLog::Follower follower(log);
  EXPECT_EQ(log.clear(), 2U);
  end(log, old);
  for (const char* id : {"c", "d"}) begin(log, id);
  EXPECT_EQ(sandboxes(log), (std::vector<std::string>{"c", "d"}));
  EXPECT_EQ(follower.next()->sandbox, "c");
  EXPECT_EQ(follower.next()->sandbox, "d");
  EXPECT_EQ(follower.take_missed(), 0U) << "what was cleared was not lost";
}

TEST_F(DecisionLogTest, AFollowerSeesBeginningAndEnd) {
  DecisionLog log(context_.get_executor(), clock_, 4);
  DecisionLog::Follower follower(log);
  EXPECT_EQ(follower.next(), nullptr);
  std::uint64_t mark = begin(log, "a");
  const Record* record = follower.next();
  ASSERT_NE(record, nullptr);
  EXPECT_FALSE(record->closed);
  end(log, mark);
  record = follower.next();
  ASSERT_NE(record, nullptr);
  EXPECT_EQ(record->received, 20U);
  EXPECT_EQ(follower.next(), nullptr);
}

TEST_F(DecisionLogTest, AConnectionThatIsOverAlreadyComesOnce) {
  DecisionLog log(context_.get_executor(), clock_, 4);
  DecisionLog::Follower follower(log);
  end(log, begin(log, "a"));
  ASSERT_NE(follower.next(), nullptr);
  EXPECT_EQ(follower.next(), nullptr);
}

TEST_F(DecisionLogTest, ASlowFollowerLosesLinesAndIsToldHowMany) {
  DecisionLog log(context_.get_executor(), clock_, 2);
  DecisionLog::Follower follower(log);
  for (int i = 0; i < 100; ++i) begin(log, std::to_string(i));
  std::vector<std::string> seen;
  while (const Record* record = follower.next()) seen.push_back(record->sandbox);
  EXPECT_EQ(seen, (std::vector<std::string>{"98", "99"}));
  EXPECT_EQ(follower.take_missed(), 98U);
  EXPECT_EQ(follower.take_missed(), 0U);
}

TEST_F(DecisionLogTest, WhoComesLateMissedNothing) {
  DecisionLog log(context_.get_executor(), clock_, 2);
  for (int i = 0; i < 100; ++i) begin(log, std::to_string(i));
  DecisionLog::Follower follower(log);
  ASSERT_NE(follower.next(), nullptr);
  EXPECT_EQ(follower.take_missed(), 0U);
}

TEST_F(DecisionLogTest, WaitingEndsWithTheNextDecision) {
  DecisionLog log(context_.get_executor(), clock_, 4);
  DecisionLog::Follower follower(log);
  auto woken = boost::asio::co_spawn(context_, follower.wait(), boost::asio::use_future);
  context_.poll();
  EXPECT_EQ(woken.wait_for(std::chrono::seconds(0)), std::future_status::timeout);
  begin(log, "a");
  context_.restart();
  context_.run();
  EXPECT_TRUE(woken.get());
  EXPECT_EQ(follower.next()->sandbox, "a");
}

TEST_F(DecisionLogTest, AQuestionIsARecordOfItsOwn) {
  DecisionLog log(context_.get_executor(), clock_, 4);
  auto client = boost::asio::ip::make_address("10.71.0.1");
  dns::Question question;
  question.name = "example.com";
  question.type = dns::kTypeA;
  log.asked("a", {true, netfilter::MatchType::kNone, "default"},
            {client, question, dns::Transport::kUdp, dns::Rcode::kNoSuchName});
  log.for_each([&](const Record& record) {
    Json line = Json::parse(to_json_line(record));
    EXPECT_EQ(line["protocol"], "udp");
    EXPECT_EQ(line["destinationIP"], "8.8.8.8");
    EXPECT_EQ(line["destinationPort"], 53);
    EXPECT_EQ(line["serverName"], "example.com");
    EXPECT_EQ(line["dns"], (Json{{"type", "A"}, {"answer", "NXDOMAIN"}}));
  });
  EXPECT_EQ(log.size(), 1U);
}

}  // namespace
}  // namespace emulator::decisions
