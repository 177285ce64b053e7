// The relay through real sockets: client, front door, server.
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/emulator/proxy/proxy_world.h"

namespace tests {
namespace {

using std::chrono::steady_clock;
using testing::AllOf;
using testing::AnyOf;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

// Answers every request with its own head; the path is the body.
void echo_heads(Peer& peer) {
  for (;;) {
    std::string head = peer.read_head();
    if (head.empty()) return;
    peer.send("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(head.size()) + "\r\n\r\n" +
              head);
  }
}

// Answers one fixed text to each request head.
Server::Serve always(std::string answer, bool close = false) {
  return [answer, close](Peer& peer) {
    while (!peer.read_head().empty()) {
      peer.send(answer);
      if (close) return;
    }
  };
}

struct RelayTest : testing::Test {
  RelayTest() { world.add_sandbox("abc"); }
  World world;
};

TEST_F(RelayTest, ServesManyRequestsOverOneConnectionAndOneDial) {
  Server server(echo_heads);
  Peer client = world.client();
  for (int n = 0; n < 5; ++n) {
    client.send(get(server.port(), "/n" + std::to_string(n)));
    std::string answer = client.read_response();
    EXPECT_THAT(answer, HasSubstr("GET /n" + std::to_string(n) + " HTTP/1.1\r\n"));
  }
  EXPECT_EQ(server.accepted(), 1);
  EXPECT_EQ(world.routed, 1);
}

TEST_F(RelayTest, AnIdleUpstreamServesTheNextClient) {
  Server server(echo_heads);
  for (int n = 0; n < 3; ++n) {
    Peer client = world.client();
    client.send(get(server.port()));
    EXPECT_THAT(client.read_response(), StartsWith("HTTP/1.1 200 OK"));
  }
  EXPECT_EQ(server.accepted(), 1);
}

TEST_F(RelayTest, AnswersPipelinedRequestsInOrder) {
  Server server(echo_heads);
  Peer client = world.client();
  client.send(get(server.port(), "/1") + get(server.port(), "/2") + get(server.port(), "/3"));
  for (int n = 1; n <= 3; ++n)
    EXPECT_THAT(client.read_response(), HasSubstr("GET /" + std::to_string(n) + " "));
}

TEST_F(RelayTest, RewritesTheRequestHeadOnlyAsAProxyMust) {
  Server server(echo_heads);
  Peer client = world.client();
  client.send(get(
      server.port(), "/a%20b?q=1",
      "Connection: keep-alive, X-Mine\r\nKeep-Alive: 5\r\nX-Mine: 1\r\nX-Forwarded-For: 1.2.3.4\r\n"
      "X-Forwarded-Host: evil\r\nX-Forwarded-Proto: https\r\nForwarded: for=1\r\nTE: trailers, "
      "gzip\r\n"
      "Proxy-Authorization: x\r\nX-Other: yes\r\nAccept: */*\r\nOrigin: http://o\r\n"));
  std::string head = client.read_response();
  head = head.substr(head.find("\r\n\r\n") + 4);
  EXPECT_EQ(head, "GET /a%20b?q=1 HTTP/1.1\r\nHost: " + std::to_string(server.port()) +
                      "-abc.localhost\r\nX-Other: yes\r\nAccept: */*\r\nOrigin: http://o\r\nTE: "
                      "trailers\r\n\r\n");
}

TEST_F(RelayTest, RoutingHeadersAreIgnoredOnSandboxHostsAndPassedOn) {
  Server server(echo_heads);
  Peer client = world.client();
  client.send(get(server.port(), "/", "E2b-Sandbox-Id: other\r\nE2b-Sandbox-Port: 1\r\n"));
  EXPECT_THAT(client.read_response(), HasSubstr("E2b-Sandbox-Id: other\r\n"));
}

TEST_F(RelayTest, RoutesByHeadersOnAGenericHost) {
  Server server(echo_heads);
  Peer client = world.client();
  client.send(
      "GET /h HTTP/1.1\r\nHost: localhost:7463\r\nNovita-Sandbox-Id: abc\r\nNovita-Sandbox-Port: " +
      std::to_string(server.port()) + "\r\n\r\n");
  EXPECT_THAT(client.read_response(), HasSubstr("GET /h HTTP/1.1\r\nHost: localhost:7463\r\n"));
}

TEST_F(RelayTest, PassesChunkBytesAndTrailersUnchangedBothWays) {
  std::string chunks = "3;ext=1\r\nabc\r\n00a\r\n0123456789\r\n0\r\nX-Sum: 7\r\nX-Two: 2\r\n\r\n";
  Server server([&](Peer& peer) {
    std::string head = peer.read_head();
    EXPECT_THAT(head, HasSubstr("Transfer-Encoding: chunked\r\n"));
    EXPECT_EQ(peer.read_until("\r\n0\r\nX-Sum: 7\r\nX-Two: 2\r\n\r\n"), chunks);
    peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n" + chunks);
    echo_heads(peer);
  });
  Peer client = world.client();
  client.send("POST / HTTP/1.1\r\nHost: " + std::to_string(server.port()) +
              "-abc.localhost\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks);
  EXPECT_THAT(client.read_head(), HasSubstr("Trailer: X-Sum\r\nTransfer-Encoding: chunked\r\n"));
  EXPECT_EQ(client.read_exactly(chunks.size()), chunks);
  client.send(get(server.port(), "/next"));
  EXPECT_THAT(client.read_response(), HasSubstr("GET /next"));
}

TEST_F(RelayTest, MessagesMayArriveInAnyPieces) {
  auto in_pieces = [](Peer& peer, const std::string& bytes, std::size_t size) {
    int on = 1;
    setsockopt(peer.fd(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    for (std::size_t at = 0; at < bytes.size(); at += size) {
      peer.send(std::string_view(bytes).substr(at, size));
      std::this_thread::sleep_for(std::chrono::microseconds(300));
    }
  };
  std::string chunks = "3;a\r\nabc\r\n1\r\nd\r\n0\r\nX-T: 1\r\n\r\n";
  for (std::size_t size : {1U, 2U, 3U, 7U}) {
    Server server([&](Peer& peer) {
      peer.read_until("X-T: 1\r\n\r\n");
      in_pieces(peer, "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n", size);
      in_pieces(peer, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks, size);
      peer.read_all();
    });
    Peer client = world.client();
    in_pieces(client,
              "\r\nPOST / HTTP/1.1\r\nHost: " + std::to_string(server.port()) +
                  "-abc.localhost\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks,
              size);
    EXPECT_EQ(client.read_head(), "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n");
    EXPECT_EQ(client.read_head(), "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    EXPECT_EQ(client.read_exactly(chunks.size()), chunks);
  }
}

TEST_F(RelayTest, HeadAnswersHaveNoBodyWhateverTheyAnnounce) {
  Server server(always("HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n"));
  Peer client = world.client();
  for (int n = 0; n < 2; ++n) {
    client.send("HEAD / HTTP/1.1\r\nHost: " + std::to_string(server.port()) +
                "-abc.localhost\r\n\r\n");
    EXPECT_EQ(client.read_head(), "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n");
  }
}

TEST_F(RelayTest, NoContentAndNotModifiedHaveNoBody) {
  for (std::string line : {"204 No Content", "304 Not Modified"}) {
    Server server(always("HTTP/1.1 " + line + "\r\nETag: x\r\n\r\n"));
    Peer client = world.client();
    for (int n = 0; n < 2; ++n) {
      client.send(get(server.port()));
      EXPECT_EQ(client.read_head(), "HTTP/1.1 " + line + "\r\nETag: x\r\n\r\n");
    }
    EXPECT_EQ(server.accepted(), 1);
  }
}

TEST_F(RelayTest, ContinueIsTheServersToGive) {
  Server server([](Peer& peer) {
    EXPECT_THAT(peer.read_head(), HasSubstr("Expect: 100-continue\r\n"));
    EXPECT_EQ(peer.next_event(0.1), "nothing");
    peer.send("HTTP/1.1 100 Continue\r\n\r\n");
    EXPECT_EQ(peer.read_exactly(4), "body");
    peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    peer.read_all();
  });
  Peer client = world.client();
  client.send("PUT / HTTP/1.1\r\nHost: " + std::to_string(server.port()) +
              "-abc.localhost\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n");
  EXPECT_EQ(client.read_head(), "HTTP/1.1 100 Continue\r\n\r\n");
  client.send("body");
  EXPECT_EQ(client.read_response(), "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
}

TEST_F(RelayTest, AFinalAnswerInPlaceOfContinueEndsTheConnection) {
  Server server(always("HTTP/1.1 413 Too Big\r\nContent-Length: 2\r\n\r\nno"));
  Peer client = world.client();
  client.send("PUT / HTTP/1.1\r\nHost: " + std::to_string(server.port()) +
              "-abc.localhost\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n");
  EXPECT_EQ(client.read_response(),
            "HTTP/1.1 413 Too Big\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno");
  EXPECT_EQ(client.next_event(), "end");
}

TEST_F(RelayTest, AnOldServersBodyUntilCloseBecomesChunked) {
  Server server(always("HTTP/1.0 200 OK\r\nServer: SimpleHTTP\r\n\r\nhello", true));
  Peer client = world.client();
  for (int n = 0; n < 2; ++n) {
    client.send(get(server.port()));
    EXPECT_EQ(client.read_head(),
              "HTTP/1.1 200 OK\r\nServer: SimpleHTTP\r\nTransfer-Encoding: chunked\r\n\r\n");
    EXPECT_EQ(client.read_until("0\r\n\r\n"), "5\r\nhello\r\n0\r\n\r\n");
  }
  EXPECT_EQ(server.accepted(), 2);
}

TEST_F(RelayTest, AnOldServerWithALengthKeepsTheClientsConnection) {
  Server server(always("HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", true));
  Peer client = world.client();
  for (int n = 0; n < 3; ++n) {
    client.send(get(server.port()));
    EXPECT_EQ(client.read_response(), "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
  }
}

TEST_F(RelayTest, AnOldClientGetsAPlainBodyAndTheEnd) {
  Server server(always(
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n3\r\n wo\r\n0\r\n\r\n"));
  Peer client = world.client();
  client.send("GET / HTTP/1.0\r\nHost: " + std::to_string(server.port()) +
              "-abc.localhost\r\n\r\n");
  EXPECT_EQ(client.read_all(), "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello wo");
}

TEST_F(RelayTest, TunnelsAnUpgradeBothWays) {
  Server server([](Peer& peer) {
    std::string head = peer.read_head();
    EXPECT_THAT(head, HasSubstr("Connection: Upgrade\r\nUpgrade: websocket\r\n"));
    EXPECT_THAT(head, HasSubstr("Sec-WebSocket-Key: k\r\n"));
    peer.send(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: "
        "Upgrade\r\n\r\nhello");
    for (;;) {
      std::string bytes = peer.read_exactly(1024);
      if (bytes.empty()) break;
      peer.send(bytes);
    }
    // The half-close came through, and the other half still works.
    peer.send("bye");
  });
  Peer client = world.client();
  client.send(
      get(server.port(), "/ws",
          "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k\r\n") +
      std::string(1024, 'e'));
  EXPECT_EQ(
      client.read_head(),
      "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
  EXPECT_EQ(client.read_exactly(5), "hello");
  EXPECT_EQ(client.read_exactly(1024), std::string(1024, 'e'));
  std::string megabyte(1U << 20U, 'x');
  for (std::size_t n = 0; n < megabyte.size(); ++n) megabyte[n] = static_cast<char>('a' + n % 23);
  std::thread writer([&] {
    client.send(megabyte);
    client.finish_writing();
  });
  EXPECT_EQ(client.read_exactly(megabyte.size()), megabyte);
  writer.join();
  EXPECT_EQ(client.read_all(), "bye");
}

TEST_F(RelayTest, EventsOfAStreamArriveAsTheyAreSent) {
  std::promise<void> first_seen;
  std::promise<void> second_seen;
  Server server([&](Peer& peer) {
    peer.read_head();
    peer.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n");
    peer.send("data: 1\n\n");
    first_seen.get_future().wait();
    peer.send("data: 2\n\n");
    second_seen.get_future().wait();
  });
  Peer client = world.client();
  client.send(get(server.port()));
  client.read_head();
  EXPECT_EQ(client.read_until("\n\n"), "9\r\ndata: 1\n\n");
  first_seen.set_value();
  EXPECT_EQ(client.read_until("data: 2\n\n"), "\r\n9\r\ndata: 2\n\n");
  second_seen.set_value();
  EXPECT_EQ(client.read_until("0\r\n\r\n"), "\r\n0\r\n\r\n");
}

TEST_F(RelayTest, AnUploadGoesOnWhileItsResponseStreams) {
  constexpr std::size_t kSize = 24U << 20U;
  Server server([&](Peer& peer) {
    peer.read_head();
    peer.send("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(kSize) + "\r\n\r\n");
    std::size_t seen = 0;
    while (seen < kSize) {
      std::string bytes = peer.read_exactly(std::min<std::size_t>(65536, kSize - seen));
      if (bytes.empty()) return;
      seen += bytes.size();
      peer.send(bytes);
    }
    echo_heads(peer);
  });
  Peer client = world.client();
  std::string block(1U << 20U, 'z');
  std::thread writer([&] {
    client.send("POST / HTTP/1.1\r\nHost: " + std::to_string(server.port()) +
                "-abc.localhost\r\nContent-Length: " + std::to_string(kSize) + "\r\n\r\n");
    for (std::size_t n = 0; n < kSize / block.size(); ++n) client.send(block);
  });
  client.read_head();
  EXPECT_EQ(client.read_exactly(kSize).size(), kSize);
  writer.join();
  client.send(get(server.port(), "/after"));
  EXPECT_THAT(client.read_response(), HasSubstr("GET /after"));
}

TEST_F(RelayTest, ALargeDownloadArrivesWhole) {
  std::string body(48U << 20U, 'q');
  for (std::size_t n = 0; n < body.size(); n += 997) body[n] = static_cast<char>('a' + n % 19);
  Server server([&](Peer& peer) {
    peer.read_head();
    peer.send("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n");
    peer.send(body);
    peer.read_all();
  });
  Peer client = world.client();
  client.send(get(server.port()));
  client.read_head();
  EXPECT_TRUE(client.read_exactly(body.size()) == body);
}

// Bytes that tell where they were.
std::string pattern(std::size_t size) {
  std::string text(size, '\0');
  for (std::size_t n = 0; n < size; ++n) text[n] = static_cast<char>(n * 2654435761U >> 11U);
  return text;
}

TEST_F(RelayTest, ALargeUploadArrivesWholeAndNotAByteOfTheNextRequestWithIt) {
  const std::string body = pattern(24U << 20U);
  std::string arrived;
  Server server([&](Peer& peer) {
    peer.read_head();
    arrived = peer.read_exactly(body.size());
    peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    echo_heads(peer);
  });
  Peer client = world.client();
  std::thread writer([&] {
    client.send("PUT / HTTP/1.1\r\nHost: " + std::to_string(server.port()) +
                "-abc.localhost\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n");
    client.send(body + get(server.port(), "/next"));
  });
  EXPECT_THAT(client.read_response(), HasSubstr("ok"));
  EXPECT_TRUE(arrived == body);
  EXPECT_THAT(client.read_response(), HasSubstr("GET /next"));
  writer.join();
}

TEST_F(RelayTest, ATunnelCarriesBulkBothWaysAtOnce) {
  const std::string up = pattern(16U << 20U);
  const std::string down = pattern(20U << 20U);
  std::string arrived;
  Server server([&](Peer& peer) {
    peer.read_head();
    peer.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n");
    std::thread writer([&] { peer.send(down); });
    arrived = peer.read_exactly(up.size());
    writer.join();
    // The half-close came through, and the other half still works.
    if (peer.next_event() == "end") peer.send("bye");
  });
  Peer client = world.client();
  client.send(get(server.port(), "/ws", "Connection: Upgrade\r\nUpgrade: x\r\n"));
  client.read_head();
  std::thread writer([&] { client.send(up); });
  EXPECT_TRUE(client.read_exactly(down.size()) == down);
  writer.join();
  client.finish_writing();
  EXPECT_EQ(client.read_all(), "bye");
  EXPECT_TRUE(arrived == up);
}

TEST_F(RelayTest, BulkThatBreaksOffLooksBrokenOff) {
  Server server([](Peer& peer) {
    peer.read_head();
    peer.send("HTTP/1.1 200 OK\r\nContent-Length: 50000000\r\n\r\n" + std::string(100000, 'x'));
  });
  Peer client = world.client();
  client.send(get(server.port()));
  client.read_head();
  EXPECT_EQ(client.read_exactly(100000).size(), 100000U);
  EXPECT_EQ(client.next_event(), "end");
}

TEST_F(RelayTest, AClientThatLeavesInTheMiddleOfBulkEndsItsRequest) {
  std::promise<void> ended;
  Server server([&](Peer& peer) {
    peer.read_head();
    peer.send("HTTP/1.1 200 OK\r\nContent-Length: 4000000000\r\n\r\n");
    std::string block(1U << 20U, 'x');
    while (::send(peer.fd(), block.data(), block.size(), MSG_NOSIGNAL) > 0) {
    }
    ended.set_value();
  });
  Peer client = world.client();
  client.send(get(server.port()));
  client.read_head();
  client.read_exactly(8U << 20U);
  client.close();
  EXPECT_EQ(ended.get_future().wait_for(std::chrono::seconds(5)), std::future_status::ready);
}

TEST_F(RelayTest, KillEndsABulkUploadAndABulkDownload) {
  Server server([](Peer& peer) {
    peer.read_head();
    peer.send("HTTP/1.1 200 OK\r\nContent-Length: 4000000000\r\n\r\n" +
              std::string(1U << 20U, 'x'));
    peer.read_all();
  });
  Peer client = world.client();
  client.send("POST / HTTP/1.1\r\nHost: " + std::to_string(server.port()) +
              "-abc.localhost\r\nContent-Length: 4000000000\r\n\r\n");
  client.send(std::string(1U << 20U, 'y'));
  client.read_head();
  EXPECT_EQ(client.read_exactly(1U << 20U).size(), 1U << 20U);
  world.kill("abc");
  // A reset if something of the upload was not read yet: that is the kernel's way.
  EXPECT_THAT(client.next_event(), AnyOf("end", "reset"));
}

TEST_F(RelayTest, AnEarlyAnswerInTheMiddleOfABulkUploadArrives) {
  Server server([](Peer& peer) {
    peer.read_head();
    peer.read_exactly(1U << 20U);
    peer.send("HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno");
    peer.finish_writing();
    peer.read_all();
  });
  Peer client = world.client();
  client.send("POST / HTTP/1.1\r\nHost: " + std::to_string(server.port()) +
              "-abc.localhost\r\nContent-Length: 100000000\r\n\r\n");
  client.send(std::string(1U << 20U, 'x'));
  EXPECT_THAT(client.read_response(), StartsWith("HTTP/1.1 413"));
  EXPECT_EQ(client.next_event(), "end");
}

TEST_F(RelayTest, AnEarlyAnswerWithCloseEndsAnUnfinishedUpload) {
  Server server([](Peer& peer) {
    peer.read_head();
    peer.send("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno");
    peer.finish_writing();
    peer.read_exactly(1000);
  });
  Peer client = world.client();
  client.send("POST / HTTP/1.1\r\nHost: " + std::to_string(server.port()) +
              "-abc.localhost\r\nContent-Length: 1000000\r\n\r\n" + std::string(1000, 'x'));
  EXPECT_EQ(client.read_response(),
            "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno");
  EXPECT_EQ(client.next_event(), "end");
}

TEST_F(RelayTest, ASlowReaderHoldsTheServerBack) {
  std::atomic<std::size_t> sent = 0;
  Server server([&](Peer& peer) {
    peer.read_head();
    peer.send("HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n");
    peer.set_limit(1);
    std::string block(65536, 'b');
    while (sent < 100000000) {
      ssize_t count = ::send(peer.fd(), block.data(), block.size(), MSG_NOSIGNAL);
      if (count <= 0) return;
      sent += static_cast<std::size_t>(count);
    }
  });
  Peer client = world.client();
  client.send(get(server.port()));
  client.read_head();
  std::size_t before = 0;
  for (int quiet = 0; quiet < 3;) {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    std::size_t now = sent;
    quiet = now == before ? quiet + 1 : 0;
    before = now;
  }
  EXPECT_LT(sent, 40000000U);
}

TEST_F(RelayTest, WaitsForAServerThatIsStillStarting) {
  std::uint16_t port = free_port();
  Peer client = world.client();
  client.send(get(port, "/early"));
  EXPECT_EQ(client.next_event(0.8), "nothing");
  Server server(echo_heads, port);
  EXPECT_THAT(client.read_response(), HasSubstr("GET /early"));
}

TEST_F(RelayTest, AClosedPortIsReportedAfterTheBudget) {
  std::uint16_t port = free_port();
  Peer client = world.client();
  auto started = steady_clock::now();
  client.send(get(port));
  std::string answer = client.read_response();
  auto took = steady_clock::now() - started;
  EXPECT_THAT(
      answer,
      StartsWith("HTTP/1.1 502 Bad Gateway\r\nContent-Type: application/json; charset=utf-8\r\n"));
  EXPECT_THAT(
      answer,
      HasSubstr(
          "{\"sandboxId\":\"abc\",\"message\":\"The sandbox is running but port is not open\","
          "\"port\":" +
          std::to_string(port) + ",\"code\":502}"));
  EXPECT_GE(took, std::chrono::milliseconds(1900));
  EXPECT_LE(took, std::chrono::milliseconds(3500));
  // And the connection goes on.
  Server server(echo_heads);
  client.send(get(server.port()));
  EXPECT_THAT(client.read_response(), StartsWith("HTTP/1.1 200 OK"));
}

TEST_F(RelayTest, APortThatCannotBeIsClosedAtOnce) {
  Peer client = world.client();
  client.send("GET / HTTP/1.1\r\nHost: 70000-abc.localhost\r\n\r\n");
  client.set_limit(1);
  EXPECT_THAT(client.read_response(), HasSubstr("\"port\":70000,"));
}

TEST_F(RelayTest, ReachesAServerThatListensOnV6Only) {
  Server server(echo_heads, 0, true);
  Peer client = world.client();
  client.send(get(server.port(), "/six"));
  EXPECT_THAT(client.read_response(), HasSubstr("GET /six"));
}

TEST_F(RelayTest, DialingStopsWhenTheSandboxDies) {
  std::uint16_t port = free_port();
  Peer client = world.client();
  client.send(get(port));
  EXPECT_EQ(client.next_event(0.2), "nothing");
  auto started = steady_clock::now();
  world.kill("abc");
  EXPECT_THAT(client.read_response(), HasSubstr("The sandbox was not found"));
  EXPECT_LT(steady_clock::now() - started, std::chrono::milliseconds(500));
}

TEST_F(RelayTest, KillBreaksOffAStreamInTheMiddle) {
  Server server([](Peer& peer) {
    peer.read_head();
    peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
    peer.read_all();
  });
  auto life = world.add_sandbox("abc");
  Peer client = world.client();
  client.send(get(server.port()));
  client.read_until("hello\r\n");
  auto started = steady_clock::now();
  world.kill("abc");
  // No last chunk; and no reset, which clients report as something else than a response cut short.
  EXPECT_EQ(client.next_event(), "end");
  EXPECT_LT(steady_clock::now() - started, std::chrono::seconds(1));
  world.on_loop([&] { EXPECT_EQ(life->size(), 0U); });
}

TEST_F(RelayTest, KillResetsAStreamWhoseEndIsTheEndOfTheConnection) {
  Server server([](Peer& peer) {
    peer.read_head();
    peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
    peer.read_all();
  });
  Peer client = world.client();
  client.send("GET / HTTP/1.0\r\nHost: " + std::to_string(server.port()) +
              "-abc.localhost\r\n\r\n");
  client.read_until("hello");
  world.kill("abc");
  EXPECT_EQ(client.next_event(), "reset");
}

// Sends its request to a server that never answers; returns once the server has it.
struct Unanswered {
  explicit Unanswered(World& world, const std::string& body_headers = "")
      : server([this](Peer& peer) {
          peer.read_head();
          asked.set_value();
          peer.read_all();
        }),
        client(world.client()) {
    client.send(get(server.port(), "/", body_headers));
    asked.get_future().wait();
  }
  std::promise<void> asked;
  Server server;
  Peer client;
};

TEST_F(RelayTest, KillAnswersARequestThatHasNoAnswerYet) {
  Unanswered request(world);
  world.kill("abc");
  EXPECT_THAT(request.client.read_response(),
              AllOf(StartsWith("HTTP/1.1 502 "), HasSubstr("The sandbox was not found")));
  EXPECT_EQ(request.client.next_event(), "end");
}

TEST_F(RelayTest, KillAnswersARequestInTheMiddleOfItsBody) {
  Unanswered request(world, "Content-Length: 1000\r\n");
  request.client.send(std::string(10, 'x'));
  world.kill("abc");
  EXPECT_THAT(request.client.read_response(),
              AllOf(StartsWith("HTTP/1.1 502 "), HasSubstr("The sandbox was not found")));
}

TEST_F(RelayTest, AnInjectedResetIsAResetEverywhere) {
  Server server([](Peer& peer) {
    peer.read_head();
    peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
    peer.read_all();
  });
  auto life = world.add_sandbox("abc");
  Unanswered request(world);
  Peer client = world.client();
  client.send(get(server.port()));
  client.read_until("hello\r\n");
  world.on_loop([&] { life->reset_all(); });
  EXPECT_EQ(client.next_event(), "reset");
  EXPECT_EQ(request.client.next_event(), "reset");
}

TEST_F(RelayTest, KillResetsATunnel) {
  Server server([](Peer& peer) {
    peer.read_head();
    peer.send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n");
    peer.read_all();
  });
  Peer client = world.client();
  client.send(get(server.port(), "/", "Connection: Upgrade\r\nUpgrade: x\r\n"));
  client.read_head();
  world.kill("abc");
  EXPECT_EQ(client.next_event(), "reset");
}

TEST_F(RelayTest, KillLeavesAnIdleConnectionUsable) {
  Server server(echo_heads);
  Peer client = world.client();
  client.send(get(server.port()));
  client.read_response();
  world.kill("abc");
  client.send(get(server.port()));
  EXPECT_THAT(client.read_response(), HasSubstr("The sandbox was not found"));
  world.add_sandbox("abc");
  client.send(get(server.port()));
  EXPECT_THAT(client.read_response(), StartsWith("HTTP/1.1 200 OK"));
  EXPECT_EQ(server.accepted(), 2);
}

TEST_F(RelayTest, AServerThatDiesBeforeItsAnswerIsABadGateway) {
  Server server([](Peer& peer) { peer.read_head(); });
  Peer client = world.client();
  client.send(get(server.port()));
  EXPECT_EQ(client.read_response(),
            "HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/plain; "
            "charset=utf-8\r\nX-Content-Type-Options: "
            "nosniff\r\nContent-Length: 35\r\nConnection: close\r\n\r\nFailed to route request to "
            "sandbox\n");
  EXPECT_EQ(server.accepted(), 1);
}

TEST_F(RelayTest, AServerThatSpeaksNonsenseIsABadGateway) {
  Server server(always("SSH-2.0-OpenSSH_9.2\r\n\r\n"));
  Peer client = world.client();
  client.send(get(server.port()));
  EXPECT_THAT(client.read_response(), HasSubstr("Failed to route request to sandbox\n"));
}

TEST_F(RelayTest, AServerThatDiesInTheMiddleEndsTheConnection) {
  Server server([](Peer& peer) {
    peer.read_head();
    peer.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
  });
  Peer client = world.client();
  client.send(get(server.port()));
  client.read_until("half");
  EXPECT_EQ(client.next_event(), "end");
}

TEST_F(RelayTest, AKeptConnectionThatDiedIsReplacedUnnoticed) {
  std::atomic<int> served = 0;
  // Closes each connection when it is asked a second time.
  Server server([&](Peer& peer) {
    peer.read_head();
    ++served;
    peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    peer.read_head();
  });
  Peer client = world.client();
  for (int n = 0; n < 3; ++n) {
    client.send("POST / HTTP/1.1\r\nHost: " + std::to_string(server.port()) +
                "-abc.localhost\r\nContent-Length: 4\r\n\r\nbody");
    EXPECT_EQ(client.read_response(), "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
  }
  EXPECT_EQ(served, 3);
}

TEST_F(RelayTest, AServerThatServesOneConnectionAtATimeServesEverybody) {
  std::mutex one_at_a_time;
  Server server([&](Peer& peer) {
    std::lock_guard lock(one_at_a_time);
    echo_heads(peer);
  });
  auto started = steady_clock::now();
  std::vector<std::thread> threads;
  for (int n = 0; n < 6; ++n) {
    threads.emplace_back([&] {
      Peer client = world.client();
      for (int turn = 0; turn < 2; ++turn) {
        client.send(get(server.port()));
        EXPECT_THAT(client.read_response(), StartsWith("HTTP/1.1 200 OK"));
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_LT(steady_clock::now() - started, std::chrono::seconds(1));
}

TEST_F(RelayTest, AClientThatLeavesEndsItsRequest) {
  std::promise<std::string> end;
  Server server([&](Peer& peer) {
    peer.read_head();
    end.set_value(peer.next_event());
  });
  {
    Peer client = world.client();
    client.send(get(server.port()));
    while (server.accepted() == 0) std::this_thread::yield();
  }
  EXPECT_NE(end.get_future().get(), "nothing");
}

TEST_F(RelayTest, AClientThatLeavesInTheMiddleOfAnUploadEndsItsRequest) {
  std::promise<std::string> end;
  Server server([&](Peer& peer) {
    peer.read_head();
    peer.read_exactly(10);
    end.set_value(peer.next_event());
  });
  {
    Peer client = world.client();
    client.send("POST / HTTP/1.1\r\nHost: " + std::to_string(server.port()) +
                "-abc.localhost\r\nContent-Length: 100\r\n\r\n0123456789");
    while (server.accepted() == 0) std::this_thread::yield();
  }
  EXPECT_EQ(end.get_future().get(), "reset");
}

TEST_F(RelayTest, ConnectionsOverTheLimitAreRefused) {
  emulator::proxy::FrontDoorOptions options;
  options.limits.connections = 1;
  World small(options);
  small.add_sandbox("abc");
  Server server(echo_heads);
  Peer first = small.client();
  first.send(get(server.port()));
  EXPECT_THAT(first.read_response(), StartsWith("HTTP/1.1 200 OK"));
  Peer second = small.client();
  second.send(get(server.port()));
  EXPECT_THAT(second.read_response(),
              HasSubstr("{\"sandboxId\":\"abc\",\"message\":\"The sandbox has too many concurrent "
                        "incoming connections "
                        "(limit: 1)\",\"code\":429,\"connectionLimit\":1}"));
  first.close();
  // Its place is free again once the door has seen it go.
  std::string answer;
  for (int n = 0; n < 100 && !answer.starts_with("HTTP/1.1 200"); ++n) {
    second.send(get(server.port()));
    answer = second.read_response();
  }
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK"));
}

TEST_F(RelayTest, AKilledSandboxesNamespaceIsNotHeldByIdleClients) {
  auto netns = std::make_shared<const base::UniqueFd>(::dup(0));
  world.set_netns("abc", netns);
  Server server(echo_heads);
  Peer client = world.client();
  client.send(get(server.port()));
  client.read_response();
  world.kill("abc");
  EXPECT_EQ(netns.use_count(), 1);
}

}  // namespace
}  // namespace tests
