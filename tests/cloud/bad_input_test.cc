#include "fakeapi/cloud/bodies.h"
#include "tests/cloud/cloud_fixture.h"

namespace tests {
namespace {

class BadInput : public CloudTest {
 protected:
  CloudAnswer create_with(const std::string& member) {
    return post("/sandboxes", R"({"templateID":"base",)" + member + "}");
  }
  std::size_t count() { return service_.list().size(); }
};

TEST_F(BadInput, AnUnknownTemplateIs404) {
  CloudAnswer answer = post("/sandboxes", R"({"templateID":"nope"})");
  expect_error(answer, 404);
  EXPECT_EQ(answer.message(), "template 'nope' not found");
}

TEST_F(BadInput, AnEmptyBodyIs400) {
  for (const char* path : {"/sandboxes", "/v2/sandboxes", "/sandboxes/iadd1/timeout",
                           "/sandboxes/iadd1/connect", "/sandboxes/iadd1/resume"}) {
    service_.add();
    CloudAnswer answer = post(path);
    expect_error(answer, 400);
    EXPECT_EQ(answer.message(),
              "validation error: request body has an error: value is required but missing");
    expect_error(post(path, "  \r\n"), 400);
  }
}

TEST_F(BadInput, UndecodableBodiesAre400) {
  for (const char* body : {"{", "{]", "templateID=base", "{\"templateID\":\"base\"", "{'a':1}",
                           "{\"templateID\":\"base\"}}", "\xff\xfe", "{\"templateID\":\"\xff\"}",
                           "{\"timeout\":1e}", "nul"}) {
    CloudAnswer answer = post("/sandboxes", body);
    expect_error(answer, 400);
    EXPECT_EQ(answer.message().find("Error when parsing request: "), 0U) << answer.body;
    EXPECT_LT(answer.body.size(), 500U);
  }
}

TEST_F(BadInput, JsonThatIsNoObjectIs400) {
  for (const char* body : {"[]", "null", "1", "\"base\"", "true"}) {
    CloudAnswer answer = post("/sandboxes", body);
    expect_error(answer, 400);
    EXPECT_EQ(answer.message().find("validation error: "), 0U) << answer.body;
  }
}

TEST_F(BadInput, DeepNestingIsHarmless) {
  std::string deep(200000, '[');
  expect_error(post("/sandboxes", deep), 400);
  auto nested = [](std::size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); };
  expect_error(create_with("\"unknown\":" + nested(100000)), 400);
  expect_error(create_with("\"network\":{\"x\":" + nested(100000) + "}"), 400);
  EXPECT_EQ(create_with("\"unknown\":" + nested(500)).status, 201);
}

TEST_F(BadInput, WrongTypesAre400) {
  for (const char* member : {R"("timeout":"60")",
                             R"("timeout":1.5)",
                             R"("timeout":null)",
                             R"("timeout":-1)",
                             R"("timeout":2147483648)",
                             R"("timeout":1e300)",
                             R"("timeout":[])",
                             R"("metadata":[])",
                             R"("metadata":{"a":1})",
                             R"("metadata":{"a":null})",
                             R"("metadata":null)",
                             R"("envVars":"A=1")",
                             R"("envVars":{"A":true})",
                             R"("secure":"true")",
                             R"("secure":null)",
                             R"("secure":1)",
                             R"("autoPause":"no")",
                             R"("allow_internet_access":"false")",
                             R"("network":[])",
                             R"("network":"x")",
                             R"("network":{"allowOut":"1.1.1.1"})",
                             R"("network":{"denyOut":[1]})",
                             R"("network":null)",
                             R"("network":{"allowOut":null})",
                             R"("network":{"allowPublicTraffic":null})",
                             R"("network":{"maskRequestHost":5})",
                             R"("network":{"rules":[]})",
                             R"("network":{"rules":null})",
                             R"("network":{"rules":{"a.com":{}}})",
                             R"("network":{"rules":{"a.com":["x"]}})",
                             R"("network":{"rules":{"a.com":[{"transform":null}]}})",
                             R"("network":{"rules":{"a.com":[{"transform":{"headers":[]}}]}})",
                             R"("network":{"rules":{"a.com":[{"transform":{"headers":{"A":1}}}]}})",
                             R"("autoResume":true)",
                             R"("autoResume":{})",
                             R"("autoResume":{"enabled":"x"})",
                             R"("autoPauseMemory":"x")",
                             R"("nodeID":5)",
                             R"("volumeMounts":{})",
                             R"("volumeMounts":[{"name":"v"}])",
                             R"("volumeMounts":[{"name":"v","path":1}])",
                             R"("volumeMounts":["v"])",
                             R"("secrets":[])",
                             R"("secrets":{"A":1})",
                             R"("iam":[])",
                             R"("iam":{"tokens":[]})",
                             R"("mcp":"x")"}) {
    CloudAnswer answer = create_with(member);
    expect_error(answer, 400);
    EXPECT_EQ(answer.message().find("validation error: "), 0U) << member << answer.body;
  }
  EXPECT_EQ(count(), 0U);
}

TEST_F(BadInput, TheErrorNamesThePlace) {
  EXPECT_EQ(create_with(R"("timeout":-1)").message(),
            "validation error: request body has an error: Error at \"/timeout\": number must be at "
            "least 0");
  EXPECT_EQ(
      create_with(R"("metadata":{"a":1})").message(),
      "validation error: request body has an error: Error at \"/metadata/a\": value must be a "
      "string");
  EXPECT_EQ(
      create_with(R"("network":{"denyOut":["1.1.1.1",2]})").message(),
      "validation error: request body has an error: Error at \"/network/denyOut/1\": value must "
      "be a string");
  EXPECT_EQ(post("/sandboxes", "{}").message(),
            "validation error: request body has an error: Error at \"/templateID\": property "
            "\"templateID\" is missing");
}

TEST_F(BadInput, AWholeNumberMayBeWrittenAsAFraction) {
  EXPECT_EQ(create_with(R"("timeout":60.0)").status, 201);
  EXPECT_EQ(service_.last_request->timeout, std::chrono::seconds(60));
}

TEST_F(BadInput, ATemplateIdMustBeAName) {
  expect_error(post("/sandboxes", R"({"templateID":""})"), 400);
  expect_error(post("/sandboxes", R"({"templateID":null})"), 400);
  expect_error(post("/sandboxes", R"({"templateID":7})"), 400);
}

TEST_F(BadInput, EnvironmentVariablesThatTheKernelWouldMisreadAre400) {
  for (const char* member : {R"("envVars":{"":"x"})", R"("envVars":{"A=B":"x"})",
                             R"("envVars":{"A\u0000":"x"})", R"("envVars":{"A":"x\u0000y"})"}) {
    expect_error(create_with(member), 400);
  }
}

TEST_F(BadInput, AnOversizedBodyIs413) {
  std::string big =
      R"({"templateID":"base","metadata":{"a":")" + std::string(1U << 20U, 'x') + "\"}}";
  expect_error(post("/sandboxes", big), 413);
  std::string chunked =
      "POST /sandboxes HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n" +
      std::string("200000\r\n") + std::string(0x200000, 'x') + "\r\n0\r\n\r\n";
  expect_error(exchange(chunked, "POST"), 413);
  std::string fits =
      R"({"templateID":"base","metadata":{"a":")" + std::string(1000000, 'x') + "\"}}";
  EXPECT_EQ(post("/sandboxes", fits).status, 201);
}

