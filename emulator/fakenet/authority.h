// The certificate authority of the fake internet. It may sign for every name, so it is another one
// than the local CA, and only sandboxes of an emulator with `--internet fake` trust it: nothing of
// the real internet is within their reach. Used by FakeInternet.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>

#include "emulator/base/result.h"
#include "emulator/fakenet/hosts.h"
#include "emulator/proxy/certificates.h"

namespace emulator::fakenet {

class Authority {
 public:
  // Made once in the data directory (ca.pem, ca.key), so that templates which trust it stay valid.
  // Blocking.
  static base::Result<std::unique_ptr<Authority>> open(const std::filesystem::path& directory);

  const std::string& pem() const { return pem_; }
  // The name, without ".0", under which OpenSSL looks for it in a directory.
  const std::string& hash() const { return hash_; }
  const std::filesystem::path& file() const { return file_; }

  // The certificate that `host` shows to a client that asks for `name` ("": none): its names and
  // addresses, and `name` when the host serves it.
  base::Result<std::shared_ptr<const proxy::Leaf>> leaf(const Hosts& hosts,
                                                        const Host& host,
                                                        std::string_view name);

 private:
  Authority(proxy::SigningPair pair, proxy::PrivateKey leaf_key, std::filesystem::path file)
      : pair_(std::move(pair)), leaf_key_(std::move(leaf_key)), file_(std::move(file)) {}

  proxy::SigningPair pair_;
  proxy::PrivateKey leaf_key_;
  std::filesystem::path file_;
  std::string pem_;
  std::string hash_;
  std::map<std::string, std::shared_ptr<const proxy::Leaf>> cache_;  // by what is in the leaf
};

}  // namespace emulator::fakenet
