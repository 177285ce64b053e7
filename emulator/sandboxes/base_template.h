// The `base` template, derived from this machine: a skeleton root and a layer that goes over the
// machine's /usr. Used by the application before it fills the TemplateStore. Downloads nothing,
// mounts nothing, changes nothing of the machine. What is in it and why: docs/base-template.md.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "emulator/base/result.h"

namespace emulator::sandboxes {

// Two overlays make the sandbox's root of it: root_layers = {rootfs}, usr_layers = {usr, "/usr"}.
struct BaseTemplate {
  std::filesystem::path
      rootfs;  // owners on disk are the ids seen inside (0, 1000, ...): mount it idmapped
  std::filesystem::path usr;  // whiteouts and opaque directories over the machine's /usr
  bool built = false;         // false: it was there already
};

// A certificate authority that sandboxes trust beside those of the machine.
struct TrustedRoot {
  std::string name;  // of its files: "sandlot-fake-internet"
  std::string pem;
  std::string hash;  // OpenSSL's subject hash, 8 hex digits
};

// Makes <template_dir>/<fingerprint>/{rootfs,usr} or finds it there. Blocking: tens of milliseconds
// when it builds, well under one when it finds. The fingerprint covers our recipe and what is read
// from the machine, so either change gives a new directory; sandboxes on an older one keep theirs.
// Atomic: a version appears complete or not at all, also with several processes at once. Needs root
// (owners, trusted.* attributes).
//   roots    a change of these makes a new version, too
//   host     the machine's root, "/" but in tests
//   errors   kFailedPrecondition when the machine has no merged /usr or the file system of
//   template_dir takes no
//            trusted.* attributes; otherwise the failing path and errno
base::Result<BaseTemplate> derive_base_template(const std::filesystem::path& template_dir,
                                                const std::filesystem::path& host = "/",
                                                const std::vector<TrustedRoot>& roots = {});

}  // namespace emulator::sandboxes
