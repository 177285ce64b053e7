// Two connected ByteStreams without a socket: what one writes the other reads. For tests of
// anything that speaks over a ByteStream; both ends live on one io_context. No TLS, no raw socket.
#pragma once

#include <cstddef>
#include <limits>
#include <memory>
#include <utility>

#include <boost/asio/any_io_executor.hpp>

#include "fakeapi/http/byte_stream.h"

namespace tests {

struct MemoryStreamOptions {
  // Bytes one direction holds before write_all waits for the reader (back-pressure).
  std::size_t capacity = std::numeric_limits<std::size_t>::max();
  // read_some returns at most this many bytes: 1 delivers everything byte by byte.
  std::size_t read_limit = std::numeric_limits<std::size_t>::max();
};

// close(true) makes the peer's next read fail (reset) once; close() is a clean end after the bytes
// written.
std::pair<std::unique_ptr<fakeapi::http::ByteStream>, std::unique_ptr<fakeapi::http::ByteStream>>
make_memory_streams(const boost::asio::any_io_executor& executor, MemoryStreamOptions options = {});

}  // namespace tests
