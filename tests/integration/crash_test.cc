// kill -9 at random moments of random calls: what was acknowledged is there after the restart, what
// was deleted is not, and nothing leaks. A third of the rounds on a disk that is full now and then.
// SANDLOT_CRASH_ROUNDS=200 for the long run, SANDLOT_CRASH_SEED to see one again.
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <thread>

#include <gtest/gtest.h>

#include "emulator/base/posix.h"
#include "emulator/store/database.h"
#include "tests/integration/crash_customer.h"
#include "tests/integration/small_disk.h"

namespace tests::integration {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

int from_environment(const char* name, int otherwise) {
  const char* wanted = std::getenv(name);
  return wanted == nullptr ? otherwise : std::atoi(wanted);
}

std::set<std::string> names_in(const fs::path& directory) {
  std::set<std::string> names;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(directory, ignored)) {
    names.insert(entry.path().filename());
  }
  return names;
}

bool eventually(const std::function<bool()>& so) {
  for (int i = 0; i < 1000 && !so(); ++i) std::this_thread::sleep_for(10ms);
  return so();
}

// Fills a disk, and makes room again, until it is told to stop.
class Filler {
 public:
  Filler(fs::path file, unsigned seed)
      : file_(std::move(file)), random_(seed), thread_([this] {
          while (!stop_) {
            fill();
            std::this_thread::sleep_for(std::chrono::milliseconds(random_() % 300));
            ::unlink(file_.c_str());
            std::this_thread::sleep_for(std::chrono::milliseconds(random_() % 100));
          }
        }) {}
  Filler(const Filler&) = delete;
  Filler& operator=(const Filler&) = delete;
  ~Filler() {
    stop_ = true;
    thread_.join();
  }

