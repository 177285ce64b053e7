// What the hosts of the fake internet do with a connection or a datagram: web servers, DNS,
// banners, echoes. Used by FakeInternet, which owns the sockets. Each function serves one peer to
// its end.
#pragma once

#include <boost/asio/awaitable.hpp>

#include "emulator/dns/message.h"
#include "emulator/fakenet/canary.h"
#include "emulator/fakenet/hosts.h"
#include "fakeapi/http/byte_stream.h"

namespace emulator::fakenet {

// Where a service runs.
struct Place {
  const Host& host;
  FarEnd here;
  const Service& service;
};

// HTTP/1.1 over `stream` (plain, or TLS already). Routes of the host first; then `/bytes/N`, which
// sends N bytes; everything else is answered by one line that describes the request:
//   server-ip=93.184.216.34 port=443 scheme=https host=example.com method=GET path=/ body-bytes=0
boost::asio::awaitable<void> serve_web(fakeapi::http::ByteStream& stream,
                                       Place place,
                                       Canary& canary);

// kBanner, kEcho, kSilent, kReset.
boost::asio::awaitable<void> serve_plain(fakeapi::http::ByteStream& stream, Place place);

// DNS over TCP.
boost::asio::awaitable<void> serve_dns_stream(fakeapi::http::ByteStream& stream,
                                              Place place,
                                              Hosts& hosts,
                                              Canary& canary);

// The answer to one DNS query; empty when there is none. Waits for the record's delay.
boost::asio::awaitable<dns::Bytes> answer_query(dns::Bytes query,
                                                FarEnd here,
                                                Hosts& hosts,
                                                Canary& canary);

}  // namespace emulator::fakenet
