// TLS without I/O: bytes from the network go in, plaintext comes out, and the other way round. Used
// by Channel. The context holds what all connections share; certificates come from the
// CertificateAuthority per server name. ALPN offers http/1.1 only.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "emulator/base/result.h"

// OpenSSL's own types, so that its headers stay in the .cc files.
struct ssl_ctx_st;
struct ssl_st;

namespace emulator::proxy {

struct Leaf;
class CertificateAuthority;

// The certificate for a server name; "" when the client sent none. kPermissionDenied: not a name of
// ours, which ends the handshake.
using LeafSource =
    std::function<base::Result<std::shared_ptr<const Leaf>>(std::string_view server_name)>;

class TlsContext {
 public:
  // `authority` outlives the context.
  static base::Result<std::unique_ptr<TlsContext>> create(CertificateAuthority& authority);
  static base::Result<std::unique_ptr<TlsContext>> create(LeafSource source);
  ~TlsContext();
  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;

  ssl_ctx_st* get() const { return context_; }

 private:
  TlsContext(ssl_ctx_st* context, LeafSource source)
      : context_(context), source_(std::move(source)) {}
  ssl_ctx_st* context_;
  LeafSource source_;
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
