// The transport port: bytes in, bytes out, over TCP, TLS or memory (tests). Used by one coroutine
// per direction. Errors: kUnavailable (reset, closed), kCanceled, kDeadlineExceeded.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string_view>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/ip/tcp.hpp>

#include "emulator/base/result.h"

namespace fakeapi::http {

class ByteStream {
 public:
  virtual ~ByteStream() = default;

  // At least one byte, or 0 at the end of the stream.
  virtual base::Task<std::size_t> read_some(std::span<char> into) = 0;
  // Everything, or an error. `second` follows `first` in the same send where the transport can.
  virtual base::Task<> write_all(std::string_view first, std::string_view second = {}) = 0;
  // Half-close: no more bytes will be written.
  virtual base::Task<> shutdown_write() = 0;
  // Closes now; pending operations end with an error. With `reset` the peer sees RST where the
  // transport can.
  virtual void close(bool reset = false) = 0;
  virtual boost::asio::any_io_executor executor() = 0;
  // Whether the other end is on this machine: over loopback, or from an address to itself.
  virtual bool is_local() const { return true; }
  // The plain TCP socket when bytes may bypass this object (splice, readiness); null for TLS and
  // memory.
  virtual boost::asio::ip::tcp::socket* raw_socket() { return nullptr; }
};

// A ByteStream over a connected TCP (or any stream) socket. Sets TCP_NODELAY.
std::unique_ptr<ByteStream> make_tcp_stream(boost::asio::ip::tcp::socket socket);

}  // namespace fakeapi::http
