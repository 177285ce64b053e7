// The fake internet's side of one TCP connection: a ByteStream that tells the canary what it reads,
// and TLS over it. Used by the services; one coroutine at a time.
#pragma once

#include <memory>

#include <boost/asio/ip/tcp.hpp>

#include "emulator/fakenet/canary.h"
#include "emulator/proxy/tls.h"
#include "fakeapi/http/byte_stream.h"

namespace emulator::fakenet {

class CountedStream final : public fakeapi::http::ByteStream {
 public:
  CountedStream(boost::asio::ip::tcp::socket socket, const FarEnd& here, Canary& canary);

  base::Task<std::size_t> read_some(std::span<char> into) override;
  base::Task<> write_all(std::string_view first, std::string_view second) override;
  base::Task<> shutdown_write() override;
  void close(bool reset) override;
  boost::asio::any_io_executor executor() override { return socket_.get_executor(); }

 private:
  boost::asio::ip::tcp::socket socket_;
  FarEnd here_;
  std::uint16_t source_port_ = 0;
  Canary& canary_;
  bool first_ = true;
};

class TlsStream final : public fakeapi::http::ByteStream {
 public:
  // Both outlive the stream.
  TlsStream(fakeapi::http::ByteStream& below, const proxy::TlsContext& context)
      : below_(below), engine_(context) {}

  // The handshake happens with the first read. A broken one is an error, after the alert was sent.
  base::Task<std::size_t> read_some(std::span<char> into) override;
  base::Task<> write_all(std::string_view first, std::string_view second) override;
  base::Task<> shutdown_write() override;
  void close(bool reset) override { below_.close(reset); }
  boost::asio::any_io_executor executor() override { return below_.executor(); }

 private:
  base::Task<> flush();

  fakeapi::http::ByteStream& below_;
  proxy::TlsEngine engine_;
  std::string plain_;     // decrypted, not read yet
  std::size_t read_ = 0;  // of plain_
};

}  // namespace emulator::fakenet
