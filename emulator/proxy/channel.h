// One end of the relay: a TCP connection, plain or TLS, with what was received and not used yet. At
// most one read is in flight, and it may stay in flight while nobody waits: that is how a vanished
// client or a closed idle upstream is noticed without a further system call. Used by the front door
// and the relay; ServerConnection sees it as a ByteStream. Lives on one io_context thread; always
// held by a shared_ptr.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "emulator/base/splice.h"
#include "emulator/proxy/tls.h"
#include "fakeapi/http/byte_stream.h"

namespace emulator::proxy {

class Channel final : public fakeapi::http::ByteStream,
                      public std::enable_shared_from_this<Channel> {
 public:
  // A connected socket; TCP_NODELAY and non-blocking mode are set here.
  explicit Channel(boost::asio::ip::tcp::socket socket);
  ~Channel() override;

  // --- receiving
  // Views of it stay valid while one more read completes (a send of them may still be waiting
  // then), not two.
  std::string_view data() const { return {ready_.bytes.get() + ready_.begin, ready_.size()}; }
  void consume(std::size_t count);
  // Puts bytes back in front of data().
  void unread(std::string_view bytes);
  // Waits until data() has grown, the stream has ended, or wake() was called. Begins a read unless
  // one is in flight.
  boost::asio::awaitable<void> more();
  // Begins a read unless one is in flight.
  void start_read();
  // Ends a more() or a pass_on() early.
  void wake();
  // No more bytes will come: end of stream or an error (ended_cleanly() tells them apart). An end
  // of stream that TLS did not announce is no clean end, since anybody may have cut it short; it is
  // no error either (ended_by_peer()): many programs end TLS so.
  bool ended() const { return ended_; }
  bool ended_cleanly() const { return ended_cleanly_; }
  bool ended_by_peer() const { return ended_by_peer_; }
  // Called once when the stream ends while nobody waits in more(). Cleared with nullptr.
  void on_end(std::function<void()> callback) { on_end_ = std::move(callback); }

  // --- sending
  enum class Sent { kAll, kPartly, kBroken };
  // Sends without waiting. After kPartly, both views stay valid until drain() has completed.
  Sent send(std::string_view first, std::string_view second = {});
  // Sends the rest: kAll or kBroken.
  boost::asio::awaitable<Sent> drain();

  // --- passing on, unseen
  // Whether pass_on() may be used now: both ends plain, nothing received and not used yet, no read
  // in flight.
  bool can_pass_on(const Channel& to) const;
  // Waits for bytes and moves them to `to` by splice(2), at most `limit`: how many. Ends early when
  // the stream has ended (ended()), when `to` is broken (to.is_broken()) and by wake(). kNoPipe:
  // nothing was done, use more().
  boost::asio::awaitable<base::Moved> pass_on(Channel& to,
                                              std::uint64_t limit,
                                              base::PipePool& pipes);
  bool is_broken() const { return broken_; }
  // The next byte that should be sent resets the connection instead: an injected fault.
  void reset_on_send() { reset_on_send_ = true; }

  // Turns the connection into TLS; data() so far is the beginning of the handshake. False: failed.
  boost::asio::awaitable<bool> start_tls(const TlsContext& context);
  // The same as the client of a server with this name. Why it failed, "" when it did not.
  boost::asio::awaitable<std::string> start_tls(const TlsClientContext& context,
                                                std::string server_name);
  bool is_tls() const { return tls_ != nullptr; }
  bool is_open() const { return socket_.is_open(); }
  // Gives back large buffers; for connections that go idle.
  void shrink();

  // --- ByteStream
  base::Task<std::size_t> read_some(std::span<char> into) override;
  base::Task<> write_all(std::string_view first, std::string_view second) override;
  base::Task<> shutdown_write() override;
  void close(bool reset) override;
  boost::asio::any_io_executor executor() override { return socket_.get_executor(); }
  bool is_local() const override;
  // Half-close, without waiting. TLS announces it, unless it passes on an end that was not.
  void finish_writing(bool announced = true);

 private:
  struct Buffer {
    std::unique_ptr<char[]> bytes;
    std::size_t capacity = 0;
    std::size_t begin = 0;
    std::size_t end = 0;
    std::size_t size() const { return end - begin; }
    // When the block must grow, the old one moves to `retired`, unchanged.
    void append(std::string_view more, std::unique_ptr<char[]>& retired);
  };
  using Waiter = boost::asio::async_result<boost::asio::use_awaitable_t<>, void()>::handler_type;

  void read_done(const boost::system::error_code& error, std::size_t count);
  // False: only TLS records were complete, no plaintext came out.
  bool take_received(std::size_t count);
  void end_reading(bool cleanly, bool by_peer);
  // One sendmsg of what is left; false when broken.
  bool push();
  bool flush_tls();
  boost::asio::awaitable<bool> shake_hands();

  boost::asio::ip::tcp::socket socket_;
  Buffer ready_;
  Buffer incoming_;
  std::unique_ptr<char[]> retired_;  // what data() was before it grew
  std::size_t chunk_;
  bool reading_ = false;
  bool ended_ = false;
  bool ended_cleanly_ = false;
  bool ended_by_peer_ = false;
  bool broken_ = false;
  bool reset_on_send_ = false;
  bool passing_ = false;  // in pass_on()
  std::optional<Waiter> waiter_;
  std::function<void()> on_end_;
  std::string_view rest_first_;
  std::string_view rest_second_;
  std::unique_ptr<TlsEngine> tls_;
  std::string tls_out_;    // encrypted, not sent yet
  std::string tls_plain_;  // scratch of take_received
  std::size_t tls_sent_ = 0;
};

}  // namespace emulator::proxy
