// Writes a root file system below one directory: exact modes and owners whatever the umask, and
// copies from the machine that leave secrets behind. Used by base_template.cc. Follows no symbolic
// link below its root.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <functional>
#include <string_view>

#include "emulator/base/result.h"

namespace emulator::sandboxes {

struct Owner {
  uid_t uid = 0;
  gid_t gid = 0;
};

class TemplateTree {
 public:
  // `root` must exist; `host` is where copies come from ("/" but in tests).
  TemplateTree(std::filesystem::path root, std::filesystem::path host);

  // All paths are relative to the root, without a leading slash. An existing directory only gets
  // mode and owner.
  base::Result<> directory(std::string_view path, mode_t mode = 0755, Owner owner = {});
  base::Result<> file(std::string_view path,
                      std::string_view text,
                      mode_t mode = 0644,
                      Owner owner = {});
  base::Result<> link(std::string_view path, std::string_view target);
  // Overlay: the name below is gone; the directory's lower content is hidden.
  base::Result<> whiteout(std::string_view path);
  base::Result<> opaque(std::string_view path);

  using Keep = std::function<bool(const std::filesystem::path&)>;
  // Copies a file, link or directory tree of the machine, owned by root (symbolic links are
  // hard-linked where possible). Left behind: what is missing there, what is not readable by
  // everybody (a secret until proved otherwise), sockets and devices, files over 4 MiB, links that
  // leave /usr and /etc or enter /usr/local, and what `keep` (asked with the path as on the
  // machine) refuses.
  base::Result<> copy(std::string_view path, const Keep& keep = nullptr);
  // As copy, but files are hard links where the file system allows it: for thousands of small files
  // that nobody changes in place (dpkg replaces its files). The tree is a read-only lower layer, so
  // nothing can write through them.
  base::Result<> link_files(std::string_view path);

  // The machine's own path for one of ours.
  std::filesystem::path on_host(std::string_view path) const { return host_ / path; }

 private:
  base::Result<> copy_entry(const std::filesystem::path& relative,
                            const Keep& keep,
                            bool hard_links);
  base::Result<> own(const std::filesystem::path& path, mode_t mode, Owner owner);

  std::filesystem::path root_;
  std::filesystem::path host_;
};

}  // namespace emulator::sandboxes
