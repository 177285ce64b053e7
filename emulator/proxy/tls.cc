#include "emulator/proxy/tls.h"

#include <array>
#include <climits>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "emulator/proxy/certificate_authority.h"

namespace emulator::proxy {

using base::Errc;

namespace {

// ALPN: http/1.1 whenever the client offers it; no agreement is no error (the client falls back to
// HTTP/1.1).
int choose_protocol(SSL*,
                    const unsigned char** out,
                    unsigned char* out_size,
                    const unsigned char* in,
                    unsigned int in_size,
                    void*) {
  constexpr std::string_view kHttp11 = "http/1.1";
  for (unsigned int at = 0; at + 1 <= in_size; at += 1U + in[at]) {
    std::string_view name(reinterpret_cast<const char*>(in + at + 1), in[at]);
    if (at + 1 + in[at] <= in_size && name == kHttp11) {
      *out = in + at + 1;
      *out_size = in[at];
      return SSL_TLSEXT_ERR_OK;
    }
  }
  return SSL_TLSEXT_ERR_NOACK;
}

// Gives the connection a leaf for the name it asked for; a name that is not ours ends the
// handshake.
int choose_certificate(SSL* ssl, int* alert, void* argument) {
  const auto& source = *static_cast<const LeafSource*>(argument);
  const char* name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
  auto leaf = source(name == nullptr ? std::string_view() : std::string_view(name));
  if (!leaf) {
    *alert = leaf.error().code() == Errc::kPermissionDenied ? SSL_AD_UNRECOGNIZED_NAME
                                                            : SSL_AD_INTERNAL_ERROR;
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  }
  bool good = SSL_use_certificate(ssl, (*leaf)->certificate.get()) == 1 &&
              SSL_use_PrivateKey(ssl, (*leaf)->key.get()) == 1;
  if (!good) {
    *alert = SSL_AD_INTERNAL_ERROR;
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  }
  return SSL_TLSEXT_ERR_OK;
}

void use_memory(SSL* ssl) {
  SSL_set_bio(ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
}

}  // namespace

base::Result<std::unique_ptr<TlsContext>> TlsContext::create(CertificateAuthority& authority) {
  return create([&authority](std::string_view name) { return authority.leaf(name); });
}

base::Result<std::unique_ptr<TlsContext>> TlsContext::create(LeafSource source) {
  SSL_CTX* context = SSL_CTX_new(TLS_server_method());
  if (context == nullptr) return base::fail(Errc::kInternal, "tls: cannot make a context");
  std::unique_ptr<TlsContext> owner(new TlsContext(context, std::move(source)));
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_IGNORE_UNEXPECTED_EOF);
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
  // Resumption by ticket; no cache of sessions in the server.
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  constexpr std::array<unsigned char, 7> kSessionContext = {'s', 'a', 'n', 'd', 'l', 'o', 't'};
  SSL_CTX_set_session_id_context(context, kSessionContext.data(), kSessionContext.size());
  SSL_CTX_set_alpn_select_cb(context, choose_protocol, nullptr);
  SSL_CTX_set_tlsext_servername_callback(context, choose_certificate);
  SSL_CTX_set_tlsext_servername_arg(context, &owner->source_);
  return owner;
}

TlsContext::~TlsContext() {
  SSL_CTX_free(context_);
}

base::Result<std::unique_ptr<TlsClientContext>> TlsClientContext::create(std::string_view roots) {
  SSL_CTX* context = SSL_CTX_new(TLS_client_method());
  if (context == nullptr) return base::fail(Errc::kInternal, "tls: cannot make a context");
  std::unique_ptr<TlsClientContext> owner(new TlsClientContext(context));
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION);
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
  constexpr std::array<unsigned char, 9> kHttp11 = {8, 'h', 't', 't', 'p', '/', '1', '.', '1'};
  SSL_CTX_set_alpn_protos(context, kHttp11.data(), kHttp11.size());
  if (roots.size() > INT_MAX) return base::fail(Errc::kInternal, "tls: too many roots");
  BIO* pem = BIO_new_mem_buf(roots.data(), static_cast<int>(roots.size()));
  X509_STORE* store = SSL_CTX_get_cert_store(context);
  while (X509* root = PEM_read_bio_X509(pem, nullptr, nullptr, nullptr)) {
    X509_STORE_add_cert(store, root);
    X509_free(root);
  }
  BIO_free(pem);
  ERR_clear_error();  // the end of the text is one
  return owner;
}

