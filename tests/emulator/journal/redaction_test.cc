// No secret in the journal, wherever it was.
#include "emulator/journal/redaction.h"

#include <gtest/gtest.h>

namespace emulator::journal {
namespace {

std::string body(std::string_view text) {
  return redact_body(text, text.size());
}

TEST(Redaction, KnowsSecretsByTheirNames) {
  for (const char* name : {"X-API-Key", "Authorization", "e2b-traffic-access-token", "signature",
                           "envdAccessToken", "Cookie", "awsSecretAccessKey", "apiKey", "key"}) {
    EXPECT_TRUE(is_secret_name(name)) << name;
  }
  for (const char* name : {"nextToken", "X-Next-Token", "templateID", "Content-Type", "monkey",
                           "signature_expiration_"}) {
    bool secret = std::string_view(name).starts_with("signature");
    EXPECT_EQ(is_secret_name(name), secret) << name;
  }
}

TEST(Redaction, OfQueriesKeepsTheRest) {
  EXPECT_EQ(redact_target("/a?path=%2Fx&signature=v1_abc%2B&b"), "/a?path=%2Fx&signature=***&b");
  EXPECT_EQ(redact_target("/a?token=1&token=2"), "/a?token=***&token=***");
  EXPECT_EQ(redact_target("/a"), "/a");
  EXPECT_EQ(redact_target("/a?"), "/a?");
}

TEST(Redaction, OfBodiesGoesEverywhere) {
  EXPECT_EQ(body(R"({"templateID":"base","envVars":{"A":"s3cret","n":5}})"),
            R"({"templateID":"base","envVars":{"A":"***","n":"***"}})");
  EXPECT_EQ(body(R"([{"sandboxID":"i1","envdAccessToken":"s3cret","trafficAccessToken":null}])"),
            R"([{"sandboxID":"i1","envdAccessToken":"***","trafficAccessToken":null}])");
  EXPECT_EQ(body(R"({"name":"n","value":"s3cret","hosts":["a"],"hasSecret":true})"),
            R"({"name":"n","value":"***","hosts":["a"],"hasSecret":true})");
  EXPECT_EQ(body(R"({"mcp":{"x":{"y":["s3cret"]}},"network":{"rules":{"h":[{"t":"s3cret"}]}}})"),
            R"({"mcp":{"x":{"y":["***"]}},"network":{"rules":{"h":[{"t":"***"}]}}})");
  EXPECT_EQ(body(R"({"url":"https://h/f?token=s3cret&a=1"})"),
            R"({"url":"https://h/f?token=***&a=1"})");
}

TEST(Redaction, DoesNotShowWhatItCannotRead) {
  EXPECT_EQ(body("token=s3cret"), "(12 bytes)");
  EXPECT_EQ(body(R"({"token":"s3cret)"), "(16 bytes)");
  EXPECT_EQ(body(""), "");
  std::string large = "{\"a\":\"" + std::string(kLargestBody, 'x') + "\"}";
  EXPECT_EQ(body(large), "(" + std::to_string(large.size()) + " bytes)");
  EXPECT_EQ(redact_body("{}", 900), "(900 bytes)") << "only the beginning is there";
}

TEST(Redaction, CutsLongBodiesBetweenCharacters) {
  std::string text;
  for (int i = 0; i < 1500; ++i) text += "\xC3\xA9";
  std::string cut = body("[\"" + text + "\"]");
  EXPECT_TRUE(cut.ends_with("\xC3\xA9..."));
  EXPECT_LE(cut.size(), kShownBody + 3);
}

}  // namespace
}  // namespace emulator::journal
