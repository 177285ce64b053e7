// The local certificate authority: made once in the data directory, name-constrained to `localhost`
// and the configured domain, and the leaves it signs on demand, one per server name. Used by TLS
// (leaf) and by the application (the files that clients are pointed to). Does not install trust
// anywhere.
//   source  contract-network 5.8: exact-name leaves, because clients refuse `*.localhost`
#pragma once

#include <cstddef>
#include <filesystem>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "emulator/base/result.h"
#include "emulator/proxy/certificates.h"
#include "emulator/proxy/sandbox_host.h"

namespace emulator::proxy {

class CertificateAuthority {
 public:
  // Loads `<directory>/ca.pem` and `ca.key` (mode 0600), or makes them; two processes that start at
  // once end with the same one. Made anew when the stored one has expired or does not cover the
  // domain. Writes bundle.pem (the system's roots and ours). Blocking.
  static base::Result<std::unique_ptr<CertificateAuthority>> open(
      const std::filesystem::path& directory, HostNames names);

  // The leaf for a server name (any case); "" or an IP literal: for localhost, 127.0.0.1 and ::1.
  // Signs on a cache miss (under a millisecond). kPermissionDenied: not a name of ours.
  base::Result<std::shared_ptr<const Leaf>> leaf(std::string_view server_name);

  const std::filesystem::path& certificate_file() const { return certificate_file_; }
  const std::string& pem() const { return pem_; }
  // The name, without ".0", under which OpenSSL looks for it in a directory.
  const std::string& hash() const { return hash_; }
  const std::filesystem::path& bundle_file() const { return bundle_file_; }
  std::size_t cached() const { return cache_.size(); }

 private:
  CertificateAuthority(HostNames names,
                       SigningPair pair,
                       PrivateKey leaf_key,
                       const std::filesystem::path& directory);

  HostNames names_;
  SigningPair pair_;
  PrivateKey leaf_key_;  // one key for all leaves of this process
  std::string pem_;
  std::string hash_;
  std::filesystem::path certificate_file_;
  std::filesystem::path bundle_file_;
  struct Cached {
    std::string name;
    std::shared_ptr<const Leaf> leaf;
    std::int64_t renew_at = 0;  // seconds since the epoch
  };
  std::list<Cached> recent_;  // newest use first
  std::unordered_map<std::string, std::list<Cached>::iterator> cache_;
};

}  // namespace emulator::proxy