TlsClientContext::~TlsClientContext() {
  SSL_CTX_free(context_);
}

TlsEngine::TlsEngine(const TlsContext& context) : ssl_(SSL_new(context.get())) {
  if (ssl_ == nullptr) return;
  use_memory(ssl_);
  SSL_set_accept_state(ssl_);
}

TlsEngine::TlsEngine(const TlsClientContext& context, const std::string& server_name)
    : ssl_(SSL_new(context.get())) {
  if (ssl_ == nullptr) return;
  use_memory(ssl_);
  SSL_set_connect_state(ssl_);
  bool named = SSL_set_tlsext_host_name(ssl_, server_name.c_str()) == 1 &&
               SSL_set1_host(ssl_, server_name.c_str()) == 1;
  if (named) return;
  SSL_free(ssl_);
  ssl_ = nullptr;
}

TlsEngine::~TlsEngine() {
  SSL_free(ssl_);
}

bool TlsEngine::feed(std::string_view bytes, std::string& plaintext) {
  if (ssl_ == nullptr || bytes.size() > INT_MAX) return false;
  ERR_clear_error();
  if (!bytes.empty()) {
    int taken = BIO_write(SSL_get_rbio(ssl_), bytes.data(), static_cast<int>(bytes.size()));
    if (taken != static_cast<int>(bytes.size())) return false;
  }
  if (!handshake_done_) {
    int result = SSL_do_handshake(ssl_);
    if (result == 1) {
      handshake_done_ = true;
    } else {
      return SSL_get_error(ssl_, result) == SSL_ERROR_WANT_READ;
    }
  }
  constexpr std::size_t kRecord = 16U << 10U;
  for (;;) {
    std::size_t have = plaintext.size();
    plaintext.resize(have + kRecord);
    std::size_t count = 0;
    int result = SSL_read_ex(ssl_, plaintext.data() + have, kRecord, &count);
    plaintext.resize(have + (result == 1 ? count : 0));
    if (result == 1) continue;
    int error = SSL_get_error(ssl_, result);
    if (error == SSL_ERROR_WANT_READ) return true;
    if (error == SSL_ERROR_ZERO_RETURN) {
      closed_by_peer_ = true;
      return true;
    }
    return false;
  }
}

std::string TlsEngine::certificate_problem() const {
  long result = ssl_ == nullptr ? X509_V_OK : SSL_get_verify_result(ssl_);
  return result == X509_V_OK ? std::string() : X509_verify_cert_error_string(result);
}

bool TlsEngine::encrypt(std::string_view plaintext) {
  if (ssl_ == nullptr || !handshake_done_) return false;
  if (plaintext.empty()) return true;
  ERR_clear_error();
  std::size_t count = 0;
  // A memory BIO takes everything.
  return SSL_write_ex(ssl_, plaintext.data(), plaintext.size(), &count) == 1 &&
         count == plaintext.size();
}

void TlsEngine::close() {
  if (ssl_ == nullptr || !handshake_done_) return;
  ERR_clear_error();
  SSL_shutdown(ssl_);
}

void TlsEngine::take_output(std::string& out) {
  if (ssl_ == nullptr) return;
  char* bytes = nullptr;
  BIO* to_network = SSL_get_wbio(ssl_);
  long size = BIO_get_mem_data(to_network, &bytes);
  if (size <= 0) return;
  out.append(bytes, static_cast<std::size_t>(size));
  BIO_reset(to_network);
}

}  // namespace emulator::proxy
