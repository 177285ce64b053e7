// https through the front door, with OpenSSL's own client and checks.
#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "emulator/base/ids.h"
#include "emulator/proxy/certificate_authority.h"
#include "tests/emulator/proxy/proxy_world.h"

namespace tests {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::StartsWith;

class TlsClient {
 public:
  // `sni` "" sends none; `expected` is the name or address that the certificate must be for.
  TlsClient(std::uint16_t port,
            const fs::path& ca,
            const std::string& sni,
            const std::string& expected)
      : context_(SSL_CTX_new(TLS_client_method())), peer_(Peer::connect(port)) {
    SSL_CTX_load_verify_file(context_, ca.c_str());
    SSL_CTX_set_verify(context_, SSL_VERIFY_PEER, nullptr);
    ssl_ = SSL_new(context_);
    SSL_set_fd(ssl_, peer_.fd());
    if (!sni.empty()) SSL_set_tlsext_host_name(ssl_, sni.c_str());
    X509_VERIFY_PARAM* parameters = SSL_get0_param(ssl_);
    if (X509_VERIFY_PARAM_set1_ip_asc(parameters, expected.c_str()) != 1)
      SSL_set1_host(ssl_, expected.c_str());
    const unsigned char protocols[] = "\x02h2\x08http/1.1";
    SSL_set_alpn_protos(ssl_, protocols, sizeof(protocols) - 1);
    connected_ = SSL_connect(ssl_) == 1;
  }
  ~TlsClient() {
    SSL_free(ssl_);
    SSL_CTX_free(context_);
  }
  bool connected() const { return connected_; }
  long verify_result() const { return SSL_get_verify_result(ssl_); }
  std::string protocol() const {
    const unsigned char* name = nullptr;
    unsigned int size = 0;
    SSL_get0_alpn_selected(ssl_, &name, &size);
    return {reinterpret_cast<const char*>(name), size};
  }
  void send(std::string_view bytes) {
    EXPECT_GT(SSL_write(ssl_, bytes.data(), static_cast<int>(bytes.size())), 0);
  }
  std::string read_exactly(std::size_t count) {
    std::string out;
    while (out.size() < count) {
      std::string chunk(std::min<std::size_t>(count - out.size(), 65536), 0);
      int got = SSL_read(ssl_, chunk.data(), static_cast<int>(chunk.size()));
      if (got <= 0) break;
      out.append(chunk, 0, static_cast<std::size_t>(got));
    }
    return out;
  }
  std::string read_until(const std::string& mark) {
    std::string out;
    while (out.find(mark) == std::string::npos) {
      std::string byte = read_exactly(1);
      if (byte.empty()) break;
      out += byte;
    }
    return out;
  }
  // How the connection goes on: "data", "closed" (with close_notify), "broken".
  std::string next_event() {
    char byte = 0;
    int got = SSL_read(ssl_, &byte, 1);
    if (got > 0) return "data";
    return SSL_get_error(ssl_, got) == SSL_ERROR_ZERO_RETURN ? "closed" : "broken";
  }
  void finish_writing() { SSL_shutdown(ssl_); }

