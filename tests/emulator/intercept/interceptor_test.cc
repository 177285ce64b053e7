// The same with TLS on both sides: who is trusted, and what the client is shown.
#include <csignal>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

#include "emulator/base/ids.h"
#include "tests/emulator/intercept/middle.h"
#include "tests/emulator/proxy/proxy_world.h"

namespace tests {
namespace {

namespace intercept = emulator::intercept;
using testing::HasSubstr;
using testing::StartsWith;

// OpenSSL's own, on a blocking socket.
class Tls {
 public:
  Tls(SSL_CTX* context, int fd) : ssl_(SSL_new(context)) { SSL_set_fd(ssl_, fd); }
  ~Tls() { SSL_free(ssl_); }
  SSL* get() const { return ssl_; }
  void send(std::string_view bytes) {
    SSL_write(ssl_, bytes.data(), static_cast<int>(bytes.size()));
  }
  std::string read_until(const std::string& mark) {
    std::string out;
    char c = 0;
    while (out.find(mark) == std::string::npos && SSL_read(ssl_, &c, 1) == 1) out += c;
    return out;
  }

 private:
  SSL* ssl_;
};

struct FreeContext {
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
};
using Context = std::unique_ptr<SSL_CTX, FreeContext>;

// What a client's TLS stands on: a connection, and trust in the interceptor's authority.
struct Trust {
  explicit Trust(Middle& middle)
      : peer(Peer::connect(middle.port())), context(SSL_CTX_new(TLS_client_method())) {
    const std::string roots = middle.authority();
    BIO* pem = BIO_new_mem_buf(roots.data(), static_cast<int>(roots.size()));
    X509* root = PEM_read_bio_X509(pem, nullptr, nullptr, nullptr);
    X509_STORE_add_cert(SSL_CTX_get_cert_store(context.get()), root);
    X509_free(root);
    BIO_free(pem);
    SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
    const unsigned char protocols[] = "\x02h2\x08http/1.1";
    SSL_CTX_set_alpn_protos(context.get(), protocols, sizeof(protocols) - 1);
  }
  Peer peer;
  Context context;
};

// A client that wants a.test.
struct Client : Trust, Tls {
  explicit Client(Middle& middle) : Trust(middle), Tls(context.get(), peer.fd()) {}
  bool connect() {
    SSL_set_tlsext_host_name(get(), "a.test");
    SSL_set1_host(get(), "a.test");
    return SSL_connect(get()) == 1;
  }
};

// An internet of one server, and whoever signs there.
struct InterceptorTest : testing::Test {
  InterceptorTest()
      : directory(std::filesystem::temp_directory_path() / ("sandlot-ca-" + base::random_id(8))) {
    // OpenSSL writes to sockets that the other side has reset, and has no flag against it.
    std::signal(SIGPIPE, SIG_IGN);
    auto made = intercept::Authority::open(directory);
    EXPECT_TRUE(made);
    internet = std::move(*made);
  }
  ~InterceptorTest() override {
    std::filesystem::remove_all(directory);
    std::filesystem::remove(directory.string() + ".lock");
  }

  // A server with a certificate for `name`. It minds no end that TLS does not announce.
  Server::Serve talking(const std::string& name, std::function<void(Tls&)> talk) {
    return [this, name, talk = std::move(talk)](Peer& peer) {
      Context context(SSL_CTX_new(TLS_server_method()));
      SSL_CTX_set_options(context.get(), SSL_OP_IGNORE_UNEXPECTED_EOF);
      auto leaf = internet->leaf(name);
      SSL_CTX_use_certificate(context.get(), (*leaf)->certificate.get());
      SSL_CTX_use_PrivateKey(context.get(), (*leaf)->key.get());
      Tls tls(context.get(), peer.fd());
      if (SSL_accept(tls.get()) != 1) return;
      const char* asked_for = SSL_get_servername(tls.get(), TLSEXT_NAMETYPE_host_name);
      sni = asked_for == nullptr ? "" : asked_for;
      talk(tls);
    };
  }
  // One that answers each request with its head.
  Server::Serve serving(const std::string& name) {
    return talking(name, [this](Tls& tls) {
      for (;;) {
        std::string head = tls.read_until("\r\n\r\n");
        if (head.empty()) return;
        ++requests;
        tls.send("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(head.size()) + "\r\n\r\n" +
                 head);
      }
    });
  }

  std::filesystem::path directory;
  std::unique_ptr<intercept::Authority> internet;
  std::string sni;
  std::atomic<int> requests = 0;
};

TEST_F(InterceptorTest, TheClientSeesACertificateOfOursAndTheServerTheHeader) {
  Server server(serving("a.test"));
  Middle middle(server.port(), true, internet->pem());
  middle.set({{"Authorization", "Bearer secret"}});
  Client client(middle);
  ASSERT_TRUE(client.connect());
  const unsigned char* protocol = nullptr;
  unsigned int size = 0;
  SSL_get0_alpn_selected(client.get(), &protocol, &size);
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(protocol), size), "http/1.1");
  for (int n = 0; n < 2; ++n) {
    client.send("GET / HTTP/1.1\r\nHost: a.test\r\nAuthorization: mine\r\n\r\n");
    EXPECT_THAT(client.read_until("\r\n\r\n"), StartsWith("HTTP/1.1 200 OK\r\n"));
    std::string head = client.read_until("\r\n\r\n");
    EXPECT_EQ(head, "GET / HTTP/1.1\r\nHost: a.test\r\nAuthorization: Bearer secret\r\n\r\n");
  }
  EXPECT_EQ(sni, "a.test");
}