 private:
  void fill() {
    base::UniqueFd file(::open(file_.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    std::string chunk(std::size_t{1} << 20U, 'x');
    while (!chunk.empty()) {
      if (::write(file.get(), chunk.data(), chunk.size()) <= 0) chunk.resize(chunk.size() / 2);
    }
    // Not always to the last page.
    if (random_() % 2 == 0) ::ftruncate(file.get(), ::lseek(file.get(), 0, SEEK_END) - 8192);
  }
  fs::path file_;
  std::mt19937 random_;
  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

class Crash : public testing::Test {
 protected:
  Crash() {
    seed_ = static_cast<unsigned>(
        from_environment("SANDLOT_CRASH_SEED", static_cast<int>(std::random_device()() >> 1U)));
    random_.seed(seed_);
    std::cout << "SANDLOT_CRASH_SEED=" << seed_ << "\n";
    for (const char* name : {"anna", "bert"}) customers_.emplace_back(name, random_());
  }

  void run_rounds(int rounds, bool full) {
    for (int round = 0; round < rounds && !HasFailure(); ++round) {
      SCOPED_TRACE("round " + std::to_string(round));
      EmulatorProcess emulator(dir_.path(), {{"--pool", "1"}, {}});
      ASSERT_TRUE(emulator.ready()) << emulator.log();
      check(emulator);
      if (HasFailure()) show(emulator);
      live_and_die(emulator, full);
    }
    EmulatorProcess emulator(dir_.path(), {{"--pool", "0"}, {}});
    ASSERT_TRUE(emulator.ready()) << emulator.log();
    check(emulator);
    if (HasFailure()) show(emulator);
    EXPECT_EQ(emulator.api("POST", "/_sandlot/reset").status, 200);
    EXPECT_EQ(emulator.stop(), 0);
    report();
  }

  void live_and_die(EmulatorProcess& emulator, bool full) {
    std::optional<Filler> filler;
    for (CrashCustomer& customer : customers_) customer.disk_may_be_full(full);
    if (full) filler.emplace(dir_.path() / "data" / "filler", random_());
    std::vector<std::thread> threads;
    for (CrashCustomer& customer : customers_) {
      threads.emplace_back([&] {
        while (!HasFailure() && customer.step(emulator)) {
        }
      });
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(random_() % 1000));
    bool failed = HasFailure();
    ::kill(emulator.pid(), SIGKILL);
    for (std::thread& thread : threads) thread.join();
    if (HasFailure() && !failed) show(emulator);
    filler.reset();
    ::unlink((dir_.path() / "data" / "filler").c_str());
    for (const std::string& name : names_in(dir_.path() / "run")) dead_.insert(name);
    emulator.kill_hard();
    for (CrashCustomer& customer : customers_) customer.disk_may_be_full(false);
  }

  void check(const EmulatorProcess& emulator) {
    check_leaks();
    for (CrashCustomer& customer : customers_) customer.check(emulator);
    check_snapshot_list(emulator);
    std::size_t sandboxes = 0;
    std::size_t volumes = 0;
    for (const CrashCustomer& customer : customers_) {
      sandboxes += customer.sandboxes();
      volumes += customer.volumes();
    }
    EXPECT_EQ(emulator.state()["sandboxes"].size(), sandboxes) << "and nothing else";
    EXPECT_EQ(emulator.api("GET", "/volumes").json().size(), volumes);
    check_database(sandboxes, volumes);
  }

  // Right after the start: of the dead nothing is left but what outlives them.
  void check_leaks() {
    EXPECT_TRUE(eventually([&] { return loop_devices().empty(); })) << loop_devices().front();
    std::set<std::string> live = names_in(dir_.path() / "run");
    for (const std::string& instance : dead_) {
      EXPECT_FALSE(live.contains(instance)) << "run/" << instance;
      for (const char* place : {"sandboxes", "events"}) {
        for (const std::string& name : names_in(dir_.path() / "data" / place)) {
          EXPECT_FALSE(name.starts_with(instance)) << place << "/" << name;
        }
      }
      EXPECT_EQ(cgroups_of(instance), "");
      std::ifstream mounts("/proc/self/mountinfo");
      for (std::string line; std::getline(mounts, line);) {
        EXPECT_EQ(line.find(instance), std::string::npos) << line;
      }
    }
    dead_.clear();
  }

  static std::string cgroups_of(const std::string& instance) {
    std::error_code ignored;
    std::vector<fs::path> roots = {"/sys/fs/cgroup"};
    for (const auto& entry : fs::directory_iterator("/sys/fs/cgroup", ignored)) {
      roots.push_back(entry.path());
    }
    for (const fs::path& root : roots) {
      fs::path left = root / "sandlot" / instance;
      if (fs::exists(left, ignored)) return left;
    }
    return "";
  }

  std::vector<std::string> loop_devices() const {
    std::vector<std::string> found;
    std::error_code ignored;
    for (const auto& device : fs::directory_iterator("/sys/block", ignored)) {
      auto backing = base::read_file(device.path() / "loop/backing_file");
      if (backing && backing->starts_with(dir_.path().string())) found.push_back(*backing);
    }
    return found;
  }

  // Those of calls that were not answered, without a name, are nobody's: they go.
  void check_snapshot_list(const EmulatorProcess& emulator) {
    std::set<std::string> known;
    int unsure = 0;
    for (CrashCustomer& customer : customers_) {
      known.merge(customer.snapshots());
      unsure += customer.take_unnamed_unsure();
    }
    Json listed = emulator.api("GET", "/snapshots?limit=100").json();
    for (const Json& item : listed) {
      std::string reference = item.value("snapshotID", "");
      if (known.contains(reference)) continue;
      EXPECT_GE(--unsure, 0) << reference << " was never taken, or deleted";
      EXPECT_EQ(emulator.api("DELETE", "/templates/" + reference.substr(0, 20)).status, 204);
    }
  }

  // The database, and that every directory has somebody who needs it.
  void check_database(std::size_t sandboxes, std::size_t volumes) {
    auto database = emulator::store::Database::open(dir_.path() / "data/sandlot.db");
    ASSERT_TRUE(database) << database.error().message();
    auto found = (*database)->query_now("PRAGMA integrity_check");
    ASSERT_TRUE(found) << found.error().message();
    EXPECT_EQ(emulator::store::text(found->front().front()), "ok");
    auto files = (*database)->query_now("SELECT files, body FROM paused_sandboxes");
    ASSERT_TRUE(files) << files.error().message();
    EXPECT_EQ(files->size(), sandboxes);
    std::string needed;
    std::set<std::string> directories;
    for (const auto& row : *files) {
      directories.insert(emulator::store::text(row[0]));
      needed += emulator::store::text(row[1]);
    }
    auto snapshots = (*database)->query_now("SELECT snapshot_id, body FROM snapshots");
    ASSERT_TRUE(snapshots) << snapshots.error().message();
    for (const auto& row : *snapshots) needed += emulator::store::text(row[1]);
    auto unneeded = [&] {
      for (const std::string& name : names_in(dir_.path() / "data/snapshots")) {
        if (needed.find(name) == std::string::npos) return "snapshots/" + name;
      }
      for (const std::string& name : names_in(dir_.path() / "data/trash")) return "trash/" + name;
      if (names_in(dir_.path() / "data/volumes").size() > volumes) return std::string("a volume");
      return std::string();
    };
    EXPECT_TRUE(eventually([&] { return unneeded().empty(); })) << unneeded() << " is nobody's";
    std::size_t kept = 0;
    for (const std::string& instance : names_in(dir_.path() / "data/sandboxes")) {
      auto names = names_in(dir_.path() / "data/sandboxes" / instance);
      kept += static_cast<std::size_t>(
          std::count_if(names.begin(), names.end(),
                        [&](const std::string& name) { return directories.contains(name); }));
    }
    EXPECT_EQ(kept, directories.size());
  }

  static void show(const EmulatorProcess& emulator) {
    std::string log = emulator.log();
    std::cout << (log.size() < 20000 ? log : log.substr(log.size() - 20000)) << "\n";
  }
  void report() const {
    for (const CrashCustomer& customer : customers_) {
      for (const auto& [name, count] : customer.done()) total_[name] += count;
    }
    for (const auto& [name, count] : total_) std::cout << "  " << name << ": " << count << "\n";
  }

  TempDir dir_;
  unsigned seed_ = 0;
  std::mt19937 random_;
  std::vector<CrashCustomer> customers_;
  std::set<std::string> dead_;  // instances
  mutable std::map<std::string, int> total_;
};

TEST_F(Crash, WhatWasAcknowledgedIsThereAndWhatWasDeletedIsNot) {
  int rounds = from_environment("SANDLOT_CRASH_ROUNDS", 6);
  run_rounds(rounds - rounds / 3, false);
  EXPECT_EQ(leftovers(dir_.path()), std::vector<std::string>());
}

TEST_F(Crash, ADiskThatIsFullNowAndThenLosesNothingEither) {
  SmallDisk disk(dir_.path() / "data", "size=160m,mode=0755");
  ASSERT_TRUE(disk.mounted());
  int rounds = from_environment("SANDLOT_CRASH_ROUNDS", 6);
  run_rounds(rounds / 3, true);
}

}  // namespace
}  // namespace tests::integration