 private:
  SSL_CTX* context_;
  SSL* ssl_ = nullptr;
  Peer peer_;
  bool connected_ = false;
};

struct TlsTest : testing::Test {
  TlsTest() {
    fs::create_directories(root);
    authority = *emulator::proxy::CertificateAuthority::open(root / "ca", {});
    context = *emulator::proxy::TlsContext::create(*authority);
    world = std::make_unique<World>(emulator::proxy::FrontDoorOptions{}, context.get());
    world->add_sandbox("abc");
  }
  ~TlsTest() override {
    world.reset();
    fs::remove_all(root);
  }
  fs::path ca() const { return authority->certificate_file(); }
  fs::path root = fs::temp_directory_path() / ("sandlot-tls-" + base::random_id(8));
  std::unique_ptr<emulator::proxy::CertificateAuthority> authority;
  std::unique_ptr<emulator::proxy::TlsContext> context;
  std::unique_ptr<World> world;
};

TEST_F(TlsTest, OnePortServesBothHttpsAndHttp) {
  Server server([](Peer& peer) {
    while (!peer.read_head().empty())
      peer.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
  });
  std::string host = std::to_string(server.port()) + "-abc.localhost";
  TlsClient secure(world->port(), ca(), host, host);
  ASSERT_TRUE(secure.connected());
  EXPECT_EQ(secure.protocol(), "http/1.1");
  Peer plain = world->client();
  for (int n = 0; n < 3; ++n) {
    secure.send(get(server.port()));
    EXPECT_EQ(secure.read_until("hello"), "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
    plain.send(get(server.port()));
    EXPECT_EQ(plain.read_response(), "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
  }
}

TEST_F(TlsTest, TheControlPlaneSpeaksTlsToo) {
  TlsClient client(world->port(), ca(), "api.localhost", "api.localhost");
  ASSERT_TRUE(client.connected());
  for (int n = 0; n < 2; ++n) {
    client.send("POST /sandboxes HTTP/1.1\r\nHost: api.localhost\r\nContent-Length: 2\r\n\r\n{}");
    EXPECT_THAT(client.read_until("{}"), HasSubstr("cloud POST /sandboxes {}"));
  }
}

TEST_F(TlsTest, ACertificateIsRefusedForAnotherName) {
  TlsClient client(world->port(), ca(), "3000-abc.localhost", "3001-abc.localhost");
  EXPECT_FALSE(client.connected());
  EXPECT_EQ(client.verify_result(), X509_V_ERR_HOSTNAME_MISMATCH);
}

TEST_F(TlsTest, ForeignNamesAreTurnedAway) {
  TlsClient client(world->port(), ca(), "example.com", "example.com");
  EXPECT_FALSE(client.connected());
  EXPECT_EQ(ERR_GET_REASON(ERR_peek_last_error()), SSL_R_TLSV1_UNRECOGNIZED_NAME);
}

TEST_F(TlsTest, AnAddressNeedsNoName) {
  TlsClient client(world->port(), ca(), "", "127.0.0.1");
  EXPECT_TRUE(client.connected());
  client.send("GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
  EXPECT_THAT(client.read_until("\r\n"), StartsWith("HTTP/1.1 201"));
}

TEST_F(TlsTest, BulkGoesBothWaysThroughATunnel) {
  Server server([](Peer& peer) {
    peer.read_head();
    peer.send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n");
    for (;;) {
      std::string bytes = peer.read_exactly(4096);
      if (bytes.empty()) break;
      peer.send(bytes);
    }
    peer.send("bye");
  });
  std::string host = std::to_string(server.port()) + "-abc.localhost";
  TlsClient client(world->port(), ca(), host, host);
  ASSERT_TRUE(client.connected());
  client.send(get(server.port(), "/", "Connection: Upgrade\r\nUpgrade: x\r\n"));
  client.read_until("\r\n\r\n");
  std::string block(1U << 20U, 'x');
  for (std::size_t n = 0; n < block.size(); ++n) block[n] = static_cast<char>('a' + n % 25);
  std::string echoed;
  for (std::size_t at = 0; at < block.size(); at += 65536) {
    client.send(std::string_view(block).substr(at, 65536));
    echoed += client.read_exactly(65536);
  }
  EXPECT_TRUE(echoed == block);
  client.finish_writing();
  EXPECT_EQ(client.read_exactly(3), "bye");
}

TEST_F(TlsTest, KillBreaksOffAStreamWithCloseNotify) {
  Server server([](Peer& peer) {
    peer.read_head();
    peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
    peer.read_all();
  });
  std::string host = std::to_string(server.port()) + "-abc.localhost";
  TlsClient client(world->port(), ca(), host, host);
  client.send(get(server.port()));
  client.read_until("hello\r\n");
  world->kill("abc");
  EXPECT_EQ(client.next_event(), "closed");
  EXPECT_EQ(client.read_exactly(1), "");
}

TEST_F(TlsTest, ALargeDownloadArrivesWhole) {
  std::string body(16U << 20U, 'q');
  Server server([&](Peer& peer) {
    peer.read_head();
    peer.send("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n");
    peer.send(body);
    peer.read_all();
  });
  std::string host = std::to_string(server.port()) + "-abc.localhost";
  TlsClient client(world->port(), ca(), host, host);
  client.send(get(server.port()));
  client.read_until("\r\n\r\n");
  EXPECT_TRUE(client.read_exactly(body.size()) == body);
}

TEST_F(TlsTest, GarbageAfterTheFirstByteHarmsNobody) {
  for (std::string bytes : {std::string("\x16\x03\x01\x00\x05hello"), std::string(1, '\x16'),
                            "\x16" + std::string(70000, 'x')}) {
    Peer client = world->client();
    client.send(bytes);
    client.finish_writing();
    EXPECT_NE(client.next_event(), "nothing");
  }
  TlsClient client(world->port(), ca(), "localhost", "localhost");
  EXPECT_TRUE(client.connected());
}

}  // namespace
}  // namespace tests