TEST_F(InterceptorTest, APlaceholderBecomesTheValueInEveryRequestForTheHost) {
  Server server(serving("a.test"));
  Middle middle(server.port(), true, internet->pem());
  const std::vector<std::string> kHosts = {"*.test"};
  auto with = [&](const char* value) {
    intercept::HeaderRules rules;
    rules.add_secret(kHosts, "novita_secret_00", value);
    middle.use(std::move(rules));
  };
  with("one");
  Client client(middle);
  ASSERT_TRUE(client.connect());
  auto ask = [&](const std::string& host) {
    client.send("GET /novita_secret_00 HTTP/1.1\r\nHost: " + host +
                "\r\nAuthorization: Bearer novita_secret_00\r\n\r\n");
    client.read_until("\r\n\r\n");
    return client.read_until("\r\n\r\n");
  };
  EXPECT_EQ(ask("a.test"),
            "GET /novita_secret_00 HTTP/1.1\r\nHost: a.test\r\nAuthorization: Bearer one\r\n\r\n");
  with("two");
  EXPECT_THAT(ask("a.test"), HasSubstr("Bearer two\r\n"));
  EXPECT_THAT(ask("b.test"), HasSubstr("Bearer novita_secret_00\r\n")) << "not who it is for";
  middle.use({});
  EXPECT_THAT(ask("a.test"), HasSubstr("Bearer novita_secret_00\r\n"));
}

// contract-network 2.7; many programs close TCP and say nothing of it in TLS.
TEST_F(InterceptorTest, AClientThatStopsSendingWithoutACloseNotifyIsAnswered) {
  Server server(talking("a.test", [](Tls& tls) {
    std::string head = tls.read_until("\r\n\r\n");
    EXPECT_EQ(tls.read_until("more"), "") << "it stops sending for the server, too";
    tls.send("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(head.size()) + "\r\n\r\n" +
             head);
  }));
  Middle middle(server.port(), true, internet->pem());
  middle.set({{"A", "b"}});
  Client client(middle);
  ASSERT_TRUE(client.connect());
  client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
  client.peer.finish_writing();
  EXPECT_THAT(client.read_until("\r\n\r\n"), StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(client.read_until("\r\n\r\n"), HasSubstr("A: b\r\n"));
}

// Everything arrives, and so does that nobody vouched for the end.
TEST_F(InterceptorTest, AnEndWithoutACloseNotifyIsPassedOnAsThat) {
  const std::string kBody(300000, 'x');
  Server server(talking("a.test", [&](Tls& tls) {
    tls.read_until("\r\n\r\n");
    tls.send("HTTP/1.0 200 OK\r\n\r\n" + kBody + "end");
  }));
  Middle middle(server.port(), true, internet->pem());
  middle.set({{"A", "b"}});
  Client client(middle);
  ASSERT_TRUE(client.connect());
  client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
  EXPECT_EQ(client.read_until("\r\n\r\n"), "HTTP/1.0 200 OK\r\n\r\n");
  EXPECT_EQ(client.read_until("end"), kBody + "end");
  char c = 0;
  ERR_clear_error();
  int result = SSL_read(client.get(), &c, 1);
  EXPECT_EQ(SSL_get_error(client.get(), result), SSL_ERROR_SSL);
  EXPECT_EQ(ERR_GET_REASON(ERR_peek_error()), SSL_R_UNEXPECTED_EOF_WHILE_READING);
}

TEST_F(InterceptorTest, AServerThatTakesItsLeaveAfterAnAnswerTakesNothingAway) {
  const std::string kBody(300000, 'x');
  Server server(talking("a.test", [&](Tls& tls) {
    tls.read_until("\r\n\r\n");
    tls.send("HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n" + kBody);
  }));
  Middle middle(server.port(), true, internet->pem());
  middle.set({{"A", "b"}});
  Client client(middle);
  ASSERT_TRUE(client.connect());
  client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
  std::this_thread::sleep_for(std::chrono::milliseconds(200));  // it does not read at once
  client.read_until("\r\n\r\n");
  EXPECT_EQ(client.read_until("the end"), kBody);
}

TEST_F(InterceptorTest, AServerThatNobodyVouchesForIsToldNothing) {
  Server server(serving("a.test"));
  Middle middle(server.port(), true, "");
  middle.set({{"Authorization", "Bearer secret"}});
  Client client(middle);
  EXPECT_FALSE(client.connect());
  EXPECT_EQ(requests, 0);
  EXPECT_EQ(middle.ended(1).front().reason, netfilter::egress::CloseReason::kNotConnected);
}

TEST_F(InterceptorTest, AServerWithAnotherNamesCertificateIsToldNothing) {
  Server server(serving("b.test"));
  Middle middle(server.port(), true, internet->pem());
  middle.set({{"Authorization", "Bearer secret"}});
  Client client(middle);
  EXPECT_FALSE(client.connect());
  EXPECT_EQ(requests, 0);
}

TEST_F(InterceptorTest, TheAuthorityIsKeptAndSignsForHostNamesOnly) {
  auto again = intercept::Authority::open(directory);
  ASSERT_TRUE(again);
  EXPECT_EQ((*again)->pem(), internet->pem());
  EXPECT_TRUE(internet->leaf("A.Test."));
  for (const char* name : {"", "1.1.1.1", "a.test,DNS:b.test", "*.test", "a.test:443", "a b"}) {
    auto leaf = internet->leaf(name);
    ASSERT_FALSE(leaf) << name;
    EXPECT_EQ(leaf.error().code(), base::Errc::kPermissionDenied);
  }
}

}  // namespace
}  // namespace tests
