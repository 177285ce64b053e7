#include "emulator/intercept/authority.h"

#include <openssl/evp.h>

#include "netfilter/domain_pattern.h"

namespace emulator::intercept {

namespace {

constexpr std::size_t kCacheSize = 1024;

}  // namespace

base::Result<std::unique_ptr<Authority>> Authority::open(const std::filesystem::path& directory) {
  proxy::AuthoritySpec spec{"Sandlot egress CA", ""};
  SANDLOT_TRY(auto pair, proxy::open_signing_pair(directory, spec, [](x509_st*) { return true; }));
  SANDLOT_TRY(auto leaf_key, proxy::make_key());
  std::unique_ptr<Authority> authority(new Authority(std::move(pair), std::move(leaf_key)));
  SANDLOT_TRY(authority->pem_, proxy::to_pem(authority->pair_.certificate.get()));
  authority->hash_ = proxy::subject_hash(authority->pair_.certificate.get());
  return authority;
}

base::Result<std::shared_ptr<const proxy::Leaf>> Authority::leaf(std::string_view name) {
  // The list of names in a certificate is text: nothing but a host name may get into it.
  auto host = netfilter::normalise_name(name);
  if (!host || name.find(':') != std::string_view::npos)
    return base::fail(base::Errc::kPermissionDenied, "no certificate for such a name");
  if (auto found = cache_.find(*host); found != cache_.end()) return found->second;
  auto leaf = std::make_shared<proxy::Leaf>();
  SANDLOT_TRY(leaf->certificate, proxy::make_leaf(pair_, leaf_key_.get(), *host, "DNS:" + *host));
  EVP_PKEY_up_ref(leaf_key_.get());
  leaf->key.reset(leaf_key_.get());
  if (cache_.size() >= kCacheSize) cache_.clear();
  cache_[*host] = leaf;
  return std::shared_ptr<const proxy::Leaf>(std::move(leaf));
}

}  // namespace emulator::intercept
