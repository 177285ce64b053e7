// TLS without I/O: bytes from the network go in, plaintext comes out, and the other way round. Used
// by Channel. A context holds what all connections share: as a server, certificates per server name
// from the CertificateAuthority; as a client, whom to trust. ALPN offers http/1.1 only.
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

class TlsClientContext {
 public:
  // `roots` is PEM: who may vouch for servers. Tens of milliseconds for a system's bundle.
  static base::Result<std::unique_ptr<TlsClientContext>> create(std::string_view roots);
  ~TlsClientContext();
  TlsClientContext(const TlsClientContext&) = delete;
  TlsClientContext& operator=(const TlsClientContext&) = delete;

  ssl_ctx_st* get() const { return context_; }

 private:
  explicit TlsClientContext(ssl_ctx_st* context) : context_(context) {}
  ssl_ctx_st* context_;
};

// One side of one connection.
class TlsEngine {
 public:
  explicit TlsEngine(const TlsContext& context);
  // The client's: feed("") first. A certificate that is not for `server_name`, or that nobody
  // trusted vouches for, breaks the connection.
  TlsEngine(const TlsClientContext& context, const std::string& server_name);
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
  // What is wrong with the server's certificate, "" when it is not that.
  std::string certificate_problem() const;
  // The peer sent close_notify.
  bool closed_by_peer() const { return closed_by_peer_; }

 private:
  ssl_st* ssl_ = nullptr;
  bool handshake_done_ = false;
  bool closed_by_peer_ = false;
};

}  // namespace emulator::proxy
