#include "emulator/proxy/certificates.h"

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
constexpr long kLeafDays = 397;

struct FreeBio {
  void operator()(BIO* bio) const { BIO_free_all(bio); }
};
using Bio = std::unique_ptr<BIO, FreeBio>;

base::Failure broken(const char* what) {
  return base::fail(Errc::kInternal, std::string("certificate authority: ") + what);
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

base::Result<Certificate> make_authority(EVP_PKEY* key, const AuthoritySpec& spec) {
  Certificate certificate(X509_new());
  X509* raw = certificate.get();
  bool good = raw != nullptr && X509_set_version(raw, X509_VERSION_3) == 1 && set_serial(raw) &&
              set_name(raw, spec.common_name + " " + base::random_id(6)) &&
              set_validity(raw, kAuthorityDays) &&
              X509_set_issuer_name(raw, X509_get_subject_name(raw)) == 1 &&
              X509_set_pubkey(raw, key) == 1 &&
              add_extension(raw, raw, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
              add_extension(raw, raw, NID_key_usage, "critical,keyCertSign,cRLSign") &&
              add_extension(raw, raw, NID_subject_key_identifier, "hash") &&
              add_extension(raw, raw, NID_authority_key_identifier, "keyid:always") &&
              (spec.constraints.empty() ||
               add_extension(raw, raw, NID_name_constraints, spec.constraints)) &&
              X509_sign(raw, key, EVP_sha256()) != 0;
  if (!good) return broken("cannot make the CA certificate");
  return certificate;
}

template <class Write>
base::Result<std::string> write_pem(Write write) {
  Bio bio(BIO_new(BIO_s_mem()));
  if (!bio || write(bio.get()) != 1) return broken("cannot write PEM");
  char* bytes = nullptr;
  long size = BIO_get_mem_data(bio.get(), &bytes);
  return std::string(bytes, static_cast<std::size_t>(size));
}

base::Result<SigningPair> load(const fs::path& directory) {
  SANDLOT_TRY(std::string certificate_text, base::read_file(directory / kCertificateName));
  SANDLOT_TRY(std::string key_text, base::read_file(directory / kKeyName));
  Bio certificate_bio(
      BIO_new_mem_buf(certificate_text.data(), static_cast<int>(certificate_text.size())));
  Bio key_bio(BIO_new_mem_buf(key_text.data(), static_cast<int>(key_text.size())));
  SigningPair pair;
  pair.certificate.reset(PEM_read_bio_X509(certificate_bio.get(), nullptr, nullptr, nullptr));
  pair.key.reset(PEM_read_bio_PrivateKey(key_bio.get(), nullptr, nullptr, nullptr));
  if (!pair.certificate || !pair.key ||
      X509_check_private_key(pair.certificate.get(), pair.key.get()) != 1) {
    return broken("the stored files are damaged");
  }
  return pair;
}

// Makes a pair in a directory of its own and renames it into place: there is never half a pair.
base::Result<SigningPair> create(const fs::path& directory, const AuthoritySpec& spec) {
  SANDLOT_TRY(PrivateKey key, make_key());
  SANDLOT_TRY(Certificate certificate, make_authority(key.get(), spec));
  SANDLOT_TRY(std::string certificate_text, to_pem(certificate.get()));
  SANDLOT_TRY(std::string key_text, write_pem([&key](BIO* bio) {
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
  SigningPair pair;
  pair.certificate = std::move(certificate);
  pair.key = std::move(key);
  return pair;
}

bool expires_soon(X509* certificate) {
  time_t soon = std::time(nullptr) + 30 * kDay;
  return X509_cmp_time(X509_get0_notAfter(certificate), &soon) <= 0;
}

}  // namespace

base::Result<PrivateKey> make_key() {
  PrivateKey key(EVP_EC_gen("P-256"));
  if (!key) return broken("cannot make a key");
  return key;
}

base::Result<SigningPair> open_signing_pair(const fs::path& directory,
                                            const AuthoritySpec& spec,
                                            const std::function<bool(X509*)>& usable) {
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
  if (pair && (expires_soon(pair->certificate.get()) || !usable(pair->certificate.get()))) {
    base::log::warn("ca.replaced", {{"path", directory.string()},
                                    {"reason", "expired, or made for another domain"}});
    pair = broken("not usable");
  }
  if (pair) return pair;
  // What is there is of no use; a directory can only be renamed onto an empty one.
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(directory, ignored))
    fs::remove(entry.path(), ignored);
  return create(directory, spec);
}

base::Result<Certificate> make_leaf(const SigningPair& signer,
                                    EVP_PKEY* key,
                                    const std::string& common_name,
                                    const std::string& alternatives) {
  X509* issuer = signer.certificate.get();
  Certificate certificate(X509_new());
  X509* raw = certificate.get();
  bool good = raw != nullptr && X509_set_version(raw, X509_VERSION_3) == 1 && set_serial(raw) &&
              set_name(raw, common_name) && set_validity(raw, kLeafDays) &&
              X509_set_issuer_name(raw, X509_get_subject_name(issuer)) == 1 &&
              X509_set_pubkey(raw, key) == 1 &&
              add_extension(raw, issuer, NID_basic_constraints, "critical,CA:FALSE") &&
              add_extension(raw, issuer, NID_key_usage, "critical,digitalSignature") &&
              add_extension(raw, issuer, NID_ext_key_usage, "serverAuth") &&
              add_extension(raw, issuer, NID_subject_key_identifier, "hash") &&
              add_extension(raw, issuer, NID_authority_key_identifier, "keyid:always") &&
              add_extension(raw, issuer, NID_subject_alt_name, alternatives) &&
              X509_sign(raw, signer.key.get(), EVP_sha256()) != 0;
  if (!good) return broken("cannot make a certificate");
  return certificate;
}

base::Result<std::string> to_pem(X509* certificate) {
  return write_pem([certificate](BIO* bio) { return PEM_write_bio_X509(bio, certificate); });
}

std::string subject_hash(X509* certificate) {
  std::array<char, 9> hex{};
  std::snprintf(hex.data(), hex.size(), "%08lx",
                X509_NAME_hash_ex(X509_get_subject_name(certificate), nullptr, nullptr, nullptr));
  return hex.data();
}

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

}  // namespace emulator::proxy
