// The certificate authority in whose name the proxy answers for hosts that have header rules. It
// may sign for every name, so it is another one than the local CA that developers trust: only
// sandboxes do, as the cloud's sandboxes trust the cloud's. Its key never leaves the data
// directory. Used by Interceptor; trusted through the templates.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "emulator/base/result.h"
#include "emulator/proxy/certificates.h"

namespace emulator::intercept {

class Authority {
 public:
  // Made once in the data directory (ca.pem, ca.key), so that templates which trust it stay valid.
  // Blocking.
  static base::Result<std::unique_ptr<Authority>> open(const std::filesystem::path& directory);

  const std::string& pem() const { return pem_; }
  // The name, without ".0", under which OpenSSL looks for it in a directory.
  const std::string& hash() const { return hash_; }

  // The certificate for a host name; kPermissionDenied for anything else. Under a millisecond, and
  // kept.
  base::Result<std::shared_ptr<const proxy::Leaf>> leaf(std::string_view name);

 private:
  Authority(proxy::SigningPair pair, proxy::PrivateKey leaf_key)
      : pair_(std::move(pair)), leaf_key_(std::move(leaf_key)) {}

  proxy::SigningPair pair_;
  proxy::PrivateKey leaf_key_;
  std::string pem_;
  std::string hash_;
  std::map<std::string, std::shared_ptr<const proxy::Leaf>, std::less<>> cache_;  // by name
};

}  // namespace emulator::intercept
