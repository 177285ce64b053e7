// A small file system of a test's own, to be filled. Mounted for as long as the object lives.
#pragma once

#include <sys/mount.h>

#include <filesystem>

namespace tests::integration {

class SmallDisk {
 public:
  SmallDisk(const std::filesystem::path& where, const char* options) : where_(where) {
    std::filesystem::create_directories(where);
    mounted_ = ::mount("sandlot-test", where.c_str(), "tmpfs", 0, options) == 0;
  }
  ~SmallDisk() {
    if (mounted_) ::umount2(where_.c_str(), MNT_DETACH);
  }
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;
  bool mounted() const { return mounted_; }

 private:
  std::filesystem::path where_;
  bool mounted_ = false;
};

}  // namespace tests::integration
