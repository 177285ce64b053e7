// floor DIRECTORY: the yardstick of performance.md 2.7, driven over standard input and output by
// bench.py.
//
//   fresh | slot | pool          create one sandbox          -> ok ID WALL_US CPU_US
//   kill ID                      destroy it                  -> ok ID WALL_US CPU_US
//   fill-slots N | fill-pool N   prepare (not measured)      -> ok 0 WALL_US CPU_US
//
// Anything that fails answers "error STEP: REASON". End of input ends it and everything it made.
#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string>

#include "tests/bench/floor_sandbox.h"

#include <time.h>

namespace {

using bench::FailedStep;

std::int64_t now_ns(clockid_t clock) {
  timespec time{};
  ::clock_gettime(clock, &time);
  return time.tv_sec * 1'000'000'000LL + time.tv_nsec;
}

FailedStep obey(bench::World& world, const std::string& command, unsigned number, unsigned& id) {
  if (command == "fresh") return world.create_fresh(id);
  if (command == "slot") return world.create_over_slot(id);
  if (command == "pool") return world.claim_from_pool(id);
  if (command == "kill") return world.destroy(id = number);
  if (command == "fill-slots") return world.fill_slots(number);
  if (command == "fill-pool") return world.fill_pool(number);
  errno = EINVAL;
  return "command";
}

void serve(bench::World& world) {
  char command[16] = {};
  char line[64] = {};
  while (std::fgets(line, sizeof line, stdin) != nullptr) {
    unsigned number = 0;
    if (std::sscanf(line, "%15s %u", command, &number) < 1) continue;
    unsigned id = 0;
    std::int64_t wall = now_ns(CLOCK_MONOTONIC);
    std::int64_t cpu = now_ns(CLOCK_PROCESS_CPUTIME_ID);
    FailedStep failed = obey(world, command, number, id);
    int reason = errno;
    wall = now_ns(CLOCK_MONOTONIC) - wall;
    cpu = now_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    bool creates = std::strcmp(command, "fresh") == 0 || std::strcmp(command, "slot") == 0;
    if (failed == nullptr && creates) cpu += world.child_cpu_ns(id);
    if (failed == nullptr) {
      std::printf("ok %u %.1f %.1f\n", id, static_cast<double>(wall) / 1e3,
                  static_cast<double>(cpu) / 1e3);
    } else {
      std::printf("error %s: %s\n", failed, std::strerror(reason));
    }
    std::fflush(stdout);
    world.tidy();
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: sandlot_floor DIRECTORY\n");
    return 2;
  }
  ::signal(SIGPIPE, SIG_IGN);
  bench::World world;
  if (FailedStep failed = world.enter(argv[1])) {
    std::printf("error %s: %s\n", failed, std::strerror(errno));
    world.leave();
    return 1;
  }
  std::printf("ready\n");
  std::fflush(stdout);
  serve(world);
  world.leave();
  return 0;
}
