// What one sandbox leaves behind, the next in its slot does not see; what a sandbox may not do, it
// cannot.
#include <set>
#include <thread>

#include <gtest/gtest.h>

#include "tests/integration/emulator_process.h"

namespace tests::integration {
namespace {

using namespace std::chrono_literals;

TEST(SlotReuse, ASecondTenantSeesNothingOfTheFirst) {
  TempDir dir;
  EmulatorProcess emulator(dir.path(), {{"--pool", "0"}, {}});
  ASSERT_TRUE(emulator.ready()) << emulator.log();
  const std::string dirty =
      "sudo sysctl -qw net.ipv4.ip_local_port_range='1024 2048' 2>/dev/null;"
      "python3 - <<'END'\n"
      "import socket, subprocess, sys\n"
      "s = socket.create_server(('0.0.0.0', 4321))\n"
      "for i in range(20):\n"
      "    c = socket.create_connection(('127.0.0.1', 4321)); a, _ = s.accept(); a.close(); "
      "c.close()\n"
      "END\n"
      "nohup python3 -m http.server 4322 >/dev/null 2>&1 & echo mine > /tmp/secret; echo done";
  const std::string look =
      "cat /proc/net/tcp /proc/net/tcp6 | grep -v local_address | grep -vi ':C33F ' | wc -l;"
      "cat /proc/sys/net/ipv4/ip_local_port_range | tr '\\t' ' ';"
      "ls /tmp; ls -A ~ | tr '\\n' ' '; cat /proc/net/nf_conntrack 2>/dev/null | wc -l";
  std::string first = emulator.create();
  ASSERT_NE(first, "");
  auto clean = emulator.run(first, look);
  auto made = emulator.run(first, dirty);
  EXPECT_EQ(made.out, "done\n") << made.err;
  EXPECT_NE(emulator.run(first, look).out, clean.out)
      << "the first tenant left no trace to look for";
  ASSERT_EQ(emulator.api("DELETE", "/sandboxes/" + first).status, 204);
  // The index rests for 3 s; afterwards the next tenant takes it over.
  std::this_thread::sleep_for(3200ms);
  for (int i = 0; i < 12; ++i) {
    std::string next = emulator.create();
    EXPECT_EQ(emulator.run(next, look).out, clean.out);
    EXPECT_EQ(emulator.run(next, "python3 -c \"import socket; socket.create_server(('', 4322))\"")
                  .exit_code,
              0);
  }
}

TEST(Isolation, RootInASandboxIsNobodyOutside) {
  TempDir dir;
  EmulatorProcess emulator(dir.path());
  ASSERT_TRUE(emulator.ready()) << emulator.log();
  std::string id = emulator.create();
  EXPECT_EQ(emulator.run(id, "id -u", "root").out, "0\n");
  EXPECT_EQ(emulator.run(id, "sudo id -u").out, "0\n");
  auto map = emulator.run(id, "awk '{print $1, ($2 > 65536), $3}' /proc/self/uid_map");
  EXPECT_EQ(map.out, "0 1 65536\n");
  for (const char* attempt :
       {"mknod /tmp/sda b 8 0", "mount -t tmpfs none /proc/sys", "echo 1 > /proc/sysrq-trigger",
        "ip link add dummy0 type veth", "iptables -L", "dmesg", "date -s 2001-01-01",
        "unshare --mount --pid true --fork && keyctl show", "echo x > /proc/1/exe",
        "cat /proc/kcore > /dev/null", "chroot /proc/1/root true && cat /proc/1/mem > /dev/null"}) {
    EXPECT_NE(emulator.run(id, attempt, "root").exit_code, 0) << attempt;
  }
  EXPECT_EQ(emulator.run(id, "ls /home", "root").out, "user\n");
}

TEST(Isolation, LimitsHold) {
  TempDir dir;
  EmulatorProcess emulator(dir.path());
  ASSERT_TRUE(emulator.ready()) << emulator.log();
  std::string id = emulator.create();
  // What fills the memory goes, not the agent beside it (contract-envd 2.4).
  EXPECT_EQ(emulator.run(id, "cat /proc/self/oom_score_adj").out, "100\n");
  EXPECT_EQ(emulator.run(id, "cat /proc/$$/oom_score_adj", "root").out, "100\n");
  auto hungry = emulator.run(id, "python3 -c \"x = bytearray(900 << 20)\"");
  EXPECT_NE(hungry.exit_code, 0);
  EXPECT_EQ(emulator.run(id, "echo alive").out, "alive\n");
  // A fork bomb takes its own sandbox's processes, nobody else's; killing it is enough.
  std::string bomb = emulator.create();
  // Threads count as processes and need little memory: that limit would be reached first.
  EmulatorProcess::Ran burnt;
  std::thread burning([&] {
    burnt = emulator.run(bomb,
                         "python3 -c 'import threading, time\n"
                         "threading.stack_size(65536)\n"
                         "while True:\n"
                         "  try: threading.Thread(target=time.sleep, args=(60,)).start()\n"
                         "  except RuntimeError: time.sleep(0.001)'");
  });
  bool full = false;
  for (int i = 0; i < 200 && !full; ++i) {
    EmulatorProcess::Ran probe = emulator.run(bomb, "true");
    full = !probe.ended || probe.err.find("fork") != std::string::npos;
    if (!full) std::this_thread::sleep_for(50ms);
  }
  EXPECT_EQ(emulator.run(id, "echo alive", "root").out, "alive\n");
  EXPECT_EQ(emulator.api("DELETE", "/sandboxes/" + bomb).status, 204);
  EXPECT_EQ(emulator.api("GET", "/sandboxes/" + bomb).status, 404);
  burning.join();
  EXPECT_TRUE(full) << "the limit on processes was not reached: " << burnt.exit_code << burnt.out
                    << burnt.err;
}

}  // namespace
}  // namespace tests::integration
