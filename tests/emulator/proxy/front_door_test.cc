// Where requests go, and what the front door answers itself.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/emulator/proxy/proxy_world.h"

namespace tests {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;

std::string ask(World& world,
                const std::string& host,
                const std::string& path = "/",
                const std::string& more = "") {
  Peer client = world.client();
  client.send("GET " + path + " HTTP/1.1\r\nHost: " + host + "\r\n" + more + "\r\n");
  return client.read_response();
}

std::string body_of(const std::string& answer) {
  return answer.substr(answer.find("\r\n\r\n") + 4);
}

TEST(FrontDoor, SendsControlPlaneHostsToTheCloudApi) {
  World world;
  for (std::string host : {"api.localhost", "localhost", "localhost:7463", "127.0.0.1:3000",
                           "[::1]:7463", "API.LOCALHOST:1"}) {
    std::string answer = ask(world, host, "/sandboxes?x=1");
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 201 Created")) << host;
    EXPECT_EQ(body_of(answer), "cloud GET /sandboxes?x=1 ") << host;
  }
}

TEST(FrontDoor, SendsItsOwnPathsToTheControlApiOnlyOnControlPlaneHosts) {
  World world;
  EXPECT_EQ(body_of(ask(world, "localhost", "/_sandlot/livez")), "control");
  EXPECT_EQ(body_of(ask(world, "api.localhost", "/_sandlot")), "control");
  EXPECT_EQ(body_of(ask(world, "localhost", "/_sandlots")), "cloud GET /_sandlots ");
  EXPECT_THAT(ask(world, "3000-none.localhost", "/_sandlot/livez"),
              HasSubstr("The sandbox was not found"));
}

TEST(FrontDoor, SandboxesReachOneAnotherAndNothingElse) {
  World world;
  world.add_sandbox("abc");
  Server server([](Peer& peer) {
    while (!peer.read_head().empty()) peer.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nhere");
  });
  Peer client = Peer::connect(world.open_for_sandboxes());
  client.send(get(server.port()));
  EXPECT_EQ(body_of(client.read_response()), "here");
  for (const char* request :
       {"GET /sandboxes HTTP/1.1\r\nHost: api.localhost\r\n\r\n",
        "DELETE /sandboxes/abc HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET /_sandlot/state HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        "GET http://api.localhost/sandboxes HTTP/1.1\r\nHost: 1-abc.localhost\r\n\r\n"}) {
    client.send(request);
    std::string answer = client.read_response();
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 403 ")) << request;
    EXPECT_EQ(body_of(answer), "The control plane cannot be reached from a sandbox.\n");
  }
  EXPECT_EQ(world.requests.size(), 0U);
  client.send(get(server.port()));
  EXPECT_EQ(body_of(client.read_response()), "here");
}

TEST(FrontDoor, OneConnectionCarriesControlPlaneAndSandboxRequestsInTurn) {
  World world;
  world.add_sandbox("abc");
  Server server([](Peer& peer) {
    while (!peer.read_head().empty()) peer.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nhere");
  });
  Peer client = world.client();
  std::string to_sandbox = get(server.port());
  std::string to_cloud = "POST /a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nxyz";
  client.send(to_sandbox + to_cloud + to_sandbox + to_cloud + to_cloud);
  EXPECT_EQ(body_of(client.read_response()), "here");
  EXPECT_EQ(body_of(client.read_response()), "cloud POST /a xyz");
  EXPECT_EQ(body_of(client.read_response()), "here");
  EXPECT_EQ(body_of(client.read_response()), "cloud POST /a xyz");
  EXPECT_EQ(body_of(client.read_response()), "cloud POST /a xyz");
  // The end of the last request is noted after its answer was sent.
  client.send(to_cloud);
  client.read_response();
  world.on_loop([&] {
    ASSERT_GE(world.requests.size(), 3U);
    EXPECT_EQ(world.requests[0].method, "POST");
    EXPECT_EQ(world.requests[0].path, "/a");
    EXPECT_EQ(world.requests[0].status, 201);
  });
}

TEST(FrontDoor, WordsRoutingErrorsAsTheCloudDoes) {
  World world;
  EXPECT_EQ(ask(world, "example.com"),
            "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; "
            "charset=utf-8\r\nX-Content-Type-Options: nosniff\r\n"
            "Content-Length: 13\r\n\r\nInvalid host\n");
  EXPECT_EQ(body_of(ask(world, "3000-ABC.localhost")), "Invalid sandbox ID\n");
  EXPECT_EQ(body_of(ask(world, "x-abc.localhost")), "Invalid sandbox port\n");
  EXPECT_EQ(body_of(ask(world, "localhost", "/", "E2b-Sandbox-Id: abc\r\n")), "missing header\n");
}

TEST(FrontDoor, UnknownAndPausedSandboxesAreNotFound) {
  World world;
  world.add_sandbox("asleep", true);
  for (std::string id : {"nobody", "asleep"}) {
    std::string answer = ask(world, "49983-" + id + ".localhost", "/health");
    EXPECT_THAT(
        answer,
        StartsWith(
            "HTTP/1.1 502 Bad Gateway\r\nContent-Type: application/json; charset=utf-8\r\n"));
    EXPECT_EQ(body_of(answer), "{\"sandboxId\":\"" + id +
                                   "\",\"message\":\"The sandbox was not found\",\"code\":502}");
  }
}

TEST(FrontDoor, BrowsersGetPages) {
  World world;
  std::string answer =
      ask(world, "3000-nobody.localhost", "/", "User-Agent: Mozilla/5.0\r\nAccept: text/html\r\n");
  EXPECT_THAT(answer, HasSubstr("Content-Type: text/html; charset=utf-8\r\n"));
  EXPECT_THAT(body_of(answer), StartsWith("<html"));
  EXPECT_THAT(body_of(answer), EndsWith("</html>"));
  EXPECT_THAT(answer, HasSubstr("Sandbox Not Found"));
  EXPECT_THAT(answer, HasSubstr("nobody"));
}

TEST(FrontDoor, TheDaemonsControlRoutesAreReserved) {
  World world;
  world.add_sandbox("abc");
  for (std::string path : {"/init", "//init/", "/x/../init?a=1", "/%69nit"}) {
    std::string answer = ask(world, "49983-abc.localhost", path);
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 404 Not Found")) << path;
    EXPECT_EQ(body_of(answer),
              "{\"message\":\"This endpoint is reserved for the E2B control plane and is not "
              "reachable through the "
              "sandbox URL\",\"path\":\"/init\",\"code\":404}");
  }
}

TEST(FrontDoor, RefusesMalformedRequestsAndCloses) {
  World world;
  for (std::string bytes :
       {"GET /\r\n\r\n", "GET / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\nTransfer-Encoding: "
        "chunked\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: localhost\r\n bad: fold\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"}) {
    Peer client = world.client();
    client.send(bytes);
    EXPECT_THAT(client.read_response(), StartsWith("HTTP/1.1 400 Bad Request\r\n")) << bytes;
    EXPECT_EQ(client.next_event(), "end");
  }
}

TEST(FrontDoor, RefusesAnEndlessHead) {
  World world;
  Peer client = world.client();
  client.send("GET / HTTP/1.1\r\nHost: localhost\r\nX: " + std::string(70000, 'x'));
  EXPECT_THAT(client.read_response(), StartsWith("HTTP/1.1 431 "));
}

TEST(FrontDoor, ACloseInTheRequestIsObeyed) {
  World world;
  world.add_sandbox("abc");
  Server server([](Peer& peer) {
    while (!peer.read_head().empty()) peer.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
  });
  Peer client = world.client();
  client.send(get(server.port(), "/", "Connection: close\r\n"));
  EXPECT_EQ(client.read_all(), "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
}

TEST(FrontDoor, ListensOnBothLoopbacksAndNamesABusyPort) {
  World world;
  boost::asio::io_context context;
  emulator::proxy::FrontDoorParts parts{world, nullptr, nullptr, nullptr};
  emulator::proxy::FrontDoor door(context.get_executor(), {}, parts);
  emulator::proxy::ListenOptions options;
  options.port = world.port();
  auto listener = emulator::proxy::Listener::open(context.get_executor(), door, options);
  ASSERT_FALSE(listener.has_value());
  EXPECT_EQ(listener.error().code(), base::Errc::kAlreadyExists);
  EXPECT_THAT(listener.error().message(),
              HasSubstr("port " + std::to_string(world.port()) + " is in use"));
  options.address = "::1";
  listener = emulator::proxy::Listener::open(context.get_executor(), door, options);
  ASSERT_FALSE(listener.has_value());
  EXPECT_EQ(listener.error().code(), base::Errc::kAlreadyExists);
}

constexpr const char* kToken = "e2b-traffic-access-token: secret\r\n";
constexpr const char* kMissing =
    R"({"sandboxId":"abc","message":"Sandbox is secured with traffic access token. Token header )"
    R"('e2b-traffic-access-token' is missing","code":403})";