TEST_F(BadInput, MalformedChunksAre400) {
  std::string head = "POST /sandboxes HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n";
  expect_error(exchange(head + "zz\r\n{}\r\n0\r\n\r\n", "POST"), 400);
}

TEST_F(BadInput, UnknownAndImpossibleIdsAreToldApart) {
  CloudAnswer unknown = get("/sandboxes/nonexistingsandbox");
  expect_error(unknown, 404);
  EXPECT_EQ(unknown.message(),
            "Sandbox \"nonexistingsandbox\" doesn't exist or you don't have access to it");
  for (const char* id : {"UPPER", "a_b", "%2e%2e", "a%2Fb", "%00", "-x", "%ff"}) {
    CloudAnswer answer = get("/sandboxes/" + std::string(id));
    expect_error(answer, 400);
    EXPECT_EQ(answer.message(), "Invalid sandbox ID");
  }
}

TEST_F(BadInput, TimeoutNeedsItsNumber) {
  std::string id = create();
  for (const char* body :
       {"{}", R"({"timeout":"5"})", R"({"timeout":-5})", R"({"timeout":null})", "[]"}) {
    expect_error(post("/sandboxes/" + id + "/timeout", body), 400);
  }
}

TEST_F(BadInput, NetworkIsCheckedBeforeItIsRefused) {
  struct Row {
    const char* network;
    const char* message;
  };
  for (Row row : {
           Row{R"({"denyOut":["not-a-cidr"]})", "invalid denied CIDR not-a-cidr"},
           Row{R"({"denyOut":[""]})", "invalid denied CIDR "},
           Row{R"({"denyOut":["example.com"]})", "invalid denied CIDR example.com"},
           Row{R"({"denyOut":["1.2.3.4:80"]})", "invalid denied CIDR 1.2.3.4:80"},
           Row{R"({"denyOut":["1.2.3"]})", "invalid denied CIDR 1.2.3"},
           Row{R"({"denyOut":["1.2.3.4/33"]})", "invalid denied CIDR 1.2.3.4/33"},
           Row{R"({"denyOut":["010.0.0.1"]})", "invalid denied CIDR 010.0.0.1"},
           Row{R"({"denyOut":[" 8.8.8.8"]})", "invalid denied CIDR  8.8.8.8"},
           Row{R"({"denyOut":["0.0.0.0/8"]})", "invalid denied CIDR 0.0.0.0/8"},
           Row{R"({"denyOut":["::/0"]})", "invalid denied CIDR ::/0"},
           Row{R"({"denyOut":["::ffff:0.0.0.0"]})", "invalid denied CIDR ::ffff:0.0.0.0"},
           Row{R"({"allowOut":["0.0.0.0"]})", "invalid allowed address 0.0.0.0"},
           Row{R"({"allowOut":["::"]})", "invalid allowed address ::"},
           Row{R"({"allowOut":["example.com"]})",
               "When specifying allowed domains in allow out, you must include 'ALL_TRAFFIC' in "
               "deny out "
               "to block all other traffic."},
           Row{R"({"maskRequestHost":"-https://abcd"})",
               "mask request host is not valid: -https://abcd"},
           Row{R"({"maskRequestHost":"exämple.com"})",
               "mask request host 'exämple.com' is not ASCII. Please use ASCII characters only."},
           Row{R"({"maskRequestHost":"-x","denyOut":["bad"],"allowOut":["::"]})",
               "mask request host is not valid: -x"},
       }) {
    CloudAnswer answer = create_with("\"network\":" + std::string(row.network));
    expect_error(answer, 400);
    EXPECT_EQ(answer.message(), row.message);
  }
  for (const char* network : {R"({"httpsPorts":[8443]})", R"({"egressProxy":{"address":"a:1"}})"}) {
    CloudAnswer answer = create_with("\"network\":" + std::string(network));
    expect_error(answer, 501);
    EXPECT_NE(answer.message().find("egressProxy and httpsPorts are not enforced"),
              std::string::npos);
  }
  EXPECT_EQ(count(), 0U);
}

