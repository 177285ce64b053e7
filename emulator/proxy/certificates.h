// X.509 as Sandlot needs it: keys, authorities, the leaves they sign, and an authority's pair of
// files on disk. Used by the local CA (certificate_authority.h) and by the fake internet's. Knows
// no names and no policy: the callers say what a certificate is for.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "emulator/base/result.h"

struct x509_st;
struct evp_pkey_st;

namespace emulator::proxy {

struct FreeCertificate {
  void operator()(x509_st* certificate) const;
};
struct FreeKey {
  void operator()(evp_pkey_st* key) const;
};
using Certificate = std::unique_ptr<x509_st, FreeCertificate>;
using PrivateKey = std::unique_ptr<evp_pkey_st, FreeKey>;

struct Leaf {
  Certificate certificate;
  PrivateKey key;
};

// An authority's certificate and key.
struct SigningPair {
  Certificate certificate;
  PrivateKey key;
};

inline constexpr const char* kCertificateName = "ca.pem";
inline constexpr const char* kKeyName = "ca.key";

// A P-256 key.
base::Result<PrivateKey> make_key();

// What a new authority is: its common name (a random word follows it, so that no two are confused)
// and its name constraints (X509V3 text, "" for none).
struct AuthoritySpec {
  std::string common_name;
  std::string constraints;
};

// Loads `<directory>/ca.pem` and `ca.key` (mode 0600), or makes them; two processes that start at
// once end with the same pair. A pair that is damaged, expires within a month or is refused by
// `usable` is replaced. Blocking.
base::Result<SigningPair> open_signing_pair(const std::filesystem::path& directory,
                                            const AuthoritySpec& spec,
                                            const std::function<bool(x509_st*)>& usable);

// A server certificate, valid for 397 days (clients refuse more than 398). `alternatives` is X509V3
// text: "DNS:example.com,IP:192.0.2.1". Under a millisecond.
base::Result<Certificate> make_leaf(const SigningPair& issuer,
                                    evp_pkey_st* key,
                                    const std::string& common_name,
                                    const std::string& alternatives);

base::Result<std::string> to_pem(x509_st* certificate);
// The name under which OpenSSL finds the certificate in a directory: "1a2b3c4d".
std::string subject_hash(x509_st* certificate);

// Written beside its place and renamed, so that nobody reads half a file.
base::Result<> replace_file(const std::filesystem::path& path, std::string_view text, mode_t mode);

}  // namespace emulator::proxy
