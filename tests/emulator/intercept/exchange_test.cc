// What passes between a client and a server whose requests are changed on their way.
#include <atomic>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/emulator/intercept/middle.h"
#include "tests/emulator/proxy/proxy_world.h"

namespace tests {
namespace {

using netfilter::egress::CloseReason;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

std::string ask(const std::string& path, const std::string& headers = "") {
  return "GET " + path + " HTTP/1.1\r\nHost: a.test\r\n" + headers + "\r\n";
}

std::string sized(const std::string& body) {
  return "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

// Answers every request with its own head.
void echo_heads(Peer& peer) {
  for (;;) {
    std::string head = peer.read_head();
    if (head.empty()) return;
    peer.send(sized(head));
  }
}

TEST(Exchange, EveryRequestOfAConnectionGetsTheHeaders) {
  Server server(echo_heads);
  Middle middle(server.port());
  middle.set({{"X-Token", "secret"}});
  Peer client = Peer::connect(middle.port());
  for (int n = 0; n < 3; ++n) {
    client.send(ask("/" + std::to_string(n), "x-token: mine\r\n"));
    EXPECT_THAT(client.read_response(),
                EndsWith("GET /" + std::to_string(n) +
                         " HTTP/1.1\r\nHost: a.test\r\nX-Token: secret\r\n\r\n"));
  }
  EXPECT_EQ(server.accepted(), 1);
  client.close();
  auto ended = middle.ended(1).front();
  EXPECT_GT(ended.sent, 100U);
  EXPECT_GT(ended.received, 100U);
  EXPECT_EQ(ended.reason, CloseReason::kEnded);
}

TEST(Exchange, ARequestForAnotherHostGetsNothing) {
  Server server(echo_heads);
  Middle middle(server.port());
  middle.set({{"X-Token", "secret"}});
  Peer client = Peer::connect(middle.port());
  for (const char* host : {"b.test", "a.test.evil", "x.a.test"}) {
    client.send("GET / HTTP/1.1\r\nHost: " + std::string(host) + "\r\n\r\n");
    EXPECT_THAT(client.read_response(), Not(HasSubstr("secret")));
  }
  // The target's host counts, not the header's.
  client.send("GET http://b.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n");
  EXPECT_THAT(client.read_response(), Not(HasSubstr("secret")));
  client.send("GET / HTTP/1.1\r\nHost: A.TEST:80\r\n\r\n");
  EXPECT_THAT(client.read_response(), HasSubstr("X-Token: secret\r\n"));
}

TEST(Exchange, PlainHttpKeepsThePlaceholder) {
  Server server(echo_heads);
  Middle middle(server.port());
  emulator::intercept::HeaderRules rules;
  const std::vector<std::string> kHosts = {"a.test"};
  rules.add_secret(kHosts, "novita_secret_00", "value");
  middle.use(std::move(rules));
  Peer client = Peer::connect(middle.port());
  client.send(ask("/", "X: novita_secret_00\r\n"));
  EXPECT_THAT(client.read_response(), HasSubstr("X: novita_secret_00\r\n"));
}

TEST(Exchange, ARequestThatCannotGoOutAsItShouldIsRefused) {
  Server server(echo_heads);
  Middle middle(server.port());
  emulator::intercept::HeaderRules rules;
  rules.add("a.test", std::nullopt, emulator::intercept::Edits{{}, {}, "no such secret"});
  middle.use(std::move(rules));
  Peer client = Peer::connect(middle.port());
  client.send(ask("/"));
  std::string answer = client.read_response();
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 502 Bad Gateway\r\n"));
  EXPECT_THAT(answer, HasSubstr("no such secret"));
  client.close();
  EXPECT_EQ(middle.ended(1).front().sent, 0U);
}

TEST(Exchange, TheNextRequestSeesTheNewRules) {
  Server server(echo_heads);
  Middle middle(server.port());
  Peer client = Peer::connect(middle.port());
  client.send(ask("/"));
  EXPECT_THAT(client.read_response(), Not(HasSubstr("X-A")));
  middle.set({{"X-A", "one"}});
  client.send(ask("/"));
  EXPECT_THAT(client.read_response(), HasSubstr("X-A: one\r\n"));
  middle.set({});
  client.send(ask("/"));
  EXPECT_THAT(client.read_response(), Not(HasSubstr("X-A")));
}

TEST(Exchange, BodiesPassAsTheyCame) {
  const std::string kChunked = "5;x=y\r\nhello\r\n0\r\nTrailer: t\r\n\r\n";
  Server server([&](Peer& peer) {
    std::string head = peer.read_head();
    std::string body = peer.read_exactly(kChunked.size());
    EXPECT_EQ(body, kChunked);
    EXPECT_THAT(head, HasSubstr("Transfer-Encoding: chunked\r\n"));
    peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body);
    head = peer.read_head();
    peer.send(sized(peer.read_exactly(300000)));
  });
  Middle middle(server.port());
  middle.set({{"A", "b"}});
  Peer client = Peer::connect(middle.port());
  client.send("POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n" + kChunked);
  EXPECT_THAT(client.read_head(), StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_EQ(client.read_exactly(kChunked.size()), kChunked);
  std::string body(300000, 'x');
  client.send("PUT / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 300000\r\n\r\n" + body);
  EXPECT_THAT(client.read_response(), EndsWith("\r\n\r\n" + body));
}

TEST(Exchange, PipelinedRequestsAreAnsweredInTheirOrder) {
  Server server(echo_heads);
  Middle middle(server.port());
  middle.set({{"A", "b"}});
  Peer client = Peer::connect(middle.port());
  std::string all;
  for (int n = 0; n < 100; ++n) all += ask("/" + std::to_string(n));
  client.send(all);
  for (int n = 0; n < 100; ++n)
    EXPECT_THAT(client.read_response(), HasSubstr("GET /" + std::to_string(n) + " HTTP/1.1\r\n"));
}

TEST(Exchange, AnAnswerToHeadHasNoBodyWhateverItsLength) {
  Server server([](Peer& peer) {
    peer.read_head();
    peer.send("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n");
    peer.read_head();
    peer.send("HTTP/1.1 304 Not Modified\r\nContent-Length: 1000\r\n\r\n");
    echo_heads(peer);
  });
  Middle middle(server.port());
  middle.set({{"A", "b"}});
  Peer client = Peer::connect(middle.port());
  client.send("HEAD / HTTP/1.1\r\nHost: a.test\r\n\r\n");
  EXPECT_THAT(client.read_head(), HasSubstr("1000"));
  client.send(ask("/cached"));
  EXPECT_THAT(client.read_head(), HasSubstr("304"));
  client.send(ask("/next"));
  EXPECT_THAT(client.read_response(), HasSubstr("/next"));
}

TEST(Exchange, AServerMaySayContinueFirst) {
  Server server([](Peer& peer) {
    EXPECT_THAT(peer.read_head(), HasSubstr("Expect: 100-continue"));
    EXPECT_EQ(peer.next_event(0.2), "nothing");
    peer.send("HTTP/1.1 100 Continue\r\n\r\n");
    EXPECT_EQ(peer.read_exactly(4), "body");
    peer.send(sized("done"));
    peer.read_all();
  });
  Middle middle(server.port());
  middle.set({{"A", "b"}});
  Peer client = Peer::connect(middle.port());
  client.send(
      "PUT / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_EQ(client.read_head(), "HTTP/1.1 100 Continue\r\n\r\n");
  client.send("body");
  EXPECT_THAT(client.read_response(), EndsWith("done"));
}

TEST(Exchange, AnUpgradeBecomesATunnel) {
  Server server([](Peer& peer) {
    EXPECT_THAT(peer.read_head(), HasSubstr("A: b\r\n"));
    peer.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\nhi");
    EXPECT_EQ(peer.read_exactly(5), "\x01\r\n\r\n");
    peer.send(std::string(200000, 'y'));
    EXPECT_EQ(peer.next_event(), "end");
    peer.send("bye");
  });
  Middle middle(server.port());
  middle.set({{"A", "b"}});
  Peer client = Peer::connect(middle.port());
  client.send(ask("/", "Connection: Upgrade\r\nUpgrade: x\r\n") + "\x01");
  EXPECT_THAT(client.read_head(), StartsWith("HTTP/1.1 101 "));
  EXPECT_EQ(client.read_exactly(2), "hi");
  client.send("\r\n\r\n");
  EXPECT_EQ(client.read_exactly(200000), std::string(200000, 'y'));
  client.finish_writing();
  EXPECT_EQ(client.read_all(), "bye");
}

TEST(Exchange, ARefusedUpgradeIsAnOrdinaryAnswer) {
  Server server(echo_heads);
  Middle middle(server.port());
  middle.set({{"A", "b"}});
  Peer client = Peer::connect(middle.port());
  client.send(ask("/one", "Connection: Upgrade\r\nUpgrade: x\r\n") + ask("/two"));
  EXPECT_THAT(client.read_response(), HasSubstr("Upgrade: x\r\n"));
  EXPECT_THAT(client.read_response(), HasSubstr("/two"));
}

TEST(Exchange, ABodyUntilTheEndOfTheConnectionEndsWithIt) {
  Server server([](Peer& peer) {
    peer.read_head();
    peer.send("HTTP/1.0 200 OK\r\n\r\nsome");
    peer.send("thing");
  });
  Middle middle(server.port());
  middle.set({{"A", "b"}});
  Peer client = Peer::connect(middle.port());
  client.send(ask("/"));
  EXPECT_THAT(client.read_all(), EndsWith("\r\n\r\nsomething"));
}

TEST(Exchange, WhatIsNotWholeLooksLikeIt) {
  Server server([](Peer& peer) {
    peer.read_head();
    peer.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
  });
  Middle middle(server.port());
  middle.set({{"A", "b"}});
  Peer client = Peer::connect(middle.port());
  client.send(ask("/"));
  client.read_head();
  EXPECT_EQ(client.read_exactly(4), "half");
  EXPECT_EQ(client.next_event(), "reset");
}

TEST(Exchange, WhatTwoReadersCouldReadDifferentlyIsRefused) {
  Server server(echo_heads);
  Middle middle(server.port());
  middle.set({{"A", "secret"}});
  for (const std::string& request : {
           std::string("GET / HTTP/1.1\r\nHost: a.test\r\nHost: b.test\r\n\r\n"),
           std::string("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 3\r\n"
                       "Transfer-Encoding: chunked\r\n\r\n"),
           std::string("GET / HTTP/1.1\r\nHost: a.test\r\n folded: x\r\n\r\n"),
           std::string("CONNECT b.test:443 HTTP/1.1\r\nHost: a.test\r\n\r\n"),
           std::string("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
           "GET /" + std::string(70000, 'x') + " HTTP/1.1\r\nHost: a.test\r\n\r\n",
       }) {
    Peer client = Peer::connect(middle.port());
    client.send(request);
    std::string answer = client.read_all();
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 400 ")) << request.substr(0, 60);
    EXPECT_THAT(answer, Not(HasSubstr("secret")));
  }
}

TEST(Exchange, AnEarlyAnswerArrivesThoughTheServerTakesNoMore) {
  Server server([](Peer& peer) {
    peer.read_head();
    peer.send("HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno");
  });
  Middle middle(server.port());
  middle.set({{"A", "b"}});
  Peer client = Peer::connect(middle.port());
  client.send("PUT / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 100000000\r\n\r\n" +
              std::string(1000, 'x'));
  EXPECT_THAT(client.read_response(), EndsWith("no"));
}

TEST(Exchange, ASlowReaderHoldsTheServerBack) {
  constexpr std::size_t kSize = 64U << 20U;
  std::atomic<std::size_t> sent = 0;
  Server server([&](Peer& peer) {
    peer.read_head();
    peer.send("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(kSize) + "\r\n\r\n");
    std::string block(1U << 20U, 'z');
    for (; sent < kSize; sent += block.size()) peer.send(block);
    peer.next_event();
  });
  Middle middle(server.port());
  middle.set({{"A", "b"}});
  Peer client = Peer::connect(middle.port());
  client.send(ask("/"));
  client.read_head();
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  EXPECT_LT(sent, kSize / 2);
  EXPECT_EQ(client.read_exactly(kSize).size(), kSize);
}

TEST(Exchange, AClientThatHasAskedMayStopSending) {
  Server server([](Peer& peer) {
    peer.read_head();
    EXPECT_EQ(peer.next_event(), "end");
    peer.send(sized("late"));
  });
  Middle middle(server.port());
  middle.set({{"A", "b"}});
  Peer client = Peer::connect(middle.port());
  client.send(ask("/"));
  client.finish_writing();
  EXPECT_THAT(client.read_all(), EndsWith("late"));
}

TEST(Exchange, ACutEndsBothSides) {
  std::promise<std::string> seen;
  Server server([&](Peer& peer) {
    peer.read_head();
    peer.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
    seen.set_value(peer.next_event());
  });
  Middle middle(server.port());
  middle.set({{"A", "b"}});
  Peer client = Peer::connect(middle.port());
  client.send(ask("/"));
  client.read_head();
  client.read_exactly(4);
  middle.cut_all();
  EXPECT_EQ(client.next_event(), "reset");
  EXPECT_EQ(seen.get_future().get(), "reset");
  EXPECT_EQ(middle.ended(1).front().reason, CloseReason::kPolicyChanged);
}

TEST(Exchange, AClientThatLeavesInTheMiddleIsGoneForTheServer) {
  std::promise<std::string> seen;
  Server server([&](Peer& peer) {
    peer.read_head();
    peer.read_exactly(4);
    seen.set_value(peer.next_event());
  });
  Middle middle(server.port());
  middle.set({{"A", "b"}});
  Peer client = Peer::connect(middle.port());
  client.send("PUT / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 10\r\n\r\nhalf");
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  client.close(true);
  EXPECT_EQ(seen.get_future().get(), "reset");
}

}  // namespace
}  // namespace tests
