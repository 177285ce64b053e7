// Root in a sandbox turns against the agent: only its own sandbox may end, and the API says so.
// Another sandbox and the API keep answering, and nothing stays behind.
#include <cstdlib>
#include <memory>
#include <thread>

#include <gtest/gtest.h>

#include "emulator/base/posix.h"
#include "tests/integration/emulator_process.h"
#include "tests/integration/small_disk.h"

namespace tests::integration {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

// An emulator with the sandbox that attacks and one beside it; afterwards everything is given back.
class Hostile : public testing::Test {
 protected:
  void start(const std::vector<std::string>& flags = {"--pool", "0"}) {
    emulator_ = std::make_unique<EmulatorProcess>(dir_.path(), EmulatorProcess::Options{flags, {}});
    ASSERT_TRUE(emulator_->ready()) << emulator_->log();
    // What is made once (ready slots) is made; the index of the slot has rested.
    ASSERT_EQ(emulator_->api("DELETE", "/sandboxes/" + emulator_->create()).status, 204);
    settle();
    before_ = emulator_->state();
    descriptors_ = descriptors(emulator_->pid());
    neighbour_ = emulator_->create();
    ASSERT_NE(neighbour_, "");
    id_ = emulator_->create();
    ASSERT_NE(id_, "");
  }

  void TearDown() override {
    if (!emulator_ || HasFatalFailure()) return;
    expect_neighbour();
    emulator_->api("DELETE", "/sandboxes/" + neighbour_);
    emulator_->api("DELETE", "/sandboxes/" + id_);  // 404 when it has ended already
    bool same = false;
    for (int i = 0; i < 1000 && !same; ++i) {
      std::this_thread::sleep_for(10ms);
      same = emulator_->state().value("counts", Json()) == before_.value("counts", Json()) &&
             descriptors(emulator_->pid()) <= descriptors_;
    }
    EXPECT_TRUE(same) << before_.dump() << "\n"
                      << emulator_->state().dump() << "\n"
                      << descriptors_ << " and " << descriptors(emulator_->pid())
                      << " descriptors\n"
                      << emulator_->log();
    EXPECT_EQ(emulator_->stop(), 0) << emulator_->log();
    disk_.reset();
    EXPECT_EQ(leftovers(dir_.path()), std::vector<std::string>());
  }

  static std::size_t descriptors(pid_t pid) {
    std::error_code ignored;
    fs::directory_iterator all("/proc/" + std::to_string(pid) + "/fd", ignored);
    return static_cast<std::size_t>(std::distance(fs::begin(all), fs::end(all)));
  }

  // So many at most, after a moment for what is being closed.
  static void expect_descriptors(pid_t pid, std::size_t most) {
    for (int i = 0; i < 500 && descriptors(pid) > most; ++i) std::this_thread::sleep_for(10ms);
    EXPECT_LE(descriptors(pid), most);
  }

  void settle() {
    for (int i = 0, steady = 0; i < 300 && steady < 30; ++i) {
      Json now = emulator_->state();
      std::this_thread::sleep_for(10ms);
      steady = emulator_->state() == now ? steady + 1 : 0;
    }
  }

  EmulatorProcess::Ran attack(const std::string& command) {
    return emulator_->run(id_, command, "root");
  }

  void expect_neighbour() {
    EXPECT_EQ(emulator_->run(neighbour_, "echo beside").out, "beside\n") << emulator_->log();
    EXPECT_EQ(emulator_->api("GET", "/sandboxes/" + neighbour_).status, 200);
  }

  void expect_alive() { EXPECT_EQ(attack("echo alive").out, "alive\n") << emulator_->log(); }

  // 404 from the API, 502 from the sandbox's host, gone from the list.
  void expect_ended() {
    bool gone = false;
    for (int i = 0; i < 1000 && !gone; ++i) {
      gone = emulator_->api("GET", "/sandboxes/" + id_).status == 404;
      if (!gone) std::this_thread::sleep_for(10ms);
    }
    ASSERT_TRUE(gone) << "the sandbox still exists\n" << emulator_->log();
    HttpAnswer health =
        request(emulator_->port(), "GET", "/health", "", "49983-" + id_ + ".localhost");
    EXPECT_EQ(health.status, 502);
    EXPECT_EQ(health.json().value("message", ""), "The sandbox was not found") << health.body;
    EXPECT_EQ(health.json().value("code", 0), 502);
    Json list = emulator_->api("GET", "/v2/sandboxes").json();
    EXPECT_EQ(list.size(), 1U) << list.dump();
    EXPECT_EQ(emulator_->api("DELETE", "/sandboxes/" + id_).status, 404);
  }

