// Bytes from one stream socket to another without a copy in our memory: splice(2) through a pipe.
// Used by the relays (netfilter/egress, emulator/proxy) for bulk. Knows no protocol, closes
// nothing. Lives on one io_context thread.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>

#include "emulator/base/result.h"
#include "emulator/base/unique_fd.h"

namespace base {

// A pipe, and what is in it. Its calls never wait.
class SplicePipe {
 public:
  static Result<SplicePipe> open();

  std::size_t held() const { return held_; }
  // From the socket into the pipe, at most `limit` bytes. 0 without an error: end of stream.
  std::size_t fill(int socket, std::size_t limit, boost::system::error_code& error);
  // From the pipe into the socket, as much as it takes: how much that was.
  std::size_t drain(int socket, boost::system::error_code& error);

 private:
  SplicePipe(UniqueFd out, UniqueFd in) : out_(std::move(out)), in_(std::move(in)) {}

  UniqueFd out_;
  UniqueFd in_;
  std::size_t held_ = 0;
};

// Pipes for whoever moves bytes at the moment; a connection that waits for bytes has none. What is
// in a pipe is the kernel's memory and no sandbox's, hence the limit. Outlives its leases.
class PipePool {
 public:
  // At most `most` pipes at a time, of which `kept` stay open for the next user. Makes the process
  // ignore SIGPIPE: splice(2) has no flag for it.
  explicit PipePool(std::size_t most = 64, std::size_t kept = 8);
  PipePool(const PipePool&) = delete;
  PipePool& operator=(const PipePool&) = delete;

  // Gives the pipe back; one with bytes in it is closed.
  class Lease {
   public:
    Lease() = default;
    Lease(Lease&& other) noexcept;
    Lease& operator=(Lease&& other) noexcept;
    ~Lease() { release(); }
    explicit operator bool() const { return pool_ != nullptr; }
    SplicePipe* operator->() { return &pipe_.front(); }
    void release();

   private:
    friend class PipePool;
    PipePool* pool_ = nullptr;
    std::vector<SplicePipe> pipe_;
  };
  // An empty lease: all are in use, or the kernel has none to give. The caller copies then.
  Lease take();

  std::size_t leased() const { return leased_; }
  std::size_t idle() const { return idle_.size(); }

 private:
  std::size_t most_;
  std::size_t kept_;
  std::size_t leased_ = 0;
  std::vector<SplicePipe> idle_;
};

// What one step of a copy came to.
struct Moved {
  enum class End {
    kOpen,          // go on
    kEndOfStream,   // the source has ended
    kSourceFailed,  // with `error`; also when the wait was cancelled
    kTargetFailed,  // with `error`; what was on its way is lost
    kNoPipe,        // nothing was read
  };
  std::size_t count = 0;  // bytes that the target has taken
  End end = End::kOpen;
  boost::system::error_code error;
};

// Waits until `from` has bytes and moves them, at most `limit` and as many as one pipe holds, until
// `to` has taken them all: a slow target holds the source back. Both sockets are non-blocking and
// outlive the await; nobody else reads `from` or writes `to` meanwhile. `activity` is set whenever
// bytes have moved.
boost::asio::awaitable<Moved> splice_some(
    boost::asio::ip::tcp::socket& from,
    boost::asio::ip::tcp::socket& to,
    std::uint64_t limit,
    PipePool& pool,
    std::chrono::steady_clock::time_point* activity = nullptr);

}  // namespace base
