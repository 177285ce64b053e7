#include "emulator/proxy/certificate_authority.h"

#include <array>
#include <ctime>

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "emulator/base/posix.h"

namespace emulator::proxy {

namespace fs = std::filesystem;
using base::Errc;

namespace {

constexpr long kDay = 24L * 3600L;
constexpr std::size_t kCacheSize = 1024;
constexpr const char* kBundleName = "bundle.pem";

// RFC 5280 4.2.1.10: "localhost" permits the name and everything below it. IP names are constrained
// as well, to loopback: the leaf for connections without a server name carries them.
std::string constraints(const HostNames& names) {
  std::string text =
      "critical,permitted;DNS:localhost,permitted;IP:127.0.0.0/255.0.0.0,"
      "permitted;IP:0:0:0:0:0:0:0:1/ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff";
  if (names.domain != "localhost") text += ",permitted;DNS:" + names.domain;
  for (const std::string& extra : names.extra) {
    if (!is_ip_literal(extra)) text += ",permitted;DNS:" + extra;
  }
  return text;
}

// Its constraints let it sign for our names.
bool is_usable(X509* certificate, const HostNames& names) {
  auto* permitted = static_cast<NAME_CONSTRAINTS*>(
      X509_get_ext_d2i(certificate, NID_name_constraints, nullptr, nullptr));
  if (permitted == nullptr) return false;
  auto covers = [permitted](const std::string& name) {
    for (int i = 0; i < sk_GENERAL_SUBTREE_num(permitted->permittedSubtrees); ++i) {
      const GENERAL_NAME* base_name =
          sk_GENERAL_SUBTREE_value(permitted->permittedSubtrees, i)->base;
      if (base_name->type != GEN_DNS) continue;
      const ASN1_IA5STRING* text = base_name->d.dNSName;
      HostNames only{std::string(reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)),
                                 static_cast<std::size_t>(ASN1_STRING_length(text))),
                     {}};
      if (is_local_name(name, only)) return true;
    }
    return false;
  };
  bool good = covers("localhost") && covers(names.domain);
  for (const std::string& extra : names.extra)
    good = good && (is_ip_literal(extra) || covers(extra));
  NAME_CONSTRAINTS_free(permitted);
  return good;
}

std::string system_roots() {
  constexpr std::array<const char*, 4> kPlaces = {"/etc/ssl/certs/ca-certificates.crt",
                                                  "/etc/pki/tls/certs/ca-bundle.crt",
                                                  "/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem"};
  for (const char* place : kPlaces) {
    if (auto text = base::read_file(place)) return *text;
  }
  return {};
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  }
  return out;
}

}  // namespace

base::Result<std::unique_ptr<CertificateAuthority>> CertificateAuthority::open(
    const fs::path& directory, HostNames names) {
  names.domain = lower(names.domain);
  AuthoritySpec spec{"Sandlot local CA", constraints(names)};
  auto usable = [&names](X509* certificate) { return is_usable(certificate, names); };
  SANDLOT_TRY(SigningPair pair, open_signing_pair(directory, spec, usable));
  SANDLOT_TRY(PrivateKey leaf_key, make_key());
  std::unique_ptr<CertificateAuthority> authority(
      new CertificateAuthority(std::move(names), std::move(pair), std::move(leaf_key), directory));
  SANDLOT_TRY(authority->pem_, to_pem(authority->pair_.certificate.get()));
  authority->hash_ = subject_hash(authority->pair_.certificate.get());
  SANDLOT_TRY(std::string own, base::read_file(authority->certificate_file_));
  std::string bundle = system_roots();
  if (!bundle.empty() && bundle.back() != '\n') bundle.push_back('\n');
  bundle.append(own);
  auto present = base::read_file(authority->bundle_file_);
  if (!present || *present != bundle)
    SANDLOT_CHECK(replace_file(authority->bundle_file_, bundle, 0644));
  return authority;
}

CertificateAuthority::CertificateAuthority(HostNames names,
                                           SigningPair pair,
                                           PrivateKey leaf_key,
                                           const fs::path& directory)
    : names_(std::move(names)),
      pair_(std::move(pair)),
      leaf_key_(std::move(leaf_key)),
      certificate_file_(directory / kCertificateName),
      bundle_file_(directory / kBundleName) {}

base::Result<std::shared_ptr<const Leaf>> CertificateAuthority::leaf(std::string_view server_name) {
  std::string name = is_ip_literal(server_name) ? std::string() : lower(server_name);
  if (!name.empty() && !is_local_name(name, names_)) {
    return base::fail(Errc::kPermissionDenied, "no certificate for " + name);
  }
  std::int64_t now = std::time(nullptr);
  if (auto found = cache_.find(name); found != cache_.end()) {
    if (found->second->renew_at > now) {
      recent_.splice(recent_.begin(), recent_, found->second);
      return found->second->leaf;
    }
    recent_.erase(found->second);
    cache_.erase(found);
  }
  std::string alternatives = name.empty() ? "DNS:localhost,IP:127.0.0.1,IP:::1" : "DNS:" + name;
  SANDLOT_TRY(Certificate certificate,
              make_leaf(pair_, leaf_key_.get(), name.empty() ? "localhost" : name, alternatives));
  auto leaf = std::make_shared<Leaf>();
  leaf->certificate = std::move(certificate);
  EVP_PKEY_up_ref(leaf_key_.get());
  leaf->key.reset(leaf_key_.get());
  recent_.push_front({name, leaf, now + 300 * kDay});
  cache_[name] = recent_.begin();
  if (cache_.size() > kCacheSize) {
    cache_.erase(recent_.back().name);
    recent_.pop_back();
  }
  return std::shared_ptr<const Leaf>(std::move(leaf));
}

}  // namespace emulator::proxy