  // The sandbox's processes, as this machine numbers them.
  std::vector<pid_t> processes() const {
    std::vector<pid_t> found;
    std::error_code ignored;
    for (const auto& process : fs::directory_iterator("/proc", ignored)) {
      auto groups = base::read_file(process.path() / "cgroup");
      if (groups && groups->find(id_) != std::string::npos)
        found.push_back(std::atoi(process.path().filename().c_str()));
    }
    return found;
  }

  // Its pid 1.
  pid_t agent() const {
    for (pid_t pid : processes()) {
      auto status = base::read_file("/proc/" + std::to_string(pid) + "/status");
      if (!status) continue;
      auto at = status->find("NSpid:");
      if (status->substr(at, status->find('\n', at) - at).ends_with("\t1")) return pid;
    }
    return -1;
  }

  TempDir dir_;
  std::unique_ptr<SmallDisk> disk_;
  std::unique_ptr<EmulatorProcess> emulator_;
  Json before_;
  std::size_t descriptors_ = 0;
  std::string neighbour_;
  std::string id_;
};

TEST_F(Hostile, NoSignalReachesTheAgent) {
  start();
  attack("for n in $(seq 1 64); do kill -$n 1; done");
  // As process group and session, too.
  attack("kill -KILL -1; kill -STOP 1; kill -SEGV 1; kill -ABRT 1");
  expect_alive();
}

TEST_F(Hostile, TheAgentCanNeitherBeTracedNorReadNorWritten) {
  start();
  auto ran = attack(R"(python3 - <<'END'
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
def refused(name, call):
    try:
        result = call()
    except OSError as error:
        return
    if result != -1: print(name)
for name, number in [('attach', 16), ('seize', 0x4206)]:
    refused(name, lambda: libc.ptrace(number, 1, 0, 0))
for name in ['mem', 'maps', 'environ', 'auxv', 'syscall', 'stack']:
    refused(name, lambda: len(os.read(os.open('/proc/1/' + name, os.O_RDONLY), 16)))
for name in ['mem', 'oom_score_adj', 'coredump_filter', 'uid_map', 'comm']:
    refused('write ' + name, lambda: os.open('/proc/1/' + name, os.O_WRONLY))
for name in ['exe', 'root', 'cwd', 'fd/0', 'ns/mnt']:
    refused('follow ' + name, lambda: os.readlink('/proc/1/' + name))
    refused('open ' + name, lambda: os.open('/proc/1/' + name, os.O_RDONLY))
class Vector(ctypes.Structure):
    _fields_ = [('base', ctypes.c_void_p), ('size', ctypes.c_size_t)]
room = ctypes.create_string_buffer(8)
here, there = Vector(ctypes.addressof(room), 8), Vector(0x400000, 8)
refused('vm_readv', lambda: libc.process_vm_readv(1, ctypes.byref(here), 1, ctypes.byref(there), 1, 0))
refused('vm_writev', lambda: libc.process_vm_writev(1, ctypes.byref(here), 1, ctypes.byref(there), 1, 0))
def steal():
    pidfd = os.pidfd_open(1)
    return libc.syscall(438, pidfd, 0, 0)
refused('pidfd_getfd', steal)
print('done')
END
)");
  EXPECT_EQ(ran.out, "done\n") << ran.err;
  expect_alive();
}

// A process that may set limits of pid 1 (it has the same user ids) can have the kernel end it.
TEST_F(Hostile, AnAgentThatItsRootEndsByALimitTakesOnlyItsOwnSandboxAlong) {
  start();
  auto ran = attack(
      "python3 -c 'import resource; resource.prlimit(1, resource.RLIMIT_CPU, (1, 1))'; sleep 1; "
      "head -c 3G /dev/zero");
  if (ran.ended) {
    GTEST_SKIP() << "limits of pid 1 cannot be set here: " << ran.err;
  }
  expect_ended();
}

TEST_F(Hostile, AnAgentWithoutMemoryOrDescriptorsEndsOrRecoversAlone) {
  start();
  attack(
      "python3 -c 'import resource; resource.prlimit(1, resource.RLIMIT_NOFILE, (3, 3)); "
      "resource.prlimit(1, resource.RLIMIT_AS, (0, 0))'");
  // It answers nothing sensible now; the emulator does not wait for it.
  auto begun = std::chrono::steady_clock::now();
  expect_neighbour();
  EXPECT_EQ(emulator_->api("GET", "/v2/sandboxes").status, 200);
  EXPECT_LT(std::chrono::steady_clock::now() - begun, 5s);
}

TEST_F(Hostile, ProgramsThatFillTheMemoryEndAlone) {
#ifdef __SANITIZE_ADDRESS__
  // The kernel ends who has most, and with its shadow that is the agent (200 MiB and more).
  // NOLINTNEXTLINE(concurrency-mt-unsafe): nobody here sets variables
  if (std::getenv("SANDLOT_TEST_BINARY") == nullptr)
    GTEST_SKIP() << "the address sanitizer makes the agent the largest process";
#endif
  start();
  for (int i = 0; i < 2; ++i) {
    attack(
        "for n in 1 2 3 4; do python3 -c 'x = []\nwhile True: x.append(bytearray(16 << 20))' & "
        "done; wait");
    expect_alive();
  }
}

// No process holds files in memory: the kernel may find nobody to end but the agent.
TEST_F(Hostile, FilesThatFillTheMemoryEndAtMostTheirOwnSandbox) {
  start();
  attack("head -c 4G /dev/zero > /dev/shm/a; head -c 4G /dev/zero > /dev/shm/b; true");
  for (int i = 0; i < 3; ++i) attack("python3 -c 'x = bytearray(400 << 20)'");
  expect_neighbour();
  if (emulator_->api("GET", "/sandboxes/" + id_).status != 200) {
    expect_ended();
    return;
  }
  // No command finds room any more, but the agent is there.
  EXPECT_EQ(request(emulator_->port(), "GET", "/health", "", "49983-" + id_ + ".localhost").status,
            204);
}

TEST_F(Hostile, TheAgentsPortStaysTheAgents) {
  start();
  auto ran = attack(R"(python3 - <<'END'
import socket
for family, address in [(socket.AF_INET, '127.0.0.1'), (socket.AF_INET, '0.0.0.0'), (socket.AF_INET6, '::1'),
                        (socket.AF_INET6, '::')]:
    for option in [None, socket.SO_REUSEADDR, socket.SO_REUSEPORT]:
        s = socket.socket(family)
        if option: s.setsockopt(socket.SOL_SOCKET, option, 1)
        try:
            s.bind((address, 49983)); s.listen()
            print('taken', address, option)
        except OSError: pass
END
ss -K sport = 49983 2>&1 | grep -c ESTAB; ip link set lo down 2>/dev/null && echo down; true)");
  EXPECT_EQ(ran.out, "0\n") << ran.err;
  expect_alive();
}

TEST_F(Hostile, AForkBombOfRootIsEndedByDeletingItsSandbox) {
  start();
  std::thread burning([this] {
    attack(R"(python3 - <<'END'
import os, signal, time
for n in range(1, 32):
    if n not in (9, 19): signal.signal(n, signal.SIG_IGN)
while True:
    try:
        if os.fork() == 0: os.setsid()
    except OSError: time.sleep(0.5)
END
)");
  });
  // How far it gets depends on memory; asking the sandbox itself would take very long.
  std::size_t bombs = 0;
  for (int i = 0; i < 300 && bombs < 60; ++i) {
    std::this_thread::sleep_for(20ms);
    bombs = processes().size();
  }
  EXPECT_GE(bombs, 60U) << "nothing burns";
  // Served, that is: how fast depends on what else the machine does.
  auto begun = std::chrono::steady_clock::now();
  expect_neighbour();
  EXPECT_LT(std::chrono::steady_clock::now() - begun, 20s);
  // 404: the kernel has ended the agent before us.
  int deleted = emulator_->api("DELETE", "/sandboxes/" + id_).status;
  EXPECT_TRUE(deleted == 204 || deleted == 404) << deleted;
  for (int i = 0; i < 500 && !processes().empty(); ++i) std::this_thread::sleep_for(10ms);
  EXPECT_EQ(processes(), std::vector<pid_t>());
  burning.join();
  expect_ended();
}

// The data directory on a small file system of the test's own.
TEST_F(Hostile, AFullDiskIsFreeAgainWhenItsSandboxIsDeleted) {
  disk_ = std::make_unique<SmallDisk>(dir_.path() / "data", "size=64m,mode=0755");
  ASSERT_TRUE(disk_->mounted());
  start();
  auto ran = attack(
      "head -c 1G /dev/zero > /big; head -c 1G /dev/zero > /root/big2; ls -s / | grep -c big");
  EXPECT_EQ(ran.out, "1\n") << ran.err;
  EXPECT_NE(ran.err.find("No space left"), std::string::npos) << ran.err;
  expect_neighbour();
  expect_alive();
  EXPECT_EQ(emulator_->api("DELETE", "/sandboxes/" + id_).status, 204);
  bool free = false;
  for (int i = 0; i < 500 && !free; ++i) {
    free = emulator_->run(neighbour_, "head -c 20M /dev/zero > /tmp/fits").exit_code == 0;
    if (!free) std::this_thread::sleep_for(10ms);
  }
  EXPECT_TRUE(free);
}

TEST_F(Hostile, GarbageForTheAgentIsRefusedAndForgotten) {
  start();
  pid_t pid = agent();
  ASSERT_GT(pid, 0);
  expect_alive();
  std::size_t open = descriptors(pid);
  auto ran = attack(R"(python3 - <<'END'
import os, random, socket
random.seed(7)
shapes = [
    lambda: os.urandom(random.randrange(1, 5000)),
    lambda: b'GET /' + b'a' * 200000,
    lambda: b'POST /process.Process/Start HTTP/1.1\r\nHost: x\r\nContent-Type: application/connect+json\r\n'
            b'Content-Length: 1000000\r\n\r\n\x00\xff\xff\xff\xff' + os.urandom(100),
    lambda: b'POST /files HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n',
    lambda: b'POST /files?path=a HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=\x00\r\n'
            b'Content-Length: 5\r\n\r\n--\x00\r\n',
    lambda: b'GET / HTTP/1.1\r\n' + b'A: b\r\n' * 20000,
    lambda: b'\x16\x03\x01' + os.urandom(300),
    lambda: b'\r\n' * 10000,
]
for i in range(400):
    s = socket.create_connection(('127.0.0.1', 49983))
    s.settimeout(5)
    try:
        s.sendall(shapes[i % len(shapes)]())
        if i % 3 == 0: s.shutdown(socket.SHUT_WR); s.recv(1000)
        if i % 3 == 1: s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b'\x01\0\0\0\0\0\0\0')
    except OSError: pass
    s.close()
print('done')
END
)");
  EXPECT_EQ(ran.out, "done\n") << ran.err;
  expect_alive();
  expect_descriptors(pid, open);
}

