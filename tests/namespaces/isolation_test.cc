// What a sandbox sees, may do and may not do: probed by commands inside.
#include <sys/stat.h>

#include <fstream>

#include <gmock/gmock.h>

#include "tests/namespaces/fixture.h"

namespace namespaces_test {

using ::testing::HasSubstr;
using ::testing::Not;

namespace fs = std::filesystem;

class IsolationTest : public RuntimeTest {
 protected:
  void SetUp() override {
    RuntimeTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    container_ = start("inside");
    ASSERT_TRUE(container_);
  }
  void TearDown() override {
    container_.reset();
    RuntimeTest::TearDown();
  }
  Output root(const std::string& command) { return run_in(*container_, 0, command); }
  Output user(const std::string& command) { return run_in(*container_, 1000, command); }

  std::unique_ptr<namespaces::Container> container_;
};

TEST_F(IsolationTest, RootInsideIsAnUnprivilegedIdOutside) {
  EXPECT_EQ(root("touch /etc/mine && stat -c %u /etc/mine /etc/passwd /usr/bin /dev/null").text,
            "0\n0\n0\n0\n");
  struct stat info {};
  ASSERT_EQ(::stat((upper("inside") / "etc/mine").c_str(), &info), 0);
  EXPECT_EQ(info.st_uid, kFirstId);
  struct stat layer {};
  EXPECT_NE(::stat((directory_ / "layer/etc/mine").c_str(), &layer), 0);
  EXPECT_EQ(user("touch /home/user/a && stat -c %u:%g /home/user/a").text, "1000:1000\n");
  struct stat process {};
  ASSERT_EQ(::stat(("/proc/" + std::to_string(container_->pid()) + "/task").c_str(), &process), 0);
  auto status = run_in(*container_, 0, "cat /proc/self/uid_map").text;
  EXPECT_THAT(status, HasSubstr(std::to_string(kFirstId)));
}

TEST_F(IsolationTest, WritesToUsrLandInTheSandboxsOwnLayer) {
  EXPECT_EQ(
      root("echo x > /usr/local/sandlot-probe && mv /usr/local/sandlot-probe /usr/sandlot-probe "
           "&& cat /usr/sandlot-probe")
          .text,
      "x\n");
  EXPECT_FALSE(fs::exists("/usr/sandlot-probe"));
  EXPECT_FALSE(fs::exists("/usr/local/sandlot-probe"));
  EXPECT_TRUE(fs::exists(upper("inside").parent_path() / "usr-upper/sandlot-probe"));
  EXPECT_EQ(root("rm -rf /usr/share/doc && test ! -e /usr/share/doc").status, 0);
  EXPECT_TRUE(fs::exists("/usr/share"));
  // A directory of a lower layer can be renamed, as on any file system.
  EXPECT_EQ(root("mkdir -p /opt && mv /home/user /home/moved && test -d /home/moved").status, 0);
}

TEST_F(IsolationTest, ProcShowsOwnProcessesOnly) {
  auto pids = root("ls /proc | grep -c '^[0-9]'").text;
  EXPECT_LE(std::atoi(pids.c_str()), 5) << pids;
  EXPECT_EQ(root("cat /proc/1/cmdline | tr -d '\\0'").text, "envd");
  EXPECT_EQ(root("cat /proc/1/comm").text, "envd\n");
}

TEST_F(IsolationTest, NoDescriptorOfTheSpawnerReachesACommand) {
  EXPECT_EQ(root("ls /proc/self/fd | sort -n | tr '\\n' ' '").text, "0 1 2 3 ");
  EXPECT_EQ(root("readlink /proc/self/fd/0").text, "/dev/null\n");
}

TEST_F(IsolationTest, AgentCannotBeLookedInto) {
  EXPECT_NE(root("cat /proc/1/environ").status, 0);
  EXPECT_NE(root("ls -l /proc/1/fd/").status, 0);
  EXPECT_NE(root("dd if=/proc/1/mem of=/dev/null bs=1 count=1").status, 0);
  EXPECT_NE(root("readlink /proc/1/exe").status, 0);
  // CVE-2019-5736: neither through the agent nor by writing to what it runs.
  EXPECT_NE(root("echo x > /proc/1/exe").status, 0);
  EXPECT_NE(root("echo x >> /proc/1/exe").status, 0);
  EXPECT_NE(root("test -e /proc/1/root/etc").status, 0);
}

TEST_F(IsolationTest, HiddenAndProtectedPathsHoldForRoot) {
  for (const char* path :
       {"/proc/keys", "/proc/timer_list", "/proc/kcore", "/proc/interrupts", "/proc/sched_debug"}) {
    EXPECT_EQ(root(std::string("test ! -s ") + path).status, 0) << path;
    EXPECT_EQ(root(std::string("head -c 1 ") + path + " 2>/dev/null | wc -c").text, "0\n") << path;
  }
  EXPECT_EQ(root("ls /sys/firmware /proc/acpi 2>/dev/null | grep -v : | grep -c .").text, "0\n");
  for (const char* write :
       {"echo 1 > /proc/sys/kernel/panic", "echo x > /proc/sys/kernel/core_pattern",
        "echo 1 > /proc/sys/vm/drop_caches", "echo 1 > /proc/sys/net/ipv4/ip_forward",
        "echo b > /proc/sysrq-trigger", "echo 1 > /proc/irq/default_smp_affinity",
        "echo x > /sys/kernel/uevent_helper", "mkdir /sys/fs/cgroup/x", "umount /proc/keys",
        "umount /sys", "mount -o remount,rw /sys", "mount -t tmpfs x /opt",
        "mknod /tmp/disk b 254 0", "mount -o remount,bind,rw /proc/sys"}) {
    EXPECT_NE(root(write).status, 0) << write;
  }
}

TEST_F(IsolationTest, DevHoldsTheHarmlessDevicesOnly) {
  EXPECT_EQ(
      root("ls /dev | tr '\\n' ' '").text,
      "core fd full fuse mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero ");
  EXPECT_EQ(user("echo x > /dev/null && head -c 4 /dev/urandom | wc -c").text, "4\n");
  EXPECT_EQ(user("echo x > /dev/shm/a && cat /dev/shm/a").text, "x\n");
  EXPECT_EQ(user("python3 -c 'import os; m, s = os.openpty(); print(os.ttyname(s))'").text,
            "/dev/pts/0\n");
  EXPECT_EQ(user("echo hi | cat /dev/stdin").text, "hi\n");
}

TEST_F(IsolationTest, TmpAndRunAreWritable) {
  EXPECT_EQ(user("touch /tmp/a && stat -c %a /tmp").text, "1777\n");
  EXPECT_EQ(root("touch /run/a && stat -f -c %T /run").text, "tmpfs\n");
}

TEST_F(IsolationTest, UserExtendedAttributesWorkForRootAndUser) {
  const std::string probe =
      "python3 -c 'import os; p=\"/tmp/x\"+str(os.getuid()); open(p,\"w\").close(); "
      "os.setxattr(p,\"user.e2b\",b\"v\"); print(os.getxattr(p,\"user.e2b\"))'";
  EXPECT_EQ(root(probe).text, "b'v'\n");
  EXPECT_EQ(user(probe).text, "b'v'\n");
}

TEST_F(IsolationTest, SetuidProgramsRaiseAUserToRoot) {
  EXPECT_EQ(
      root("cp /usr/bin/id /usr/local/bin/id-root && chmod 4755 /usr/local/bin/id-root").status, 0);
  EXPECT_EQ(user("/usr/local/bin/id-root -u").text, "0\n");
  EXPECT_THAT(user("grep NoNewPrivs /proc/self/status").text, HasSubstr("0"));
}

TEST_F(IsolationTest, RootKeepsTheUsualCapabilities) {
  // The set of the common container default.
  EXPECT_THAT(root("grep CapEff /proc/self/status").text, HasSubstr("00000000a80425fb"));
  EXPECT_THAT(user("grep CapEff /proc/self/status").text, HasSubstr("0000000000000000"));
  EXPECT_THAT(user("grep CapBnd /proc/self/status").text, HasSubstr("00000000a80425fb"));
  EXPECT_EQ(root("touch /tmp/f && chown 1000:1000 /tmp/f && chmod 600 /tmp/f && cat /tmp/f && "
                 "mkdir -p /tmp/jail && chroot / true && nice -n 5 true")
                .status,
            0);
}

TEST_F(IsolationTest, SeccompDeniesWhatNamespacesCannot) {
  // x86-64 numbers: keyctl, bpf, add_key, perf_event_open, userfaultfd, io_uring_setup, kexec_load,
  // init_module, open_by_handle_at, swapon, acct.
  const std::string probe =
      "python3 -c 'import ctypes, errno\n"
      "libc = ctypes.CDLL(None, use_errno=True)\n"
      "for n in (250, 321, 248, 298, 323, 425, 246, 175, 304, 167, 163):\n"
      "  r = libc.syscall(n, 0, 0, 0, 0, 0, 0)\n"
      "  print(n, r, errno.errorcode.get(ctypes.get_errno()))'";
  auto output = root(probe);
  EXPECT_EQ(output.status, 0) << output.text;
  EXPECT_THAT(output.text, HasSubstr("250 -1 EPERM"));
  EXPECT_THAT(output.text, HasSubstr("323 -1 EPERM"));
  std::size_t lines = 0;
  for (std::size_t at = 0; (at = output.text.find("-1 EPERM", at)) != std::string::npos; ++at)
    ++lines;
  EXPECT_EQ(lines, 11U) << output.text;
  EXPECT_THAT(user("grep Seccomp: /proc/self/status").text, HasSubstr("2"));
  EXPECT_NE(root("date -s 2001-01-01").status, 0);
  EXPECT_EQ(user("python3 -c 'import socket; socket.socket(40, 1)' 2>&1 | tail -n 1").text,
            "OSError: [Errno 97] Address family not supported by protocol\n");
}

TEST_F(IsolationTest, NamespacesAreItsOwn) {
  for (const char* name : {"user", "pid", "mnt", "uts", "ipc", "cgroup", "net"}) {
    auto inside = root(std::string("readlink /proc/self/ns/") + name).text;
    auto outside = fs::read_symlink(std::string("/proc/self/ns/") + name).string();
    EXPECT_NE(inside, outside + "\n") << name;
  }
  // Its cgroups are the root of what it sees: no name of ours.
  EXPECT_EQ(root("cut -d: -f3 /proc/self/cgroup | sort -u").text.find("sandlot"),
            std::string::npos);
  EXPECT_THAT(root("ls /sys/class/net").text, HasSubstr("lo"));
  EXPECT_THAT(root("cat /proc/mounts").text, Not(HasSubstr(directory_.string())));
}

TEST_F(IsolationTest, NestedUserNamespaceCannotUncoverHiddenPaths) {
  auto output = user("unshare -Ur sh -c 'umount /proc/keys; mount -t proc p /opt' 2>&1");
  EXPECT_NE(output.status, 0) << output.text;
}

TEST_F(IsolationTest, SignalsHaveTheirDefaults) {
  EXPECT_THAT(root("grep SigIgn /proc/self/status").text, HasSubstr("0000000000000000"));
  EXPECT_THAT(root("grep SigBlk /proc/self/status").text, HasSubstr("0000000000000000"));
}

}  // namespace namespaces_test
