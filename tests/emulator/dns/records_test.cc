// How long an answer by UDP may be, and what is left of one that is longer.
#include "emulator/dns/records.h"

#include <gtest/gtest.h>

#include "emulator/dns/lookup.h"

namespace emulator::dns {
namespace {

// A query for the A records of "many.test"; `offered` > 0: with an OPT record that says so.
Bytes question(std::uint16_t offered = 0) {
  Bytes query = *make_query("many.test", kTypeA);
  if (offered == 0) return query;
  query[11] = 1;
  for (int byte : {0, 0, 41, offered >> 8, offered & 0xff, 0, 0, 0, 0, 0, 0})
    query.push_back(static_cast<std::uint8_t>(byte));
  return query;
}

Bytes answer(const Bytes& query, std::size_t count) {
  std::vector<Address> addresses;
  for (std::size_t i = 0; i < count; ++i)
    addresses.push_back({192, 0, 2, static_cast<std::uint8_t>(i)});
  return make_addresses_reply(query, *parse_query(query), addresses, 60);
}

bool truncated(const Bytes& reply) {
  return (reply.at(2) & 0x02U) != 0;
}

TEST(DnsRecords, AClientGets512BytesUnlessItOffersMore) {
  EXPECT_EQ(udp_size(question()), 512U);
  EXPECT_EQ(udp_size(question(1232)), 1232U);
  EXPECT_EQ(udp_size(question(65535)), 65507U);
  EXPECT_EQ(udp_size(question(100)), 512U) << "RFC 6891 6.2.3: less is as good as 512";
  Bytes damaged = question(4096);
  for (std::size_t size = 0; size < damaged.size(); ++size)
    EXPECT_EQ(udp_size(View(damaged).first(size)), 512U) << size;
}

TEST(DnsRecords, WhatFitsIsLeftAlone) {
  Bytes reply = answer(question(), 30);
  ASSERT_EQ(reply.size(), 27U + 30 * 16U);
  Bytes before = reply;
  fit(reply, 512);
  EXPECT_EQ(reply, before);
  reply = answer(question(), 31);
  before = reply;
  fit(reply, reply.size());
  EXPECT_EQ(reply, before);
}

TEST(DnsRecords, WhatDoesNotFitIsCutBetweenRecordsAndSaysSo) {
  Bytes query = question();
  Bytes reply = answer(query, 100);
  fit(reply, 512);
  EXPECT_TRUE(truncated(reply));
  EXPECT_EQ(reply.size(), 27U + 30 * 16U);
  EXPECT_EQ(addresses_in(reply).size(), 30U);
  EXPECT_TRUE(answers(reply, query));
}

TEST(DnsRecords, TheOptRecordStaysAndTheSectionsBeforeItGo) {
  Bytes query = question(600);
  Bytes reply = answer(query, 100);
  // One of the authorities, then OPT.
  for (int byte : {0xc0, 12, 0, 2, 0, 1, 0, 0, 0, 60, 0, 1, 0})
    reply.push_back(static_cast<std::uint8_t>(byte));
  reply[9] = 1;
  answer_opt(reply, query);
  EXPECT_EQ(reply[11], 1);
  fit(reply, udp_size(query));
  EXPECT_TRUE(truncated(reply));
  EXPECT_EQ(reply.size(), 27U + 35 * 16U + 11U);
  EXPECT_EQ(addresses_in(reply).size(), 35U);
  EXPECT_EQ(records_in(reply, 1), 0U);
  EXPECT_EQ(records_in(reply, 2), 1U);
  EXPECT_EQ(Bytes(reply.end() - 11, reply.end()), (Bytes{0, 0, 41, 16, 0, 0, 0, 0, 0, 0, 0}));
}

TEST(DnsRecords, AnAnswerHasAnOptRecordWhenTheQueryHasOne) {
  Bytes reply = answer(question(), 1);
  Bytes before = reply;
  answer_opt(reply, question());
  EXPECT_EQ(reply, before);
  answer_opt(reply, question(1232));
  EXPECT_EQ(reply.size(), before.size() + 11);
  Bytes nothing;
  answer_opt(nothing, question(1232));
  EXPECT_TRUE(nothing.empty());
}

TEST(DnsRecords, ADamagedAnswerIsCutAsWell) {
  Bytes whole = answer(question(4096), 100);
  answer_opt(whole, question(4096));
  for (std::size_t size = 513; size < whole.size(); ++size) {
    Bytes reply(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
    fit(reply, 512);
    EXPECT_LE(reply.size(), 512U);
    EXPECT_TRUE(truncated(reply));
    EXPECT_LE(addresses_in(reply).size(), 30U);
  }
  Bytes questions = question();
  questions[4] = questions[5] = 0xff;
  questions.resize(4000, 1);
  fit(questions, 512);
  EXPECT_EQ(questions.size(), kHeaderSize);
  EXPECT_EQ(questions[4] + questions[5], 0);
}

}  // namespace
}  // namespace emulator::dns
