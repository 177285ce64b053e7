#include "tests/namespaces/fixture.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <thread>

#include "emulator/base/ids.h"
#include "emulator/base/posix.h"
#include "namespaces/cgroup_layout.h"
#include "namespaces/cgroup_tree.h"
#include "namespaces/gc.h"
#include "namespaces/instance.h"

namespace namespaces_test {

namespace fs = std::filesystem;

base::UniqueFd make_netns() {
  base::UniqueFd fd;
  std::thread([&fd] {
    if (::unshare(CLONE_NEWNET) == 0) {
      fd.reset(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
    }
  }).join();
  return fd;
}

Output run_in(const namespaces::Container& container, unsigned uid, const std::string& command) {
  std::string request = std::to_string(uid) + " " + command;
  int fd = container.control_fd();
  if (::send(fd, request.data(), request.size(), MSG_NOSIGNAL) < 0) return {-2, "send"};
  pollfd wait{fd, POLLIN, 0};
  if (::poll(&wait, 1, 20000) != 1) return {-3, "no answer"};
  std::string buffer(200000, '\0');
  ssize_t count = ::recv(fd, buffer.data(), buffer.size(), 0);
  if (count <= 0) return {-4, "agent ended"};
  buffer.resize(static_cast<std::size_t>(count));
  auto line = buffer.find('\n');
  return {std::atoi(buffer.c_str()), buffer.substr(line + 1)};
}

namespace {

void write(const fs::path& path, const std::string& text) {
  fs::create_directories(path.parent_path());
  std::ofstream(path) << text;
}

// Merged-usr skeleton; /usr is the second overlay.
void make_root_layer(const fs::path& root) {
  for (const char* name :
       {"etc", "home/user", "root", "var/tmp", "opt", "usr", "proc", "sys", "dev"}) {
    fs::create_directories(root / name);
  }
  for (const char* name : {"bin", "sbin", "lib", "lib64"}) {
    fs::create_symlink(std::string("usr/") + name, root / name);
  }
  write(root / "etc/passwd", "root:x:0:0::/root:/bin/sh\nuser:x:1000:1000::/home/user:/bin/sh\n");
  write(root / "etc/group", "root:x:0:\ntty:x:5:\nuser:x:1000:\n");
  if (::chown((root / "home/user").c_str(), 1000, 1000) != 0) ADD_FAILURE() << "chown";
}

namespaces::ContainerSpec make_spec(const std::string& id, const fs::path& layer, int netns) {
  namespaces::ContainerSpec spec;
  spec.id = id;
  spec.ids.first = kFirstId;
  spec.netns_fd = netns;
  spec.rootfs.root_layers = {layer};
  spec.rootfs.usr_layers = {"/usr"};
  spec.hostname = "sandbox-host";
  return spec;
}

}  // namespace

int run_until_killed(const fs::path& directory, const std::string& instance) {
  boost::asio::io_context io;
  auto claimed = namespaces::claim_instance(directory / "run", instance);
  namespaces::RuntimeOptions options{instance, directory / "run" / instance, directory / "data"};
  auto runtime = namespaces::start_linux_runtime(io.get_executor(), options);
  if (!claimed || !runtime) return 1;
  make_root_layer(directory / "layer");
  auto netns = make_netns();
  std::string pids;
  std::vector<std::unique_ptr<namespaces::Container>> all;
  for (const char* id : {"a", "b", "c"}) {
    boost::asio::co_spawn(
        io, (*runtime)->create(make_spec(id, directory / "layer", netns.get())),
        [&](const std::exception_ptr&, base::Result<std::unique_ptr<namespaces::Container>> made) {
          if (!made) ::_exit(2);
          pids += std::to_string((*made)->pid()) + "\n";
          all.push_back(std::move(*made));
        });
  }
  while (all.size() < 3) io.run_one();
  run_in(*all[0], 1000, "setsid sleep 1000 > /dev/null 2>&1 &");
  if (!base::write_file(directory / "pids.new", pids)) return 3;
  fs::rename(directory / "pids.new", directory / "pids");
  for (;;) ::pause();
}

void RuntimeTest::SetUp() {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  instance_ = base::random_id(6);
  directory_ = fs::path("/var/tmp") / ("sandlot-test-" + instance_);
  fs::create_directories(directory_);
  make_root_layer(directory_ / "layer");
  namespaces::RuntimeOptions options;
  options.instance = instance_;
  options.run_dir = directory_ / "run" / instance_;
  options.data_dir = directory_ / "data";
  auto runtime = namespaces::start_linux_runtime(io_.get_executor(), options);
  ASSERT_TRUE(runtime) << runtime.error().message();
  runtime_ = std::move(*runtime);
  netns_ = make_netns();
  ASSERT_TRUE(netns_);
}

void RuntimeTest::TearDown() {
  if (!runtime_) return;
  drain();
  auto counts = namespaces::count_objects(directory_ / "data", instance_);
  ASSERT_TRUE(counts);
  EXPECT_EQ(counts->cgroups, 0U);
  EXPECT_EQ(counts->directories, 0U);
  EXPECT_EQ(counts->trash, 0U);
  runtime_.reset();
  io_.restart();
  io_.poll();
  auto layout = namespaces::CgroupLayout::of_this_machine();
  ASSERT_TRUE(layout);
  for (const auto& root : layout->used_roots()) {
    EXPECT_FALSE(fs::exists(root / namespaces::instance_cgroup(instance_))) << root;
  }
  auto mounts = base::read_file("/proc/self/mountinfo");
  EXPECT_EQ(mounts->find(instance_), std::string::npos) << "a mount was left";
  fs::remove_all(directory_);
}

void RuntimeTest::drain() {
  bool done = false;
  boost::asio::co_spawn(io_, runtime_->drain(), [&](const std::exception_ptr&) { done = true; });
  io_.restart();
  while (!done) io_.run_one();
}

namespaces::ContainerSpec RuntimeTest::spec(const std::string& id) {
  return make_spec(id, directory_ / "layer", netns_.get());
}

std::unique_ptr<namespaces::Container> RuntimeTest::start(const std::string& id) {
  auto container = await(runtime_->create(spec(id)));
  if (!container) {
    ADD_FAILURE() << container.error().message();
    return nullptr;
  }
  return std::move(*container);
}

fs::path RuntimeTest::upper(const std::string& id) const {
  return directory_ / "data/sandboxes" / instance_ / id / "upper";
}

std::size_t RuntimeTest::cgroups_of(const std::string& id) const {
  auto layout = namespaces::CgroupLayout::of_this_machine();
  std::size_t count = 0;
  for (const auto& root : layout->used_roots()) {
    count += fs::exists(root / namespaces::instance_cgroup(instance_) / id) ? 1U : 0U;
  }
  return count;
}

}  // namespace namespaces_test
