#include "emulator/proxy/certificate_authority.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <ctime>
#include <system_error>

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "emulator/base/ids.h"
#include "emulator/base/log.h"
#include "emulator/base/posix.h"

namespace emulator::proxy {

namespace fs = std::filesystem;
using base::Errc;

void FreeCertificate::operator()(x509_st* certificate) const {
  X509_free(certificate);
}
void FreeKey::operator()(evp_pkey_st* key) const {
  EVP_PKEY_free(key);
}

namespace {

constexpr long kDay = 24L * 3600L;
constexpr long kAuthorityDays = 3650;
constexpr long kLeafDays = 397;  // clients refuse more than 398
constexpr std::size_t kCacheSize = 1024;
constexpr const char* kCertificateName = "ca.pem";
constexpr const char* kKeyName = "ca.key";
constexpr const char* kBundleName = "bundle.pem";

struct FreeBio {
  void operator()(BIO* bio) const { BIO_free_all(bio); }
};
using Bio = std::unique_ptr<BIO, FreeBio>;

base::Failure broken(const char* what) {
  return base::fail(Errc::kInternal, std::string("certificate authority: ") + what);
}

base::Result<PrivateKey> make_key() {
  PrivateKey key(EVP_EC_gen("P-256"));
  if (!key) return broken("cannot make a key");
  return key;
}

bool add_extension(X509* certificate, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str());
  if (extension == nullptr) return false;
  bool good = X509_add_ext(certificate, extension, -1) == 1;
  X509_EXTENSION_free(extension);
  return good;
}

bool set_serial(X509* certificate) {
  std::array<unsigned char, 16> bytes{};
  if (RAND_bytes(bytes.data(), bytes.size()) != 1) return false;
  bytes[0] = static_cast<unsigned char>((bytes[0] & 0x3fU) | 0x40U);  // positive, never short
  BIGNUM* number = BN_bin2bn(bytes.data(), bytes.size(), nullptr);
  bool good = number != nullptr &&
              BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate)) != nullptr;
  BN_free(number);
  return good;
}

bool set_name(X509* certificate, const std::string& common_name) {
  X509_NAME* name = X509_get_subject_name(certificate);
  auto add = [name](const char* field, const std::string& text) {
    return X509_NAME_add_entry_by_txt(name, field, MBSTRING_UTF8,
                                      reinterpret_cast<const unsigned char*>(text.c_str()), -1, -1,
                                      0) == 1;
  };
  // A common name holds 64 characters; the SAN is what counts.
  return add("O", "Sandlot") && add("CN", common_name.substr(0, 64));
}

bool set_validity(X509* certificate, long days) {
  // A day back, for clocks that differ (containers, virtual machines).
  return X509_gmtime_adj(X509_getm_notBefore(certificate), -kDay) != nullptr &&
         X509_gmtime_adj(X509_getm_notAfter(certificate), (days - 1) * kDay) != nullptr;
}

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

