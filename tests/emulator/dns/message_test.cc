#include "emulator/dns/message.h"

#include "tests/emulator/dns/fake_resolver.h"

namespace emulator::dns {
namespace {

TEST(DnsMessage, ReadsTheQuestionInLowerCase) {
  auto question = parse_query(make_query("WWW.Example.COM", kTypeA));
  ASSERT_TRUE(question);
  EXPECT_EQ(question->name, "www.example.com");
  EXPECT_EQ(question->type, kTypeA);
  EXPECT_EQ(question->klass, kClassInternet);
}

TEST(DnsMessage, ReadsTheRoot) {
  auto question = parse_query(make_query("", 2));
  ASSERT_TRUE(question);
  EXPECT_EQ(question->name, "");
}

TEST(DnsMessage, RefusesWhatIsNoSimpleQuery) {
  Bytes good = make_query("example.com", kTypeA);
  for (std::size_t size = 0; size < good.size(); ++size) {
    EXPECT_FALSE(parse_query(View(good).first(size))) << "cut at " << size;
  }
  Bytes answer = good;
  answer[2] |= 0x80;
  EXPECT_FALSE(parse_query(answer));
  Bytes update = good;
  update[2] |= 5 << 3;
  EXPECT_FALSE(parse_query(update));
  Bytes two = good;
  two[5] = 2;
  EXPECT_FALSE(parse_query(two));
  Bytes pointer = good;
  pointer[kHeaderSize] = 0xc0;
  EXPECT_FALSE(parse_query(pointer));
  Bytes overlong = good;
  overlong[kHeaderSize] = 63;
  EXPECT_FALSE(parse_query(overlong));
}

TEST(DnsMessage, RefusesNamesOver255Bytes) {
  std::string label(63, 'a');
  std::string longest = label + "." + label + "." + label + "." + std::string(61, 'b');
  EXPECT_TRUE(parse_query(make_query(longest, kTypeA)));
  EXPECT_FALSE(parse_query(make_query(longest + "b", kTypeA)));
}

TEST(DnsMessage, AnswersWithTheQuestionAndOneRecord) {
  Bytes query = make_query("3000-abc.localhost", kTypeA, 0xbeef);
  auto question = parse_query(query);
  ASSERT_TRUE(question);
  Bytes address = {127, 0, 0, 1};
  Bytes reply = make_address_reply(query, *question, address, 60);
  EXPECT_TRUE(answers(reply, query));
  EXPECT_EQ(id_of(reply), 0xbeef);
  EXPECT_EQ(rcode_of(reply), 0);
  EXPECT_EQ(answers_in(reply), 1);
  EXPECT_EQ(tail_of(reply, 4), address);
  EXPECT_EQ(reply.size(), query.size() + 16);
  EXPECT_EQ(reply[2], 0x81);  // an answer, recursion was desired
  EXPECT_EQ(reply[3], 0x80);  // recursion is available
}

TEST(DnsMessage, ErrorRepliesDropEverythingBehindTheQuestion) {
  Bytes query = make_query("example.com", kTypeA);
  std::size_t bare = query.size();
  query[11] = 1;  // one additional record (EDNS) follows
  for (int byte : {0, 0, 41, 16, 0, 0, 0, 0, 0, 0, 0})
    query.push_back(static_cast<std::uint8_t>(byte));
  Bytes reply = make_reply(query, Rcode::kServerFailure);
  EXPECT_EQ(reply.size(), bare);
  EXPECT_EQ(reply[11], 0);
  EXPECT_EQ(rcode_of(reply), 2);
}

TEST(DnsMessage, NeverAnswersAnAnswerOrScraps) {
  Bytes query = make_query("example.com", kTypeA);
  EXPECT_TRUE(make_reply(View(query).first(11), Rcode::kFormatError).empty());
  query[2] |= 0x80;
  EXPECT_TRUE(make_reply(query, Rcode::kFormatError).empty());
}

TEST(DnsMessage, AnAnswerMustCarryIdAndQuestionOfItsQuery) {
  Bytes query = make_query("example.com", kTypeA, 7);
  EXPECT_FALSE(answers(query, query));
  EXPECT_TRUE(answers(make_reply(query, Rcode::kNoError), query));
  EXPECT_TRUE(answers(make_reply(make_query("EXAMPLE.com", kTypeA, 7), Rcode::kNoError), query));
  EXPECT_FALSE(answers(make_reply(make_query("example.com", kTypeA, 8), Rcode::kNoError), query));
  EXPECT_FALSE(answers(make_reply(make_query("example.org", kTypeA, 7), Rcode::kNoError), query));
  EXPECT_FALSE(
      answers(make_reply(make_query("example.com", kTypeAaaa, 7), Rcode::kNoError), query));
}

TEST(DnsMessage, KnowsNamesUnderADomain) {
  EXPECT_TRUE(is_under("localhost", "localhost"));
  EXPECT_TRUE(is_under("3000-x.localhost", "localhost"));
  EXPECT_TRUE(is_under("a.b.sbx.localhost", "sbx.localhost"));
  EXPECT_FALSE(is_under("notlocalhost", "localhost"));
  EXPECT_FALSE(is_under("localhost.example.com", "localhost"));
  EXPECT_FALSE(is_under("", "localhost"));
  EXPECT_FALSE(is_under("localhost", ""));
}

}  // namespace
}  // namespace emulator::dns
