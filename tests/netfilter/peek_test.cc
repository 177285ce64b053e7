#include "netfilter/egress/peek.h"

#include <algorithm>
#include <random>
#include <string>
#include <utility>

#include <gtest/gtest.h>

#include "tests/netfilter/support/client_hello.h"

namespace netfilter::egress {
namespace {

using tests::extension;
using tests::hello;
using tests::record;
using tests::records;
using tests::sni;

// Feeds the bytes one by one. The state at the end and the name.
template <class Peek>
std::pair<PeekState, std::string> peek(const std::string& bytes) {
  Peek whole;
  PeekState at_once = whole.advance(bytes);
  Peek dripping;
  PeekState state = PeekState::kNeedMore;
  std::size_t step = bytes.size() > 4096 ? 97 : 1;
  for (std::size_t size = 1; state == PeekState::kNeedMore && size < bytes.size() + step;
       size += step) {
    state = dripping.advance(std::string_view(bytes).substr(0, std::min(size, bytes.size())));
  }
  EXPECT_EQ(at_once, state);
  EXPECT_EQ(whole.name(), dripping.name());
  return {at_once, whole.name()};
}
std::string tls_name(const std::string& bytes) {
  auto [state, name] = peek<TlsPeek>(bytes);
  EXPECT_EQ(state, PeekState::kDone);
  return name;
}
std::string http_name(const std::string& bytes) {
  auto [state, name] = peek<HttpPeek>(bytes);
  EXPECT_EQ(state, PeekState::kDone) << bytes;
  return name;
}

TEST(TlsPeek, Net41FindsTheServerName) {
  EXPECT_EQ(tls_name(record(hello(sni("example.com")))), "example.com");
  EXPECT_EQ(tls_name(record(hello(extension(0x1a1a, "") + extension(51, std::string(1216, 'k')) +
                                  sni("EXAMPLE.com") + extension(43, "x")))),
            "example.com");
}

TEST(TlsPeek, JoinsAHelloOfManyRecords) {
  std::string big = hello(extension(51, std::string(20000, 'k')) + sni("example.com"));
  EXPECT_EQ(tls_name(records(big, 16384)), "example.com");
  EXPECT_EQ(tls_name(records(big, 100)), "example.com");
  EXPECT_EQ(tls_name(records(hello(sni("example.com")), 1)), "example.com");
}

TEST(TlsPeek, Net44WithoutAServerNameThereIsNoName) {
  EXPECT_EQ(tls_name(record(hello(""))), "");
  EXPECT_EQ(tls_name(record(hello(extension(43, "x")))), "");
  EXPECT_EQ(tls_name(record(hello(sni("1.1.1.1")))), "");
  EXPECT_EQ(tls_name(record(hello(sni("")))), "");
  EXPECT_EQ(tls_name(record(hello(sni("example.com:443")))), "");
  EXPECT_EQ(tls_name(record(hello(sni(std::string("example.com\0.evil.org", 21))))), "");
  EXPECT_EQ(tls_name(record(hello(sni("example.com") + sni("evil.org")))), "");
}

TEST(TlsPeek, WhatIsNotTlsHasNoNameAtOnce) {
  EXPECT_EQ(tls_name("GET / HTTP/1.1"), "");
  EXPECT_EQ(tls_name("SSH-2.0-x"), "");
  EXPECT_EQ(tls_name(std::string("\x80\x2e\x01\x03\x01", 5)), "") << "SSLv2";
  EXPECT_EQ(tls_name(std::string("\x16\x02\x01\x00\x05", 5)), "") << "no TLS version";
  EXPECT_EQ(tls_name(std::string("\x16\x03\x01\x00\x00", 5)), "") << "an empty record";
  EXPECT_EQ(tls_name(std::string("\x16\x03\x01\xff\xff", 5)), "") << "a record that is too long";
  EXPECT_EQ(tls_name(record("\x02" + std::string(50, 'x'))), "") << "a ServerHello";
  EXPECT_EQ(tls_name(record(hello(sni("a.com")).substr(0, 20)) + "\x15\x03\x01"), "")
      << "an alert in between";
}

TEST(TlsPeek, StopsAtItsLimit) {
  std::string endless = "\x01" + tests::big_endian(60000, 3) + std::string(59000, 'x');
  auto [state, name] = peek<TlsPeek>(records(endless, 16));  // 5 bytes of header for 16
  EXPECT_EQ(state, PeekState::kDone);
  EXPECT_EQ(name, "");
  EXPECT_EQ(tls_name(record("\x01" + tests::big_endian(70000, 3) + "x")), "");
}

TEST(TlsPeek, EveryPrefixAsksForMoreAndNoDamageBreaksIt) {
  std::string good = record(hello(sni("example.com")));
  for (std::size_t size = 0; size < good.size(); ++size) {
    EXPECT_EQ(peek<TlsPeek>(good.substr(0, size)).first, PeekState::kNeedMore) << size;
  }
  std::minstd_rand random(1);
  for (int i = 0; i < 20000; ++i) {
    std::string bad = records(hello(sni("example.com")), 1 + random() % 200);
    for (int j = 0; j < 3; ++j) bad[random() % bad.size()] = static_cast<char>(random() & 0xff);
    TlsPeek peeked;
    peeked.advance(bad);
  }
}

TEST(HttpPeek, Net40FindsTheHost) {
  EXPECT_EQ(http_name("GET / HTTP/1.1\r\nHost: example.com\r\n\r\n"), "example.com");
  EXPECT_EQ(http_name("POST /x HTTP/1.0\r\nA: b\r\nhOsT:\tEXAMPLE.com \r\n\r\nbody"),
            "example.com");
  EXPECT_EQ(http_name("GET / HTTP/1.1\nHost: example.com\n\n"), "example.com") << "bare LF";
}

TEST(HttpPeek, Net45Net46TrailingDotAndPortAreStripped) {
  EXPECT_EQ(http_name("GET / HTTP/1.1\r\nHost: example.com.\r\n\r\n"), "example.com");
  EXPECT_EQ(http_name("GET / HTTP/1.1\r\nHost: example.com:80\r\n\r\n"), "example.com");
}

TEST(HttpPeek, AnAbsoluteTargetBeatsTheHeader) {
  EXPECT_EQ(http_name("GET http://a.com/x?y HTTP/1.1\r\nHost: b.com\r\n\r\n"), "a.com");
  EXPECT_EQ(http_name("GET HTTP://a.com:80 HTTP/1.1\r\n\r\n"), "a.com");
  EXPECT_EQ(http_name("GET http://u@a.com/ HTTP/1.1\r\nHost: b.com\r\n\r\n"), "");
}

TEST(HttpPeek, WhereTwoReadersCouldDisagreeThereIsNoName) {
  for (const char* head : {
           "GET / HTTP/1.1\r\nHost: a.com\r\nHost: b.com\r\n\r\n",
           "GET / HTTP/1.1\r\nHost: a.com\r\nHost: a.com\r\n\r\n",
           "GET / HTTP/1.1\r\nHost : a.com\r\n\r\n",
           "GET / HTTP/1.1\r\n Host: a.com\r\n\r\n",
           "GET / HTTP/1.1\r\nHost:\r\n a.com\r\n\r\n",
           "GET / HTTP/1.1\r\nX: y\rHost: a.com\r\n\r\n",
           "GET / HTTP/1.1\r\nHost: a.com, b.com\r\n\r\n",
           "GET / HTTP/1.1\r\nHost: a.com/b\r\n\r\n",
           "GET / HTTP/1.1\r\nno colon\r\nHost: a.com\r\n\r\n",
           "GET /  HTTP/1.1\r\nHost: a.com\r\n\r\n",
           "GET / HTTP/2.0\r\nHost: a.com\r\n\r\n",
           "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
           "CONNECT a.com:443 HTTP/1.1\r\nHost: a.com\r\n\r\n",
           "GET /\r\nHost: a.com\r\n\r\n",
           "GET / HTTP/1.1\r\nHost: 1.1.1.1\r\n\r\n",
           "GET / HTTP/1.1\r\nHost: [::1]\r\n\r\n",
           "GET / HTTP/1.1\r\nHost:\r\n\r\n",
           "GET / HTTP/1.1\r\n\r\n",
       }) {
    EXPECT_EQ(http_name(head), "") << head;
  }
}

TEST(HttpPeek, WhatDoesNotBeginLikeARequestHasNoNameAtOnce) {
  for (const char* text : {"get / HTTP/1.1", "\x16\x03\x01", "{}", " GET", "\r\nGET"}) {
    EXPECT_EQ(http_name(text), "");
  }
}

TEST(HttpPeek, WaitsForTheWholeHeadUpToItsLimit) {
  std::string head = "GET / HTTP/1.1\r\nHost: example.com\r\n\r\n";
  for (std::size_t size = 0; size < head.size(); ++size) {
    EXPECT_EQ(peek<HttpPeek>(head.substr(0, size)).first, PeekState::kNeedMore) << size;
  }
  EXPECT_EQ(http_name("GET / HTTP/1.1\r\nX: " + std::string(kPeekLimit, 'x')), "");
  std::string large = "GET / HTTP/1.1\r\nX: " + std::string(60000, 'x') + "\r\n";
  EXPECT_EQ(http_name(large + "Host: example.com\r\n\r\n"), "example.com");
}

}  // namespace
}  // namespace netfilter::egress
