#include "fakeapi/cloud/not_built.h"

#include <set>

#include "tests/cloud/cloud_fixture.h"

namespace tests {
namespace {

class NotBuilt : public CloudTest {};

std::string filled(std::string_view pattern) {
  std::string path;
  bool inside = false;
  for (char c : pattern) {
    if (c == '{') path += "abc";
    if (c == '{' || c == '}') {
      inside = c == '{';
    } else if (!inside) {
      path += c;
    }
  }
  return path;
}

TEST_F(NotBuilt, EveryRouteOfTheTableSaysWhatIsMissing) {
  for (const cloud::NotBuiltRoute& route : cloud::not_built_routes()) {
    for (const char* body : {"", "{\"any\":\"thing\"}", "not json"}) {
      CloudAnswer answer = ask(std::string(route.method), filled(route.pattern), body);
      expect_error(answer, 501);
      EXPECT_EQ(answer.message().find(std::string(route.what) + " is not built yet in Sandlot"), 0U)
          << answer.body;
    }
  }
}

TEST_F(NotBuilt, NoRouteIsInTheTableTwice) {
  std::set<std::pair<std::string, std::string>> seen;
  for (const cloud::NotBuiltRoute& route : cloud::not_built_routes()) {
    EXPECT_TRUE(seen.emplace(std::string(route.method), filled(route.pattern)).second)
        << route.pattern;
  }
}

// Every route of contract-novita sections 2 and 7, as the SDKs call it: built or 501, never 404 or
// 405.
TEST_F(NotBuilt, NothingThatAnSdkCallsIsUnknown) {
  service_.add();
  struct Call {
    const char* method;
    const char* path;
  };
  for (Call call : {
           Call{"POST", "/sandboxes"},
           Call{"POST", "/v2/sandboxes"},
           Call{"GET", "/sandboxes"},
           Call{"GET", "/v2/sandboxes"},
           Call{"GET", "/sandboxes/iadd1"},
           Call{"POST", "/sandboxes/iadd1/timeout"},
           Call{"POST", "/sandboxes/iadd1/connect"},
           Call{"POST", "/v2/sandboxes/iadd1/connect"},
           Call{"POST", "/sandboxes/iadd1/refreshes"},
           Call{"POST", "/sandboxes/iadd1/pause"},
           Call{"POST", "/sandboxes/iadd1/resume"},
           Call{"POST", "/sandboxes/iadd1/snapshots"},
           Call{"GET", "/snapshots"},
           Call{"POST", "//sandboxes/iadd1/clone"},
           Call{"POST", "/sandboxes/iadd1/fork"},
           Call{"POST", "/sandboxes/iadd1/reset"},
           Call{"POST", "/sandboxes/iadd1/hotplug-memory"},
           Call{"PUT", "/sandboxes/iadd1/network"},
           Call{"POST", "/sandboxes/iadd1/volume-mounts"},
           Call{"DELETE", "/sandboxes/iadd1/volume-mounts?path=%2Fmnt&force=true"},
           Call{"GET", "/sandboxes/events?limit=5"},
           Call{"POST", "/sandboxes/iadd1/commit"},
           Call{"GET", "/sandboxes/iadd1/logs"},
           Call{"GET", "/v2/sandboxes/iadd1/logs"},
           Call{"POST", "/v3/templates"},
           Call{"POST", "/v2/templates"},
           Call{"POST", "/templates"},
           Call{"GET", "/templates/t1/files/abc"},
           Call{"POST", "/v2/templates/t1/builds/b1"},
           Call{"POST", "/templates/t1/builds/b1"},
           Call{"GET", "/templates/t1/builds/b1/status?logsOffset=0"},
           Call{"GET", "/templates/t1/builds/b1/logs"},
           Call{"GET", "/templates/aliases/base"},
           Call{"POST", "/templates/tags"},
           Call{"DELETE", "/templates/tags"},
           Call{"GET", "/templates/t1/tags"},
           Call{"GET", "/templates/t1"},
           Call{"DELETE", "/templates/snap%3Adefault"},
           Call{"GET", "/v2/templates?page=1&limit=20"},
           Call{"PATCH", "/v2/templates/t1"},
           Call{"PATCH", "/templates/t1"},
           Call{"GET", "/templates"},
           Call{"POST", "/volumes"},
           Call{"GET", "/volumes"},
           Call{"GET", "/volumes/v1"},
           Call{"PATCH", "/volumes/v1"},
           Call{"DELETE", "/volumes/v1"},
           Call{"POST", "/secrets"},
           Call{"GET", "/secrets"},
           Call{"GET", "/secrets/s1"},
           Call{"PUT", "/secrets/s1"},
           Call{"POST", "/secrets/s1"},
           Call{"DELETE", "/secrets/s1"},
           Call{"GET", "/volumecontent/v1/dir?path=%2F"},
           Call{"POST", "/volumecontent/v1/dir?path=%2F"},
           Call{"GET", "/volumecontent/v1/path?path=%2F"},
           Call{"PATCH", "/volumecontent/v1/path"},
           Call{"DELETE", "/volumecontent/v1/path?path=%2Fx"},
           Call{"GET", "/volumecontent/v1/file"},
           Call{"PUT", "/volumecontent/v1/file?path=%2Fx"},
           Call{"GET", "/teams"},
           Call{"GET", "/teams/t/metrics"},
           Call{"GET", "/teams/t/metrics/max"},
           Call{"GET", "/health"},
           Call{"DELETE", "/sandboxes/iadd1"},
       }) {
    CloudAnswer answer = ask(call.method, call.path);
    EXPECT_NE(answer.status, 404) << call.method << " " << call.path;
    EXPECT_NE(answer.status, 405) << call.method << " " << call.path;
    EXPECT_NE(answer.status, 500) << call.method << " " << call.path;
  }
}

}  // namespace
}  // namespace tests