constexpr const char* kInvalid =
    R"({"sandboxId":"abc","message":"Sandbox is secured with traffic access token. Provided token )"
    R"(in header 'e2b-traffic-access-token' is invalid","code":403})";

// Answers every request with its own head.
void echo(Peer& peer) {
  for (std::string head = peer.read_head(); !head.empty(); head = peer.read_head()) {
    peer.send("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(head.size()) + "\r\n\r\n" +
              head);
  }
}

TEST(FrontDoor, APrivateSandboxIsReachedWithItsTokenOnly) {
  World world;
  world.add_sandbox("abc");
  world.set_ingress("abc", {"secret", ""});
  Server server(echo);
  std::string host = std::to_string(server.port()) + "-abc.localhost";
  std::string refused = ask(world, host);
  EXPECT_THAT(refused, StartsWith("HTTP/1.1 403 "));
  EXPECT_EQ(body_of(refused), kMissing);
  EXPECT_EQ(body_of(ask(world, host, "/", "e2b-traffic-access-token:\r\n")), kMissing);
  EXPECT_EQ(body_of(ask(world, host, "/", "e2b-traffic-access-token: secrex\r\n")), kInvalid);
  EXPECT_EQ(body_of(ask(world, host, "/", std::string("e2b-traffic-access-token: x\r\n") + kToken)),
            kInvalid)
      << "the first one counts";
  EXPECT_EQ(server.accepted(), 0) << "nothing of it reached the sandbox";
  std::string served = ask(world, host, "/", "E2B-Traffic-Access-Token: secret\r\n");
  EXPECT_THAT(served, StartsWith("HTTP/1.1 200 OK"));
  EXPECT_THAT(served, HasSubstr("E2B-Traffic-Access-Token: secret"))
      << "passed on, as in the cloud";
}