TEST_F(BadInput, OptionsThatAreNotBuiltAre501AndMakeNothing) {
  for (const char* member : {R"("nodeID":"n1")", R"("iam":{"tokens":{"t":{"audience":["a"]}}})"}) {
    CloudAnswer answer = create_with(member);
    expect_error(answer, 501);
    EXPECT_NE(answer.message().find("is not built yet in Sandlot"), std::string::npos) << member;
  }
  EXPECT_EQ(count(), 0U);
  expect_error(create_with(R"("autoPauseMemory":false)"), 400);
}

TEST_F(BadInput, ANewLifeIsLongerThanNothing) {
  CloudAnswer answer = create_with(R"("timeout":0)");
  expect_error(answer, 400);
  EXPECT_EQ(answer.message(), "Timeout must be greater than 0");
  EXPECT_EQ(count(), 0U);
}

TEST_F(BadInput, WhatPausesWithoutMemoryIsNotResumedByTraffic) {
  expect_error(
      create_with(R"("autoPause":true,"autoPauseMemory":false,"autoResume":{"enabled":true})"),
      400);
  EXPECT_EQ(count(), 0U);
  auto answer =
      create_with(R"("autoPause":true,"autoPauseMemory":false,"autoResume":{"enabled":false})");
  EXPECT_EQ(answer.status, 201) << answer.body;
}

// Every key of the largest bodies that the SDKs send (contract-novita 3.1, 7.3) is one that Sandlot
// knows.
TEST_F(BadInput, NoKeyOfTheSdksIsDropped) {
  auto knows = [](std::span<const cloud::BodyKey> keys, std::string_view name) {
    return std::any_of(keys.begin(), keys.end(),
                       [&](const cloud::BodyKey& key) { return key.name == name; });
  };
  for (const char* name : {"templateID", "timeout", "secure", "allow_internet_access", "autoPause",
                           "autoResume", "metadata", "envVars", "network", "mcp", "nodeID",
                           "volumeMounts", "secrets", "autoPauseMemory", "iam"}) {
    EXPECT_TRUE(knows(cloud::new_sandbox_keys(), name)) << name;
  }
  for (const char* name : {"timeout", "secure", "allowPublicTraffic", "network", "memory"}) {
    EXPECT_TRUE(knows(cloud::connect_keys(), name)) << name;
  }
  for (const char* name : {"allowOut", "denyOut", "allowPublicTraffic", "maskRequestHost", "rules",
                           "egressProxy", "httpsPorts"}) {
    EXPECT_TRUE(knows(cloud::network_keys(), name)) << name;
  }
}

}  // namespace
}  // namespace tests
