#include "emulator/dns/lookup.h"

#include <gtest/gtest.h>

namespace emulator::dns {
namespace {

Bytes reply_to(const Bytes& query) {
  Bytes reply = make_reply(query, Rcode::kNoError);
  return reply;
}
void add_record(Bytes& reply, std::uint16_t type, const Bytes& data) {
  ++reply[7];
  Bytes head = {0xc0, kHeaderSize, 0, static_cast<std::uint8_t>(type),       0, 1, 0, 0,
                0,    60,          0, static_cast<std::uint8_t>(data.size())};
  reply.insert(reply.end(), head.begin(), head.end());
  reply.insert(reply.end(), data.begin(), data.end());
}

TEST(Lookup, AsksForTheNameItWasGiven) {
  auto query = make_query("a.example.com", kTypeA);
  ASSERT_TRUE(query);
  auto question = parse_query(*query);
  ASSERT_TRUE(question);
  EXPECT_EQ(question->name, "a.example.com");
  EXPECT_EQ(question->type, kTypeA);
  EXPECT_EQ(question->klass, kClassInternet);
  for (const std::string& name : {std::string(), std::string("a..b"), std::string("a."),
                                  std::string(".a"), std::string(64, 'a'), std::string(254, 'a')}) {
    EXPECT_FALSE(make_query(name, kTypeA)) << name;
  }
}

TEST(Lookup, FindsEveryAddressBehindAliases) {
  Bytes reply = reply_to(*make_query("example.com", kTypeA));
  add_record(reply, 5, {1, 'x', 0});
  add_record(reply, kTypeA, {93, 184, 216, 34});
  add_record(reply, kTypeAaaa, Bytes(16, 1));
  add_record(reply, kTypeA, {1, 1, 1, 1});
  EXPECT_EQ(addresses_in(reply),
            (std::vector<Address>{Address{93, 184, 216, 34}, Address{1, 1, 1, 1}}));
}

TEST(Lookup, TakesNothingFromADamagedReply) {
  Bytes reply = reply_to(*make_query("example.com", kTypeA));
  EXPECT_TRUE(addresses_in(reply).empty());
  add_record(reply, kTypeA, {1, 1, 1, 1});
  for (std::size_t size = 0; size < reply.size(); ++size) {
    EXPECT_TRUE(addresses_in(View(reply).first(size)).empty()) << size;
  }
}

}  // namespace
}  // namespace emulator::dns