TEST(FrontDoor, ARequestWakesASandboxThatSleepsUntilOneComes) {
  World world;
  world.add_sandbox("abc");
  world.pause_until_traffic("abc");
  Server server(echo);
  std::string host = std::to_string(server.port()) + "-abc.localhost";
  EXPECT_THAT(ask(world, host, "/first"), StartsWith("HTTP/1.1 200 OK"));
  EXPECT_THAT(ask(world, host, "/second"), StartsWith("HTTP/1.1 200 OK"));
  EXPECT_EQ(world.resumed, 1);
}

TEST(FrontDoor, WhoCannotShowTheTokenWakesNobody) {
  World world;
  world.add_sandbox("abc");
  world.set_ingress("abc", {"secret", "", "daemon"});
  world.pause_until_traffic("abc");
  const std::string denied =
      R"({"sandboxId":"abc","message":"This sandbox can't be resumed with the credentials provided. )"
      R"(Check your access token and try again.","code":403})";
  EXPECT_EQ(body_of(ask(world, "3000-abc.localhost")), denied);
  EXPECT_EQ(body_of(ask(world, "49983-abc.localhost", "/health")), denied);
  EXPECT_EQ(world.resumed, 0);
  ask(world, "49983-abc.localhost", "/health", "X-Access-Token: daemon\r\n");
  EXPECT_EQ(world.resumed, 1);
}

