#include "tests/support/memory_stream.h"

#include <algorithm>
#include <cstring>
#include <string>

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>

#include "emulator/base/async.h"

namespace tests {

namespace {

namespace asio = boost::asio;
using base::Errc;

// One direction. `changed` is a timer that never expires; cancelling it wakes whoever waits.
struct Pipe {
  Pipe(const asio::any_io_executor& executor, std::size_t limit)
      : changed(executor, asio::steady_timer::time_point::max()), capacity(limit) {}

  std::string bytes;
  bool ended = false;   // the writer will write no more
  bool broken = false;  // reset, or the reader is gone
  asio::steady_timer changed;
  std::size_t capacity;
};

// Waits for a change of the pipe; kCanceled when the waiting coroutine was cancelled.
base::Task<> wait_for_change(std::shared_ptr<Pipe> pipe) {
  co_await pipe->changed.async_wait(base::kUse);
  auto state = co_await asio::this_coro::cancellation_state;
  if (state.cancelled() != asio::cancellation_type::none) {
    co_return base::fail(Errc::kCanceled, "canceled");
  }
  co_return base::Result<>();
}

class MemoryStream final : public fakeapi::http::ByteStream {
 public:
  MemoryStream(asio::any_io_executor executor,
               std::shared_ptr<Pipe> in,
               std::shared_ptr<Pipe> out,
               std::size_t read_limit)
      : executor_(std::move(executor)),
        in_(std::move(in)),
        out_(std::move(out)),
        read_limit_(read_limit) {}
  ~MemoryStream() override { close(false); }

  base::Task<std::size_t> read_some(std::span<char> into) override {
    return read(in_, into, read_limit_);
  }

  base::Task<> write_all(std::string_view first, std::string_view second) override {
    SANDLOT_CO_CHECK(co_await write(out_, first));
    co_return co_await write(out_, second);
  }

  base::Task<> shutdown_write() override {
    out_->ended = true;
    out_->changed.cancel();
    co_return base::Result<>();
  }

  void close(bool reset) override {
    if (closed_) return;
    closed_ = true;
    out_->ended = true;
    if (reset) out_->broken = true;
    in_->broken = true;
    in_->changed.cancel();
    out_->changed.cancel();
  }

  asio::any_io_executor executor() override { return executor_; }

 private:
  // Static, with the pipe held by value: the stream may be destroyed while a read waits.
  static base::Task<std::size_t> read(std::shared_ptr<Pipe> pipe,
                                      std::span<char> into,
                                      std::size_t limit) {
    for (;;) {
      if (pipe->broken) co_return base::fail(Errc::kUnavailable, "connection reset");
      if (!pipe->bytes.empty()) break;
      if (pipe->ended) co_return 0;
      SANDLOT_CO_CHECK(co_await wait_for_change(pipe));
    }
    std::size_t count = std::min({into.size(), pipe->bytes.size(), limit});
    std::memcpy(into.data(), pipe->bytes.data(), count);
    pipe->bytes.erase(0, count);
    pipe->changed.cancel();
    co_return count;
  }

  static base::Task<> write(std::shared_ptr<Pipe> pipe, std::string_view bytes) {
    while (!bytes.empty()) {
      if (pipe->broken || pipe->ended) {
        co_return base::fail(Errc::kUnavailable, "connection closed");
      }
      if (pipe->bytes.size() >= pipe->capacity) {
        SANDLOT_CO_CHECK(co_await wait_for_change(pipe));
        continue;
      }
      std::size_t count = std::min(bytes.size(), pipe->capacity - pipe->bytes.size());
      pipe->bytes.append(bytes.substr(0, count));
      bytes.remove_prefix(count);
      pipe->changed.cancel();
    }
    co_return base::Result<>();
  }

  asio::any_io_executor executor_;
  std::shared_ptr<Pipe> in_;
  std::shared_ptr<Pipe> out_;
  std::size_t read_limit_;
  bool closed_ = false;
};

}  // namespace

std::pair<std::unique_ptr<fakeapi::http::ByteStream>, std::unique_ptr<fakeapi::http::ByteStream>>
make_memory_streams(const asio::any_io_executor& executor, MemoryStreamOptions options) {
  auto there = std::make_shared<Pipe>(executor, options.capacity);
  auto back = std::make_shared<Pipe>(executor, options.capacity);
  return {std::make_unique<MemoryStream>(executor, back, there, options.read_limit),
          std::make_unique<MemoryStream>(executor, there, back, options.read_limit)};
}

}  // namespace tests
