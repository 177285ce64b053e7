#include "namespaces/loop_device.h"

#include <fcntl.h>
#include <linux/loop.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "emulator/base/posix.h"

namespace namespaces {

using base::Result;
using base::UniqueFd;

namespace {

constexpr unsigned kLoopMajor = 7;
// Somebody else may take the free device between asking for it and configuring it.
constexpr int kAttempts = 32;

Result<UniqueFd> open_control() {
  UniqueFd control(::open("/dev/loop-control", O_RDWR | O_CLOEXEC));
  if (control) return control;
  base::Error reason = base::os_error("open /dev/loop-control");
  return base::fail(base::Error(base::Errc::kUnimplemented,
                                "this machine gives no loop devices (" + reason.message() + ")",
                                errno));
}

// Where no udev and no devtmpfs makes the node (a container), we do.
Result<std::string> node_of(int number, const std::filesystem::path& nodes) {
  std::string path = "/dev/loop" + std::to_string(number);
  struct stat info {};
  if (::stat(path.c_str(), &info) == 0 && S_ISBLK(info.st_mode)) return path;
  path = (nodes / ("loop" + std::to_string(number))).string();
  dev_t device = makedev(kLoopMajor, static_cast<unsigned>(number));
  if (::mknod(path.c_str(), S_IFBLK | 0600, device) != 0 && errno != EEXIST) {
    return base::fail_errno("make a node for a loop device");
  }
  return path;
}

}  // namespace

Result<> LoopDevice::available() {
  SANDLOT_TRY(auto control, open_control());
  int number = ::ioctl(control.get(), LOOP_CTL_GET_FREE);
  if (number >= 0) return {};
  return base::fail(base::Errc::kUnimplemented, "this machine gives no free loop device");
}

Result<LoopDevice> LoopDevice::attach(const UniqueFd& file, const std::filesystem::path& nodes) {
  SANDLOT_TRY(auto control, open_control());
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    int number = ::ioctl(control.get(), LOOP_CTL_GET_FREE);
    if (number < 0) return base::fail_errno("find a free loop device");
    SANDLOT_TRY(std::string path, node_of(number, nodes));
    SANDLOT_TRY(auto device, base::open_file(path, O_RDWR));
    loop_config config{};
    config.fd = static_cast<__u32>(file.get());
    config.info.lo_flags = LO_FLAGS_AUTOCLEAR;
    if (::ioctl(device.get(), LOOP_CONFIGURE, &config) == 0) {
      return LoopDevice(std::move(device), std::move(path));
    }
    if (errno != EBUSY) return base::fail_errno("configure loop device");
  }
  return base::fail(base::Errc::kUnavailable, "loop devices are taken as fast as they are found");
}

Result<> LoopDevice::refresh_size() {
  if (::ioctl(device_.get(), LOOP_SET_CAPACITY, 0) == 0) return {};
  return base::fail_errno("resize loop device");
}

}  // namespace namespaces
