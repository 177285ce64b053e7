#include "emulator/proxy/error_pages.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace emulator::proxy {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;

TEST(ErrorPages, NegotiatesAsTheCloudDoes) {
  struct Row {
    Asker asker;
    bool html;
  };
  const char* chrome = "Mozilla/5.0 (X11; Linux x86_64) Chrome/130.0";
  const Row rows[] = {
      {{"", "", "", ""}, false},
      {{"*/*", "curl/7.88.1", "", ""}, false},
      {{"text/html", "curl/7.88.1", "", ""}, false},
      {{"text/html,application/xhtml+xml", chrome, "", ""}, true},
      {{"text/html", chrome, "navigate", ""}, true},
      {{"", chrome, "", ""}, true},
      {{"application/json", chrome, "", ""}, false},
      {{"application/json, text/html", chrome, "", ""}, true},
      {{"application/json", chrome, "navigate", ""}, false},
      {{"*/*", chrome, "cors", ""}, false},
      {{"*/*", chrome, "no-cors", ""}, false},
      {{"*/*", chrome, "same-origin", ""}, false},
      {{"", chrome, "websocket", ""}, false},
      {{"text/html", chrome, "", "XMLHttpRequest"}, false},
      {{"text/html", chrome, "navigate", "XMLHttpRequest"}, true},
      {{"*/*", "node", "cors", ""}, false},
      {{"*/*", "MSIE 6", "", ""}, true},
      {{"*/*", "Opera/9", "", ""}, true},
  };
  for (const Row& row : rows) {
    EXPECT_EQ(wants_html(row.asker), row.html)
        << row.asker.accept << " | " << row.asker.user_agent << " | " << row.asker.sec_fetch_mode;
  }
}

TEST(ErrorPages, WriteJsonWithTheCloudsKeysInTheirOrder) {
  EXPECT_EQ(sandbox_not_found("abc", false).body,
            R"({"sandboxId":"abc","message":"The sandbox was not found","code":502})");
  EXPECT_EQ(
      port_closed("abc", 3210, false).body,
      R"({"sandboxId":"abc","message":"The sandbox is running but port is not open","port":3210,"code":502})");
  EXPECT_EQ(
      port_not_built("abc", 49999, false).body,
      R"({"sandboxId":"abc","message":"The code interpreter is not built yet in Sandlot","port":49999,"code":501})");
  EXPECT_EQ(
      token_missing("abc", false).body,
      R"({"sandboxId":"abc","message":"Sandbox is secured with traffic access token. Token header 'e2b-traffic-access-token' is missing","code":403})");
  EXPECT_EQ(
      token_invalid("abc", false).body,
      R"({"sandboxId":"abc","message":"Sandbox is secured with traffic access token. Provided token in header 'e2b-traffic-access-token' is invalid","code":403})");
  EXPECT_EQ(
      resume_denied("abc", false).body,
      R"({"sandboxId":"abc","message":"This sandbox can't be resumed with the credentials provided. Check your access token and try again.","code":403})");
  EXPECT_EQ(
      still_transitioning("abc", false).body,
      R"({"sandboxId":"abc","message":"The sandbox is still transitioning. Try again in a moment.","code":409})");
  EXPECT_EQ(
      too_many_connections("abc", 7, false).body,
      R"x({"sandboxId":"abc","message":"The sandbox has too many concurrent incoming connections (limit: 7)","code":429,"connectionLimit":7})x");
  EXPECT_EQ(sandbox_limit_reached("abc", "", false).body,
            R"({"sandboxId":"abc","message":"Sandbox limit reached","code":429})");
  EXPECT_EQ(
      reserved_route("/init", false).body,
      R"({"message":"This endpoint is reserved for the E2B control plane and is not reachable through the sandbox URL","path":"/init","code":404})");
}

TEST(ErrorPages, CarryTheirStatusAndType) {
  EXPECT_EQ(sandbox_not_found("a", false).status, 502);
  EXPECT_EQ(token_missing("a", false).status, 403);
  EXPECT_EQ(port_not_built("a", 49999, false).status, 501);
  EXPECT_EQ(still_transitioning("a", false).status, 409);
  EXPECT_EQ(too_many_connections("a", 1, false).status, 429);
  EXPECT_EQ(reserved_route("/init", false).status, 404);
  EXPECT_EQ(sandbox_not_found("a", false).content_type, "application/json; charset=utf-8");
  EXPECT_EQ(sandbox_not_found("a", true).content_type, "text/html; charset=utf-8");
  ErrorPage text = plain_text(400, "Invalid host");
  EXPECT_TRUE(text.nosniff);
  EXPECT_EQ(text.body, "Invalid host\n");
}

TEST(ErrorPages, PagesSayWhatIsWrong) {
  for (const ErrorPage& page : {sandbox_not_found("abc", true), port_closed("abc", 3210, true),
                                token_missing("abc", true), token_invalid("abc", true),
                                reserved_route("/init", true), still_transitioning("abc", true)}) {
    EXPECT_THAT(page.body, StartsWith("<html"));
    EXPECT_THAT(page.body, EndsWith("</html>"));
  }
  EXPECT_THAT(sandbox_not_found("abc", true).body, HasSubstr("Sandbox Not Found"));
  std::string closed = port_closed("abc", 3210, true).body;
  for (const char* text : {"Closed Port Error", "no service running on port", "abc", "3210"})
    EXPECT_THAT(closed, HasSubstr(text));
  EXPECT_THAT(token_missing("abc", true).body, HasSubstr("Missing Traffic Access Token"));
  EXPECT_THAT(token_invalid("abc", true).body, HasSubstr("Invalid Traffic Access Token"));
}

TEST(ErrorPages, CleanPathsBeforeTheyAreCompared) {
  for (const char* path :
       {"/init", "/init/", "//init", "/./init", "/a/../init", "/../init", "/%69nit", "/%2e/init"})
    EXPECT_EQ(reserved_daemon_route(path), "/init") << path;
  EXPECT_EQ(reserved_daemon_route("/fsthaw"), "/fsthaw");
  EXPECT_EQ(reserved_daemon_route("/upgrade"), "/upgrade");
  for (const char* path :
       {"/", "", "/health", "/files", "/init/x", "/INIT", "/initx", "/process.Process/Start"})
    EXPECT_EQ(reserved_daemon_route(path), "") << path;
}

}  // namespace
}  // namespace emulator::proxy
