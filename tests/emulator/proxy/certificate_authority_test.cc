#include "emulator/proxy/certificate_authority.h"

#include <sys/stat.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "emulator/base/ids.h"
#include "emulator/base/posix.h"

namespace emulator::proxy {
namespace {

namespace fs = std::filesystem;

struct CertificateAuthorityTest : testing::Test {
  CertificateAuthorityTest() { fs::create_directories(root); }
  ~CertificateAuthorityTest() override { fs::remove_all(root); }
  std::unique_ptr<CertificateAuthority> open(HostNames names = {}) {
    auto authority = CertificateAuthority::open(root / "data" / "ca", std::move(names));
    EXPECT_TRUE(authority.has_value()) << (authority ? "" : authority.error().message());
    return std::move(*authority);
  }
  std::string pem() { return *base::read_file(root / "data" / "ca" / "ca.pem"); }
  fs::path root = fs::temp_directory_path() / ("sandlot-ca-" + base::random_id(8));
};

// X509_V_OK or OpenSSL's code, for the leaf presented as `host`.
int verify(const std::string& ca_pem,
           X509* leaf,
           const std::string& host,
           bool is_address = false) {
  BIO* bio = BIO_new_mem_buf(ca_pem.data(), static_cast<int>(ca_pem.size()));
  X509* ca = PEM_read_bio_X509(bio, nullptr, nullptr, nullptr);
  BIO_free(bio);
  X509_STORE* store = X509_STORE_new();
  X509_STORE_add_cert(store, ca);
  X509_STORE_CTX* context = X509_STORE_CTX_new();
  X509_STORE_CTX_init(context, store, leaf, nullptr);
  X509_VERIFY_PARAM* parameters = X509_STORE_CTX_get0_param(context);
  X509_VERIFY_PARAM_set_purpose(parameters, X509_PURPOSE_SSL_SERVER);
  X509_VERIFY_PARAM_set_flags(parameters, X509_V_FLAG_X509_STRICT);
  if (is_address) {
    X509_VERIFY_PARAM_set1_ip_asc(parameters, host.c_str());
  } else {
    X509_VERIFY_PARAM_set1_host(parameters, host.c_str(), 0);
  }
  X509_verify_cert(context);
  int error = X509_STORE_CTX_get_error(context);
  X509_STORE_CTX_free(context);
  X509_STORE_free(store);
  X509_free(ca);
  return error;
}

TEST_F(CertificateAuthorityTest, IsMadeOnceAndKeptPrivate) {
  auto authority = open();
  std::string first = pem();
  struct stat info {};
  ASSERT_EQ(::stat((root / "data" / "ca" / "ca.key").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777U, 0600U);
  authority = open();
  EXPECT_EQ(pem(), first);
  EXPECT_EQ(authority->certificate_file(), root / "data" / "ca" / "ca.pem");
  EXPECT_THAT(*base::read_file(authority->bundle_file()), testing::EndsWith(first));
  // Nothing half-made lies about.
  for (const auto& entry : fs::directory_iterator(root / "data")) {
    EXPECT_TRUE(entry.path().filename() == "ca" || entry.path().filename() == "ca.lock")
        << entry.path();
  }
}

TEST_F(CertificateAuthorityTest, IsMadeAnewWhenDamagedOrForAnotherDomain) {
  open();
  std::string first = pem();
  ASSERT_TRUE(base::write_file(root / "data" / "ca" / "ca.key", "damaged").has_value());
  open();
  std::string second = pem();
  EXPECT_NE(second, first);
  open({"sbx.test", {}});
  std::string third = pem();
  EXPECT_NE(third, second);
  open({"sbx.test", {}});
  open({"deep.sbx.test", {}});
  EXPECT_EQ(pem(), third);
}

TEST_F(CertificateAuthorityTest, LeavesAreGoodForExactlyTheirName) {
  auto authority = open({"sbx.test", {}});
  auto leaf = authority->leaf("3000-Abc.localhost");
  ASSERT_TRUE(leaf.has_value());
  X509* certificate = (*leaf)->certificate.get();
  EXPECT_EQ(verify(pem(), certificate, "3000-abc.localhost"), X509_V_OK);
  EXPECT_EQ(verify(pem(), certificate, "3001-abc.localhost"), X509_V_ERR_HOSTNAME_MISMATCH);
  EXPECT_EQ(
      verify(pem(), (*authority->leaf("49983-x.sbx.test"))->certificate.get(), "49983-x.sbx.test"),
      X509_V_OK);
  EXPECT_EQ(verify(pem(), (*authority->leaf("localhost"))->certificate.get(), "localhost"),
            X509_V_OK);
  int days = 0;
  int seconds = 0;
  ASN1_TIME_diff(&days, &seconds, X509_get0_notBefore(certificate),
                 X509_get0_notAfter(certificate));
  EXPECT_LE(days, 398);
  EXPECT_GT(days, 300);
}

TEST_F(CertificateAuthorityTest, WithoutANameTheLeafIsForLoopback) {
  auto authority = open();
  for (const char* name : {"", "127.0.0.1", "::1"}) {
    auto leaf = authority->leaf(name);
    ASSERT_TRUE(leaf.has_value());
    X509* certificate = (*leaf)->certificate.get();
    EXPECT_EQ(verify(pem(), certificate, "127.0.0.1", true), X509_V_OK);
    EXPECT_EQ(verify(pem(), certificate, "::1", true), X509_V_OK);
    EXPECT_EQ(verify(pem(), certificate, "localhost"), X509_V_OK);
  }
  EXPECT_EQ(authority->cached(), 1U);
}

TEST_F(CertificateAuthorityTest, ForeignNamesGetNone) {
  auto authority = open();
  for (const char* name :
       {"example.com", "localhost.example.com", "*.localhost", "evil\nname.localhost"}) {
    auto leaf = authority->leaf(name);
    ASSERT_FALSE(leaf.has_value()) << name;
    EXPECT_EQ(leaf.error().code(), base::Errc::kPermissionDenied);
  }
}

TEST_F(CertificateAuthorityTest, KeepsTheLeavesThatAreUsed) {
  auto authority = open();
  auto first = *authority->leaf("1-a.localhost");
  for (int n = 0; n < 1100; ++n) {
    ASSERT_TRUE(authority->leaf(std::to_string(n) + "-b.localhost").has_value());
    ASSERT_EQ(*authority->leaf("1-a.localhost"), first);
  }
  EXPECT_EQ(authority->cached(), 1024U);
}

}  // namespace
}  // namespace emulator::proxy
