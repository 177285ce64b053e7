// The owner of a loop device: a file as a block device. The kernel lets go of the device when the
// last user does (a mounted file system is one), so a killed emulator leaves none. Used by
// volume_image.cc; needs root. Blocking.
#pragma once

#include <filesystem>
#include <string>

#include "emulator/base/result.h"
#include "emulator/base/unique_fd.h"

namespace namespaces {

class LoopDevice {
 public:
  // Whether this machine gives any (a container often does not). kUnimplemented with the reason.
  static base::Result<> available();
  // `nodes`: a directory where a device node may be made when /dev has none for the device.
  static base::Result<LoopDevice> attach(const base::UniqueFd& file,
                                         const std::filesystem::path& nodes);

  const std::string& path() const { return path_; }
  // The file has grown.
  base::Result<> refresh_size();

 private:
  LoopDevice(base::UniqueFd device, std::string path)
      : device_(std::move(device)), path_(std::move(path)) {}

  base::UniqueFd device_;
  std::string path_;
};

}  // namespace namespaces
