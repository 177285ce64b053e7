// Somebody who uses an emulator that may die at any moment: makes random calls, remembers what was
// acknowledged, and looks after a restart whether it is there, and nothing else. For
// crash_test.cc. One thread uses one customer.
#pragma once

#include <map>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "tests/integration/emulator_process.h"

namespace tests::integration {

// How many lines a file may have: more than one answer is right after an append that was not
// answered.
struct Lines {
  int least = 0;
  int most = 0;
  bool contains(int lines) const { return lines >= least && lines <= most; }
  Lines operator+(Lines more) const { return {least + more.least, most + more.most}; }
};

class CrashCustomer {
 public:
  enum class Outcome { kDone, kRefused, kNothingToDo, kDead };

  CrashCustomer(std::string name, unsigned seed) : name_(std::move(name)), random_(seed) {}

  // Whether calls may be refused with 507 from now on. A running sandbox may also end by itself.
  void disk_may_be_full(bool may) { full_ = may; }
  // One random call, or a few that belong together. False when the emulator did not answer.
  bool step(const EmulatorProcess& emulator);
  // After a restart. Adopts what came of calls that were not answered.
  void check(const EmulatorProcess& emulator);
  // Sandboxes, snapshots (references) and volumes (names) that are there now, since check().
  std::size_t sandboxes() const { return sandboxes_.size(); }
  std::size_t volumes() const { return volumes_.size(); }
  std::set<std::string> snapshots() const;
  // Snapshots without a name whose calls were not answered: how many there may be more.
  int take_unnamed_unsure() { return std::exchange(unnamed_unsure_, 0); }
  // How often each operation was acknowledged, for the report.
  const std::map<std::string, int>& done() const { return done_; }

 private:
  struct Sandbox {
    Json info;  // the answer that told of it
    Lines lines;
    Lines first_lines;                          // after a reset
    std::map<std::string, std::string> mounts;  // path to name
    bool paused = false;
    bool unsure = false;      // a call was not answered: both outcomes are right
    bool unsure_end = false;  // of setTimeout
    bool unsure_reset = false;
    bool may_return = false;   // its row could not be removed from a full disk
    bool full_disk = false;    // has met one: its events may be lost
    int pauses = 0;            // acknowledged
    std::optional<Json> told;  // while it is paused
  };
  struct Snapshot {
    Lines lines;
    std::optional<Lines> or_lines;  // a newer one of this name was not answered
    bool unsure = false;
  };
  struct Volume {
    std::string id;
    int quota = 0;       // GiB
    int most_quota = 0;  // a change was not answered
    Lines lines;
    bool unsure = false;
  };
  struct Secret {
    std::set<int> versions;  // more than one: a change was not answered
    bool unsure = false;     // whether it is there
  };
  using SandboxIt = std::map<std::string, Sandbox>::iterator;
  struct Operation {
    const char* name;
    int weight;
    Outcome (CrashCustomer::*run)(const EmulatorProcess& emulator);
  };
  // Add a line here, and what it must have left behind to check().
  static const std::vector<Operation>& operations();

  // crash_sandboxes.cc
  Outcome create(const EmulatorProcess& emulator);
  Outcome create_of_snapshot(const EmulatorProcess& emulator);
  Outcome append(const EmulatorProcess& emulator);
  Outcome pause(const EmulatorProcess& emulator);
  Outcome connect(const EmulatorProcess& emulator);
  Outcome kill(const EmulatorProcess& emulator);
  Outcome set_timeout(const EmulatorProcess& emulator);
  Outcome set_network(const EmulatorProcess& emulator);
  Outcome clone(const EmulatorProcess& emulator);
  Outcome fork(const EmulatorProcess& emulator);
  Outcome reset(const EmulatorProcess& emulator);
  Outcome ask_events(const EmulatorProcess& emulator);
  // crash_snapshots.cc
  Outcome snapshot(const EmulatorProcess& emulator);
  Outcome named_snapshot(const EmulatorProcess& emulator);
  Outcome commit(const EmulatorProcess& emulator);
  Outcome delete_snapshot(const EmulatorProcess& emulator);
  // crash_volumes.cc
  Outcome create_volume(const EmulatorProcess& emulator);
  Outcome mount_volume(const EmulatorProcess& emulator);
  Outcome unmount_volume(const EmulatorProcess& emulator);
  Outcome write_volume(const EmulatorProcess& emulator);
  Outcome grow_volume(const EmulatorProcess& emulator);
  Outcome delete_volume(const EmulatorProcess& emulator);
  // crash_secrets.cc
  Outcome write_secret(const EmulatorProcess& emulator);
  Outcome delete_secret(const EmulatorProcess& emulator);

  Outcome create_with(const EmulatorProcess& emulator, Json options, Lines lines);
  Outcome take(const EmulatorProcess& emulator,
               const std::string& call,
               const Json& body,
               const std::string& reference);
  void add(const EmulatorProcess& emulator, const Json& info, const Sandbox& like, Lines lines);
  // The answer's meaning; anything but these statuses, and 507 on a full disk, fails the test.
  Outcome judge(const HttpAnswer& answer,
                std::initializer_list<int> right,
                const std::string& call) const;
  // Runs in a sandbox; nullopt when the emulator is dead. Fails the test unless it exits with 0, or
  // the disk may be full.
  std::optional<bool> run_in(const EmulatorProcess& emulator,
                             const std::string& id,
                             const std::string& command,
                             const std::string& user = "root") const;
  // Both files of a running sandbox have so many lines. False when the emulator is dead.
  bool expect_lines(const EmulatorProcess& emulator,
                    const std::string& id,
                    Lines lines,
                    std::optional<Lines> or_lines = std::nullopt) const;
  bool is_mounted(const std::string& volume) const;
  // Those that a full disk has ended.
  void forget_the_dead(const EmulatorProcess& emulator);

  void check_sandboxes(const EmulatorProcess& emulator);
  void check_content(const EmulatorProcess& emulator);
  void check_snapshots(const EmulatorProcess& emulator);
  void check_volumes(const EmulatorProcess& emulator);
  void check_secrets(const EmulatorProcess& emulator);

  // A random one that runs (or is paused); end() when there is none.
  SandboxIt pick(bool paused);
  template <class Map>
  auto pick_any(Map& map) {
    return map.empty() ? map.end()
                       : std::next(map.begin(), static_cast<long>(random_() % map.size()));
  }
  bool chance(unsigned one_of) { return random_() % one_of == 0; }

  std::string name_;
  std::mt19937 random_;
  bool full_ = false;
  std::map<std::string, Sandbox> sandboxes_;
  std::map<std::string, Snapshot> snapshots_;  // by reference
  std::set<std::string> deleted_;              // references
  std::set<std::string> killed_;               // sandboxes
  int unnamed_unsure_ = 0;                     // snapshots whose id nobody was told
  std::map<std::string, Volume> volumes_;      // by name
  std::map<std::string, Secret> secrets_;      // by name
  int serial_ = 0;
  std::map<std::string, int> done_;
};

}  // namespace tests::integration
