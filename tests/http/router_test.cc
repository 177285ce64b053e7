#include "fakeapi/http/router.h"

#include <gtest/gtest.h>

namespace {

using fakeapi::http::RoutedRequest;
using fakeapi::http::Router;

boost::asio::awaitable<void> nothing(RoutedRequest) {
  co_return;
}

Router sample() {
  Router router;
  router.add("GET", "/sandboxes/{id}", nothing);
  router.add("GET", "/sandboxes/metrics", nothing);
  router.add("DELETE", "/sandboxes/{id}", nothing);
  return router;
}

TEST(Router, ALiteralBeatsAParameter) {
  EXPECT_TRUE(sample().find("GET", "/sandboxes/metrics").path.empty());
  EXPECT_EQ(sample().find("GET", "/sandboxes/other").path["id"], "other");
}

TEST(Router, EncodedSlashesSurviveAndDoubledOnesCollapse) {
  EXPECT_EQ(sample().find("GET", "//sandboxes//ns%2Fname").path["id"], "ns/name");
}

TEST(Router, SaysWhichMethodsAPathHas) {
  auto match = sample().find("PUT", "/sandboxes/x");
  EXPECT_EQ(match.handler, nullptr);
  EXPECT_EQ(match.allowed, (std::vector<std::string>{"GET", "DELETE"}));
  EXPECT_TRUE(sample().find("GET", "/nope").allowed.empty());
}

}  // namespace
