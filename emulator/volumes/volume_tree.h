// Operations on the tree below a volume's root directory: the blocking half of volume_files.cc.
// Paths are absolute, from that root, and clean (clean_path).
#pragma once

#include <string>
#include <vector>

#include "emulator/base/result.h"
#include "emulator/base/unique_fd.h"
#include "fakeapi/cloud/volume_service.h"

namespace emulator::volumes {

// "/a/b" of "a//./b/../b/". kInvalidArgument for a zero byte.
base::Result<std::string> clean_path(const std::string& path);

class VolumeTree {
 public:
  using Entry = fakeapi::cloud::VolumeEntry;
  using Attributes = fakeapi::cloud::EntryAttributes;

  explicit VolumeTree(int root) : root_(root) {}

  // A link itself, not what it points to.
  base::Result<Entry> stat(const std::string& path) const;
  base::Result<std::vector<Entry>> list(const std::string& path, unsigned depth) const;
  base::Result<Entry> make_directory(const std::string& path,
                                     const Attributes& attributes,
                                     bool force) const;
  base::Result<Entry> change(const std::string& path, const Attributes& attributes) const;
  base::Result<> remove(const std::string& path) const;
  // A regular file.
  base::Result<base::UniqueFd> open_file(const std::string& path) const;
  struct NewFile {
    base::UniqueFd fd;
    bool is_new = true;
  };
  base::Result<NewFile> create_file(const std::string& path,
                                    const Attributes& attributes,
                                    bool force) const;
  void unlink(const std::string& path) const;

 private:
  base::Result<base::UniqueFd> open(const std::string& path,
                                    unsigned flags,
                                    unsigned mode = 0) const;
  base::Result<> make_parents(const std::string& path, const Attributes& attributes) const;

  int root_;  // borrowed
};

}  // namespace emulator::volumes
