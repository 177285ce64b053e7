#include "emulator/base/json.h"

#include <string>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace base {
namespace {

using Json = nlohmann::json;

std::string nested(std::size_t depth) {
  return std::string(depth, '[') + std::string(depth, ']');
}

TEST(ParseJson, TakesWhatIsNestedAsDeepAsTheLimit) {
  Json value = parse_json<Json>(nested(kDeepestJson));
  ASSERT_TRUE(value.is_array());
  EXPECT_EQ(Json(value).dump(), nested(kDeepestJson));
}

TEST(ParseJson, DiscardsWhatIsNestedDeeper) {
  EXPECT_TRUE(parse_json<Json>(nested(kDeepestJson + 1)).is_discarded());
  EXPECT_TRUE(nested_too_deep(std::string(1'000'000, '{'))) << "not even JSON";
}

TEST(ParseJson, CountsNoBracketsInStringsAndNoneThatAreSideBySide) {
  std::string brackets(kDeepestJson + 1, '[');
  EXPECT_EQ(parse_json<Json>(R"(["\"\\)" + brackets + R"("])")[0].get<std::string>(),
            "\"\\" + brackets);
  std::string flat = "[";
  for (std::size_t i = 0; i <= kDeepestJson; ++i) flat += "{},";
  EXPECT_EQ(parse_json<Json>(flat + "[]]").size(), kDeepestJson + 2);
}

TEST(ParseJson, DiscardsWhatIsNoJson) {
  for (const char* text : {"", "{", "]", "\"", "\"\\"})
    EXPECT_TRUE(parse_json<Json>(text).is_discarded()) << text;
}

}  // namespace
}  // namespace base
