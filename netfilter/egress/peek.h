// The name in the first bytes that a sandbox sends: the SNI of a ClientHello, the host of an HTTP/1
// request. Pure, fed with a growing buffer; used by egress_proxy.cc, which keeps the bytes and
// passes them on. Judges nothing.
//
// Anything unusual is "no name", never an error: then only address rules speak (contract-network
// 2.7). Where two readers could disagree about a name (two Host headers, a space before the colon,
// a folded line), there is none.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace netfilter::egress {

// Longer first flights have no name. The cloud stops at 4 KiB and at one TLS record; ours joins
// records (contract-network 2.7).
inline constexpr std::size_t kPeekLimit = 64U << 10U;

enum class PeekState { kNeedMore, kDone };

// Reads TLS records until the ClientHello is whole.
class TlsPeek {
 public:
  // `bytes` is everything received so far; what was looked at is not looked at again, so that a
  // thousand small records cost no more than one.
  PeekState advance(std::string_view bytes);
  const std::string& name() const { return name_; }  // normalised; "" = none

 private:
  std::size_t position_ = 0;  // of the next record
  std::string handshake_;     // the payloads of the records before it
  std::string name_;
};

// Reads an HTTP/1 request head.
class HttpPeek {
 public:
  PeekState advance(std::string_view bytes);
  const std::string& name() const { return name_; }

 private:
  std::size_t searched_ = 0;  // no end of the head before this
  std::string name_;
};

// The server_name of a whole ClientHello (the handshake message with its header, RFC 8446 4.1.2,
// RFC 6066 3). "" when there is none, or when anything does not add up.
std::string server_name_of(std::string_view handshake);

// The host of a whole request head, without the empty line at its end (RFC 9112 3.2): an absolute
// target's, else the only Host header's.
std::string host_of(std::string_view head);

}  // namespace netfilter::egress