base::Result<Certificate> make_authority(EVP_PKEY* key, const HostNames& names) {
  Certificate certificate(X509_new());
  X509* raw = certificate.get();
  bool good = raw != nullptr && X509_set_version(raw, X509_VERSION_3) == 1 && set_serial(raw) &&
              set_name(raw, "Sandlot local CA " + base::random_id(6)) &&
              set_validity(raw, kAuthorityDays) &&
              X509_set_issuer_name(raw, X509_get_subject_name(raw)) == 1 &&
              X509_set_pubkey(raw, key) == 1 &&
              add_extension(raw, raw, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
              add_extension(raw, raw, NID_key_usage, "critical,keyCertSign,cRLSign") &&
              add_extension(raw, raw, NID_subject_key_identifier, "hash") &&
              add_extension(raw, raw, NID_authority_key_identifier, "keyid:always") &&
              add_extension(raw, raw, NID_name_constraints, constraints(names)) &&
              X509_sign(raw, key, EVP_sha256()) != 0;
  if (!good) return broken("cannot make the CA certificate");
  return certificate;
}

base::Result<Certificate> make_leaf(X509* issuer,
                                    EVP_PKEY* issuer_key,
                                    EVP_PKEY* key,
                                    const std::string& name) {
  Certificate certificate(X509_new());
  X509* raw = certificate.get();
  std::string alternatives = name.empty() ? "DNS:localhost,IP:127.0.0.1,IP:::1" : "DNS:" + name;
  bool good = raw != nullptr && X509_set_version(raw, X509_VERSION_3) == 1 && set_serial(raw) &&
              set_name(raw, name.empty() ? "localhost" : name) && set_validity(raw, kLeafDays) &&
              X509_set_issuer_name(raw, X509_get_subject_name(issuer)) == 1 &&
              X509_set_pubkey(raw, key) == 1 &&
              add_extension(raw, issuer, NID_basic_constraints, "critical,CA:FALSE") &&
              add_extension(raw, issuer, NID_key_usage, "critical,digitalSignature") &&
              add_extension(raw, issuer, NID_ext_key_usage, "serverAuth") &&
              add_extension(raw, issuer, NID_subject_key_identifier, "hash") &&
              add_extension(raw, issuer, NID_authority_key_identifier, "keyid:always") &&
              add_extension(raw, issuer, NID_subject_alt_name, alternatives) &&
              X509_sign(raw, issuer_key, EVP_sha256()) != 0;
  if (!good) return broken("cannot make a certificate");
  return certificate;
}

template <class Write>
base::Result<std::string> to_pem(Write write) {
  Bio bio(BIO_new(BIO_s_mem()));
  if (!bio || write(bio.get()) != 1) return broken("cannot write PEM");
  char* bytes = nullptr;
  long size = BIO_get_mem_data(bio.get(), &bytes);
  return std::string(bytes, static_cast<std::size_t>(size));
}

// Written beside its place and renamed, so that nobody reads half a file.
base::Result<> replace_file(const fs::path& path, std::string_view text, mode_t mode) {
  fs::path fresh = path;
  fresh += "." + base::random_id(8);
  SANDLOT_TRY(auto fd, base::open_file(fresh, O_WRONLY | O_CREAT | O_EXCL, mode));
  SANDLOT_CHECK(base::write_all(fd.get(), text));
  if (::fchmod(fd.get(), mode) != 0) return base::fail_errno("chmod " + fresh.string());
  if (::rename(fresh.c_str(), path.c_str()) != 0) {
    auto failure = base::fail_errno("rename " + fresh.string());
    ::unlink(fresh.c_str());
    return failure;
  }
  return {};
}

struct Pair {
  Certificate certificate;
  PrivateKey key;
};

base::Result<Pair> load(const fs::path& directory) {
  SANDLOT_TRY(std::string certificate_text, base::read_file(directory / kCertificateName));
  SANDLOT_TRY(std::string key_text, base::read_file(directory / kKeyName));
  Bio certificate_bio(
      BIO_new_mem_buf(certificate_text.data(), static_cast<int>(certificate_text.size())));
  Bio key_bio(BIO_new_mem_buf(key_text.data(), static_cast<int>(key_text.size())));
  Pair pair;
  pair.certificate.reset(PEM_read_bio_X509(certificate_bio.get(), nullptr, nullptr, nullptr));
  pair.key.reset(PEM_read_bio_PrivateKey(key_bio.get(), nullptr, nullptr, nullptr));
  if (!pair.certificate || !pair.key ||
      X509_check_private_key(pair.certificate.get(), pair.key.get()) != 1) {
    return broken("the stored files are damaged");
  }
  return pair;
}

// Valid for a month more, and its constraints let it sign for our names.
bool is_usable(X509* certificate, const HostNames& names) {
  time_t soon = std::time(nullptr) + 30 * kDay;
  if (X509_cmp_time(X509_get0_notAfter(certificate), &soon) <= 0) return false;
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

// Makes a pair in a directory of its own and renames it into place: there is never half a pair.
base::Result<Pair> create(const fs::path& directory, const HostNames& names) {
  SANDLOT_TRY(PrivateKey key, make_key());
  SANDLOT_TRY(Certificate certificate, make_authority(key.get(), names));
  SANDLOT_TRY(std::string certificate_text, to_pem([&certificate](BIO* bio) {
                return PEM_write_bio_X509(bio, certificate.get());
              }));
  SANDLOT_TRY(std::string key_text, to_pem([&key](BIO* bio) {
                return PEM_write_bio_PrivateKey(bio, key.get(), nullptr, nullptr, 0, nullptr,
                                                nullptr);
              }));
  fs::path fresh = directory;
  fresh += "." + base::random_id(8);
  SANDLOT_CHECK(base::make_directories(fresh, 0755));
  SANDLOT_CHECK(replace_file(fresh / kKeyName, key_text, 0600));
  SANDLOT_CHECK(replace_file(fresh / kCertificateName, certificate_text, 0644));
  std::error_code ignored;
  if (::rename(fresh.c_str(), directory.c_str()) != 0) {
    auto failure = base::fail_errno("rename " + fresh.string());
    fs::remove_all(fresh, ignored);
    return failure;
  }
  Pair pair;
  pair.certificate = std::move(certificate);
  pair.key = std::move(key);
  return pair;
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
  if (directory.has_parent_path())
    SANDLOT_CHECK(base::make_directories(directory.parent_path(), 0755));
  // One process at a time looks and makes; the lock file stays.
  fs::path lock_file = directory;
  lock_file += ".lock";
  SANDLOT_TRY(auto lock, base::open_file(lock_file, O_RDWR | O_CREAT, 0600));
  while (::flock(lock.get(), LOCK_EX) != 0) {
    if (errno != EINTR) return base::fail_errno("lock " + lock_file.string());
  }
  auto pair = load(directory);
  if (pair && !is_usable(pair->certificate.get(), names)) {
    base::log::warn("ca.replaced", {{"path", directory.string()},
                                    {"reason", "expired, or made for another domain"}});
    pair = broken("not usable");
  }
  if (!pair) {
    // What is there is of no use; a directory can only be renamed onto an empty one.
    std::error_code ignored;
    for (const char* name : {kCertificateName, kKeyName, kBundleName})
      fs::remove(directory / name, ignored);
    pair = create(directory, names);
  }
  if (!pair) return base::fail(std::move(pair).error());
  SANDLOT_TRY(PrivateKey leaf_key, make_key());
  std::unique_ptr<CertificateAuthority> authority(
      new CertificateAuthority(std::move(names), std::move(pair->certificate), std::move(pair->key),
                               std::move(leaf_key), directory));
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
                                           Certificate certificate,
                                           PrivateKey key,
                                           PrivateKey leaf_key,
                                           const fs::path& directory)
    : names_(std::move(names)),
      certificate_(std::move(certificate)),
      key_(std::move(key)),
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
  SANDLOT_TRY(Certificate certificate,
              make_leaf(certificate_.get(), key_.get(), leaf_key_.get(), name));
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
