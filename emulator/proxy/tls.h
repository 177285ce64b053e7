// TLS without I/O: bytes from the network go in, plaintext comes out, and the other way round. Used
// by Channel. The context holds what all connections share; certificates come from the
// CertificateAuthority per server name. ALPN offers http/1.1 only.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "emulator/base/result.h"

// OpenSSL's own types, so that its headers stay in the .cc files.
struct ssl_ctx_st;
struct ssl_st;

namespace emulator::proxy {

class CertificateAuthority;

class TlsContext {
 public:
  // `authority` outlives the context.
  static base::Result<std::unique_ptr<TlsContext>> create(CertificateAuthority& authority);
  ~TlsContext();
  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;

  ssl_ctx_st* get() const { return context_; }

 private:
  explicit TlsContext(ssl_ctx_st* context) : context_(context) {}
  ssl_ctx_st* context_;
};

// One connection's server side.
class TlsEngine {
 public:
  explicit TlsEngine(const TlsContext& context);
  ~TlsEngine();
  TlsEngine(const TlsEngine&) = delete;
  TlsEngine& operator=(const TlsEngine&) = delete;

  // Takes bytes from the network and appends what they decrypt to. May leave bytes to send
  // (handshake, alerts). False: the connection is broken (an alert may be waiting to be sent).
  bool feed(std::string_view bytes, std::string& plaintext);
  // Encrypts after the handshake. False: broken.
  bool encrypt(std::string_view plaintext);
  // Queues close_notify.
  void close();
  // Moves the bytes to send to the end of `out`.
  void take_output(std::string& out);

  bool handshake_done() const { return handshake_done_; }
  // The peer sent close_notify.
  bool closed_by_peer() const { return closed_by_peer_; }

 private:
  ssl_st* ssl_ = nullptr;
  bool handshake_done_ = false;
  bool closed_by_peer_ = false;
};

}  // namespace emulator::proxy