TEST_F(Hostile, ThousandsOfIdleConnectionsLeaveTheAgentReachable) {
  start();
  pid_t pid = agent();
  ASSERT_GT(pid, 0);
  expect_alive();
  std::size_t open = descriptors(pid);
  std::thread holding([this] {
    attack(R"(python3 - <<'END'
import os, resource, socket, time
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
held = [socket.create_connection(('127.0.0.1', 49983)) for i in range(2000)]
for s in held[:1000]: s.send(b'GET /hea')
open('/tmp/held', 'w').close()
while not os.path.exists('/tmp/release'): time.sleep(0.02)
END
)");
  });
  bool held = false;
  for (int i = 0; i < 500 && !held; ++i) {
    held = emulator_->run(id_, "test -e /tmp/held").exit_code == 0;
    if (!held) std::this_thread::sleep_for(20ms);
  }
  EXPECT_TRUE(held) << "the agent did not answer, or nobody could connect";
  for (int i = 0; i < 500 && descriptors(pid) < open + 2000; ++i) std::this_thread::sleep_for(10ms);
  EXPECT_GE(descriptors(pid), open + 2000);
  EXPECT_EQ(attack("ulimit -Sn").out, "1024\n");
  EXPECT_EQ(attack("touch /tmp/release").exit_code, 0);
  if (!held) emulator_->api("DELETE", "/sandboxes/" + id_);
  holding.join();
  expect_descriptors(pid, open);
}

}  // namespace
}  // namespace tests::integration