TEST(FrontDoor, Net70TheDaemonSeesNoMaskAndTheOtherPortsDo) {
  World world;
  world.add_sandbox("abc");
  world.set_ingress("abc", {"", "masked.example:${PORT}"});
  Server daemon(echo, 49983);
  std::string seen = ask(world, "49983-abc.localhost", "/health");
  EXPECT_THAT(seen, StartsWith("HTTP/1.1 200 OK"));
  EXPECT_THAT(seen, HasSubstr("Host: 49983-abc.localhost"));
  EXPECT_THAT(seen, Not(HasSubstr("masked.example")));
  EXPECT_THAT(seen, Not(HasSubstr("X-Forwarded-Host")));
  Server other(echo);
  std::string port = std::to_string(other.port());
  EXPECT_THAT(ask(world, port + "-abc.localhost"), HasSubstr("Host: masked.example:" + port));
}

TEST(FrontDoor, ASandboxThatCannotGoOnSaysWhy) {
  World world;
  world.add_sandbox("abc");
  world.pause_until_traffic("abc");
  world.resume_failure = base::Error(base::Errc::kResourceExhausted, "Sandbox limit reached");
  std::string answer = ask(world, "3000-abc.localhost");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 429 "));
  EXPECT_EQ(body_of(answer), R"({"sandboxId":"abc","message":"Sandbox limit reached","code":429})");
  world.resume_failure = base::Error(base::Errc::kDeadlineExceeded, "late");
  EXPECT_THAT(ask(world, "3000-abc.localhost"), StartsWith("HTTP/1.1 409 "));
  world.resume_failure = base::Error(base::Errc::kNotFound, "gone");
  EXPECT_THAT(ask(world, "3000-abc.localhost"), StartsWith("HTTP/1.1 502 "));
}

TEST(FrontDoor, TheTokenIsLookedAtBeforeThePort) {
  World world;
  world.add_sandbox("abc");
  world.set_ingress("abc", {"secret", ""});
  std::string host = std::to_string(free_port()) + "-abc.localhost";
  EXPECT_EQ(body_of(ask(world, host)), kMissing);
  EXPECT_THAT(ask(world, host, "/", kToken), HasSubstr("port is not open"));
  std::string page = ask(world, host, "/", "User-Agent: Mozilla/5.0\r\nAccept: text/html\r\n");
  EXPECT_THAT(page, StartsWith("HTTP/1.1 403 "));
  EXPECT_THAT(page, HasSubstr("Missing Traffic Access Token"));
  world.add_sandbox("asleep", true);
  world.set_ingress("asleep", {"secret", ""});
  EXPECT_THAT(ask(world, "3000-asleep.localhost"), HasSubstr("The sandbox was not found"));
}

TEST(FrontDoor, ATokenCountsForOpenConnectionsAsSoonAsItIsSet) {
  World world;
  world.add_sandbox("abc");
  Server server(echo);
  Peer client = world.client();
  client.send(get(server.port()));
  EXPECT_THAT(client.read_response(), StartsWith("HTTP/1.1 200 OK"));
  world.set_ingress("abc", {"secret", ""});
  client.send("POST / HTTP/1.1\r\nHost: " + std::to_string(server.port()) +
              "-abc.localhost\r\nContent-Length: 3\r\n\r\nxyz");
  EXPECT_EQ(body_of(client.read_response()), kMissing);
  client.send(get(server.port(), "/", kToken));
  EXPECT_THAT(client.read_response(), StartsWith("HTTP/1.1 200 OK")) << "the connection goes on";
}

TEST(FrontDoor, Net66Net67Net71ServersSeeTheMaskOnRequestsAndUpgrades) {
  World world;
  world.add_sandbox("abc");
  world.set_ingress("abc", {"", "localhost:${PORT}"});
  Server server(echo);
  std::string port = std::to_string(server.port());
  for (const char* more : {"", "Connection: Upgrade\r\nUpgrade: websocket\r\n"}) {
    std::string head = body_of(ask(world, port + "-abc.localhost:7463", "/", more));
    EXPECT_THAT(head, HasSubstr("\r\nHost: localhost:" + port + "\r\n"));
    EXPECT_THAT(head, HasSubstr("\r\nX-Forwarded-Host: " + port + "-abc.localhost:7463\r\n"));
  }
}

}  // namespace
}  // namespace tests
