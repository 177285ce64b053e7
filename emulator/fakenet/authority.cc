#include "emulator/fakenet/authority.h"

#include <openssl/evp.h>

namespace emulator::fakenet {

namespace {

constexpr std::size_t kCacheSize = 1024;

bool is_host_name(std::string_view name) {
  constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyz0123456789-_.";
  return !name.empty() && name.size() <= 253 &&
         name.find_first_not_of(kLetters) == std::string_view::npos;
}

}  // namespace

base::Result<std::unique_ptr<Authority>> Authority::open(const std::filesystem::path& directory) {
  proxy::AuthoritySpec spec{"Sandlot fake internet CA", ""};
  SANDLOT_TRY(auto pair, proxy::open_signing_pair(directory, spec, [](x509_st*) { return true; }));
  SANDLOT_TRY(auto leaf_key, proxy::make_key());
  std::unique_ptr<Authority> authority(
      new Authority(std::move(pair), std::move(leaf_key), directory / proxy::kCertificateName));
  SANDLOT_TRY(authority->pem_, proxy::to_pem(authority->pair_.certificate.get()));
  authority->hash_ = proxy::subject_hash(authority->pair_.certificate.get());
  return authority;
}

base::Result<std::shared_ptr<const proxy::Leaf>> Authority::leaf(const Hosts& hosts,
                                                                 const Host& host,
                                                                 std::string_view name) {
  std::string asked(name);
  for (char& c : asked) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  std::string common_name;
  std::string alternatives;
  auto add = [&](const char* kind, const std::string& value) {
    if (common_name.empty()) common_name = value;
    alternatives.append(alternatives.empty() ? "" : ",").append(kind).append(value);
  };
  // A name that it does not serve gets the host's own certificate, as in the real internet; the
  // letters are checked because the list of names is text.
  if (is_host_name(asked) && hosts.serves(host, asked)) add("DNS:", asked);
  for (const std::string& each : host.names) {
    if (each != asked) add("DNS:", each);
  }
  for (const Ipv4& address : host.addresses) add("IP:", netfilter::to_string(address));
  if (auto found = cache_.find(alternatives); found != cache_.end()) return found->second;
  auto leaf = std::make_shared<proxy::Leaf>();
  SANDLOT_TRY(leaf->certificate,
              proxy::make_leaf(pair_, leaf_key_.get(), common_name, alternatives));
  EVP_PKEY_up_ref(leaf_key_.get());
  leaf->key.reset(leaf_key_.get());
  if (cache_.size() >= kCacheSize) cache_.clear();
  cache_[alternatives] = leaf;
  return std::shared_ptr<const proxy::Leaf>(std::move(leaf));
}

}  // namespace emulator::fakenet
