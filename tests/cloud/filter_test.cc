#include "fakeapi/cloud/filter.h"

#include <gtest/gtest.h>

namespace tests {
namespace {

using namespace fakeapi::cloud;  // NOLINT(google-build-using-namespace): a test of this namespace
                                 // alone

TEST(MetadataFilter, DecodesFormEncodingThenPercentEncoding) {
  EXPECT_EQ(parse_metadata_filter("env=dev").value(), (StringMap{{"env", "dev"}}));
  EXPECT_EQ(parse_metadata_filter("my%2520key=v%25261").value(), (StringMap{{"my key", "v&1"}}));
  EXPECT_EQ(parse_metadata_filter("a=1&b=2").value(), (StringMap{{"a", "1"}, {"b", "2"}}));
  EXPECT_EQ(parse_metadata_filter("k=%253D%2526").value(), (StringMap{{"k", "=&"}}));
  EXPECT_EQ(parse_metadata_filter("k=a=b").value(), (StringMap{{"k", "a=b"}}));
  EXPECT_EQ(parse_metadata_filter("k=").value(), (StringMap{{"k", ""}}));
  EXPECT_TRUE(parse_metadata_filter("").value().empty());
  EXPECT_FALSE(parse_metadata_filter("k"));
  EXPECT_FALSE(parse_metadata_filter("a=1&&b=2"));
}

TEST(MetadataFilter, EveryPairMustMatch) {
  SandboxInfo sandbox;
  SandboxFilter filter;
  EXPECT_TRUE(matches(sandbox, filter));
  filter.metadata = {{"a", "1"}};
  EXPECT_FALSE(matches(sandbox, filter));
  sandbox.metadata = StringMap{{"a", "1"}, {"b", "2"}};
  EXPECT_TRUE(matches(sandbox, filter));
  filter.metadata["b"] = "3";
  EXPECT_FALSE(matches(sandbox, filter));
}

TEST(Token, RoundTripsToTheNanosecond) {
  Cursor cursor;
  cursor.time = base::TimePoint(std::chrono::nanoseconds(1789984800123456789));
  cursor.id = "iabc";
  std::string token = make_token(cursor, Order::kNewestFirst);
  EXPECT_EQ(token.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789."), std::string::npos);
  auto read = parse_token(token, Order::kNewestFirst);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->time, cursor.time);
  EXPECT_EQ(read->id, "iabc");
  EXPECT_FALSE(parse_token(token, Order::kOldestFirst));
}

}  // namespace
}  // namespace tests
