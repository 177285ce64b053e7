#include "emulator/config/units.h"

#include <gtest/gtest.h>

namespace emulator::config {
namespace {

using std::chrono::milliseconds;

TEST(Units, DurationsAreReadAsPeopleWriteThem) {
  const std::pair<const char*, long> cases[] = {
      {"250ms", 250},   {"30s", 30000},     {"30", 30000},  {"5m", 300000}, {"2h", 7200000},
      {"1d", 86400000}, {"1h30m", 5400000}, {"1.5s", 1500}, {"0", 0}};
  for (const auto& [text, wanted] : cases) {
    auto duration = parse_duration(text);
    ASSERT_TRUE(duration) << text;
    EXPECT_EQ(*duration, milliseconds(wanted)) << text;
  }
}

TEST(Units, WhatIsNoDurationIsRefusedByName) {
  for (const char* text :
       {"", "s", "-5s", "5x", "5 s", "1h30", "1..5s", ".", "1e9s", "99999999d", "5m banana"}) {
    auto duration = parse_duration(text);
    ASSERT_FALSE(duration) << text;
    EXPECT_NE(duration.error().message().find("'" + std::string(text) + "'"), std::string::npos);
  }
}

TEST(Units, SizesKnowBothKindsOfPrefixes) {
  const std::pair<const char*, std::uint64_t> cases[] = {
      {"512", 512},         {"512B", 512},          {"64KiB", 65536},      {"64k", 65536},
      {"10MB", 10'000'000}, {"1.5GiB", 1610612736}, {"2T", 2199023255552}, {"0", 0}};
  for (const auto& [text, wanted] : cases) {
    auto size = parse_size(text);
    ASSERT_TRUE(size) << text;
    EXPECT_EQ(*size, wanted) << text;
  }
  for (const char* text : {"", "k", "-1", "1x", "1kk", "9999999T", "1 GB"})
    EXPECT_FALSE(parse_size(text)) << text;
}

TEST(Units, PortsAreSixteenBits) {
  EXPECT_EQ(*parse_port("0"), 0);
  EXPECT_EQ(*parse_port("65535"), 65535);
  for (const char* text : {"", "65536", "-1", "80x", " 80", "+80", "99999999999"})
    EXPECT_FALSE(parse_port(text)) << text;
}

TEST(Units, ANearNameIsFoundAndAFarOneIsNot) {
  const std::vector<std::string_view> known = {"port", "pool", "data-dir", "log-level"};
  EXPECT_EQ(nearest("prot", known), "port");
  EXPECT_EQ(nearest("datadir", known), "data-dir");
  EXPECT_EQ(nearest("log", known), "log-level");
  EXPECT_EQ(nearest("banana", known), "");
}

}  // namespace
}  // namespace emulator::config
