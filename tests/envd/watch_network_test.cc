// Watching what lies on a network file system: refused unless asked for (contract-envd 3.3). A FUSE
// mount with a server of three answers stands for all of them; skipped where FUSE is not to be had.
#include <fcntl.h>
#include <linux/fuse.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <filesystem>
#include <thread>

#include <gtest/gtest.h>

#include "tests/envd/agent_harness.h"

namespace envd_tests {
namespace {

// An empty directory, served by a thread until this object goes.
class FuseMount {
 public:
  explicit FuseMount(std::string path)
      : path_(std::move(path)), fd_(::open("/dev/fuse", O_RDWR | O_CLOEXEC)) {
    if (!fd_) return;
    std::string options =
        "fd=" + std::to_string(fd_.get()) + ",rootmode=40000,user_id=0,group_id=0,allow_other";
    mounted_ =
        ::mount("sandlot-test", path_.c_str(), "fuse", MS_NOSUID | MS_NODEV, options.c_str()) == 0;
    if (mounted_) server_ = std::thread([this] { serve(); });
  }
  FuseMount(const FuseMount&) = delete;
  FuseMount& operator=(const FuseMount&) = delete;
  ~FuseMount() {
    if (!mounted_) return;
    ::umount2(path_.c_str(), MNT_FORCE | MNT_DETACH);
    server_.join();
  }
  bool mounted() const { return mounted_; }

 private:
  // Until the kernel says that the mount is gone.
  void serve() {
    alignas(fuse_in_header) static std::array<char, 256U << 10U> buffer;
    for (;;) {
      ssize_t count = ::read(fd_.get(), buffer.data(), buffer.size());
      if (count < 0 && (errno == EINTR || errno == EAGAIN || errno == ENOENT)) continue;
      if (count < static_cast<ssize_t>(sizeof(fuse_in_header))) return;
      fuse_in_header request{};
      std::memcpy(&request, buffer.data(), sizeof(request));
      answer(request);
    }
  }
  void answer(const fuse_in_header& request) {
    if (request.opcode == FUSE_INIT) {
      fuse_init_out init{};
      init.major = FUSE_KERNEL_VERSION;
      init.minor = 31;
      init.max_write = 4096;
      reply(request, 0, &init, sizeof(init));
    } else if (request.opcode == FUSE_GETATTR) {
      fuse_attr_out attributes{};
      attributes.attr.ino = 1;
      attributes.attr.mode = S_IFDIR | 0755;
      attributes.attr.nlink = 2;
      reply(request, 0, &attributes, sizeof(attributes));
    } else if (request.opcode == FUSE_STATFS) {
      fuse_statfs_out sizes{};
      reply(request, 0, &sizes, sizeof(sizes));
    } else if (request.opcode != FUSE_FORGET && request.opcode != FUSE_BATCH_FORGET) {
      reply(request, -ENOSYS, nullptr, 0);
    }
  }
  void reply(const fuse_in_header& request, int error, const void* body, std::size_t size) {
    fuse_out_header head{};
    head.len = static_cast<std::uint32_t>(sizeof(head) + size);
    head.error = error;
    head.unique = request.unique;
    std::string message(reinterpret_cast<const char*>(&head), sizeof(head));
    if (size > 0) message.append(static_cast<const char*>(body), size);
    [[maybe_unused]] ssize_t sent = ::write(fd_.get(), message.data(), message.size());
  }

  std::string path_;
  base::UniqueFd fd_;
  bool mounted_ = false;
  std::thread server_;
};

TEST(WatchNetwork, IsRefusedUnlessAskedFor) {
  // The agent first: it must not inherit the mount's descriptor.
  RunningAgent agent;
  const std::string path = agent.home() + "/net";
  std::filesystem::create_directory(path);
  FuseMount mount(path);
  if (!mount.mounted()) GTEST_SKIP() << "no FUSE here";
  auto [status, body] = agent.call("filesystem.Filesystem/CreateWatcher", {{"path", path}});
  EXPECT_EQ(status, 400);
  EXPECT_EQ(body["code"], "invalid_argument");
  EXPECT_EQ(body["message"], "cannot watch path on network filesystem: " + path);
  Stream refused(agent.port(), "filesystem.Filesystem/WatchDir", {{"path", "net"}});
  EXPECT_FALSE(refused.started());
  EXPECT_EQ(refused.end()["error"]["code"], "invalid_argument");
  json wanted = {{"path", path}, {"allowNetworkMounts", true}};
  EXPECT_EQ(agent.call("filesystem.Filesystem/CreateWatcher", wanted).first, 200);
  Stream allowed(agent.port(), "filesystem.Filesystem/WatchDir", wanted);
  EXPECT_TRUE(allowed.started());
}

}  // namespace
}  // namespace envd_tests
