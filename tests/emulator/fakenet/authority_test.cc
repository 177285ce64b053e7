// Certificates say what is true of their host.
#include "emulator/fakenet/authority.h"

#include <cstdlib>
#include <filesystem>

#include <gtest/gtest.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "emulator/base/posix.h"
#include "emulator/fakenet/host_file.h"

namespace emulator::fakenet {
namespace {

class AuthorityTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "fakenet-ca-XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
    auto opened = Authority::open(directory_ / "ca");
    ASSERT_TRUE(opened) << opened.error().message();
    authority_ = std::move(*opened);
    auto list = parse_hosts(R"({"hosts": [
      {"names": ["acme.test", "*.acme.test"], "addresses": ["192.0.2.1", "192.0.2.2"]},
      {"names": ["other.test"], "addresses": ["192.0.2.3"]}]})");
    ASSERT_TRUE(list);
    auto hosts = Hosts::make(std::move(*list));
    ASSERT_TRUE(hosts);
    hosts_ = std::move(*hosts);
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  std::shared_ptr<const proxy::Leaf> leaf(std::string_view name) {
    auto made = authority_->leaf(hosts_, hosts_.all()[0], name);
    EXPECT_TRUE(made) << made.error().message();
    return made ? *made : nullptr;
  }
  bool matches(std::string_view asked, const std::string& name) {
    return X509_check_host(leaf(asked)->certificate.get(), name.data(), name.size(), 0, nullptr) ==
           1;
  }

  std::filesystem::path directory_;
  std::unique_ptr<Authority> authority_;
  Hosts hosts_;
};

TEST_F(AuthorityTest, ALeafCoversTheNamesAndAddressesOfItsHost) {
  EXPECT_TRUE(matches("", "acme.test"));
  EXPECT_TRUE(matches("", "www.acme.test"));
  EXPECT_EQ(X509_check_ip_asc(leaf("")->certificate.get(), "192.0.2.2", 0), 1);
  EXPECT_NE(X509_check_ip_asc(leaf("")->certificate.get(), "192.0.2.3", 0), 1);
}

TEST_F(AuthorityTest, ANameDeepBelowAWildcardIsInItsLeaf) {
  EXPECT_FALSE(matches("", "a.b.acme.test"));
  EXPECT_TRUE(matches("A.b.acme.test", "a.b.acme.test"));
}

TEST_F(AuthorityTest, ANameOfAnotherHostIsNotCertified) {
  EXPECT_FALSE(matches("other.test", "other.test"));
  EXPECT_TRUE(matches("other.test", "acme.test"));
  EXPECT_FALSE(matches("x,DNS:other.test,DNS:y.acme.test", "other.test"));
}

TEST_F(AuthorityTest, LeavesAreSignedOnceAndTheAuthorityIsKept) {
  EXPECT_EQ(leaf("acme.test"), leaf("acme.test"));
  auto again = Authority::open(directory_ / "ca");
  ASSERT_TRUE(again);
  EXPECT_EQ((*again)->pem(), authority_->pem());
  EXPECT_EQ((*again)->hash().size(), 8U);
  auto mode = std::filesystem::status(directory_ / "ca" / "ca.key").permissions();
  EXPECT_EQ(static_cast<unsigned>(mode), 0600U);
}

}  // namespace
}  // namespace emulator::fakenet
