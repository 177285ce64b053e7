#include "tests/integration/crash_customer.h"

#include <algorithm>

#include <gtest/gtest.h>

namespace tests::integration {

using Outcome = CrashCustomer::Outcome;

const std::vector<CrashCustomer::Operation>& CrashCustomer::operations() {
  using C = CrashCustomer;
  static const std::vector<Operation> kAll = {
      {"create", 3, &C::create},
      {"create of a snapshot", 2, &C::create_of_snapshot},
      {"append", 5, &C::append},
      {"pause", 6, &C::pause},
      {"connect", 4, &C::connect},
      {"kill", 2, &C::kill},
      {"setTimeout", 3, &C::set_timeout},
      {"setNetwork", 2, &C::set_network},
      {"clone", 1, &C::clone},
      {"fork", 1, &C::fork},
      {"reset", 2, &C::reset},
      {"events", 1, &C::ask_events},
      {"snapshot", 2, &C::snapshot},
      {"named snapshot", 2, &C::named_snapshot},
      {"commit", 1, &C::commit},
      {"delete snapshot", 2, &C::delete_snapshot},
      {"create volume", 1, &C::create_volume},
      {"mount volume", 2, &C::mount_volume},
      {"unmount volume", 1, &C::unmount_volume},
      {"write volume", 3, &C::write_volume},
      {"grow volume", 1, &C::grow_volume},
      {"delete volume", 1, &C::delete_volume},
      {"write secret", 3, &C::write_secret},
      {"delete secret", 1, &C::delete_secret},
  };
  return kAll;
}

bool CrashCustomer::step(const EmulatorProcess& emulator) {
  int all = 0;
  for (const Operation& operation : operations()) all += operation.weight;
  int drawn = static_cast<int>(random_() % static_cast<unsigned>(all));
  for (const Operation& operation : operations()) {
    drawn -= operation.weight;
    if (drawn >= 0) continue;
    if (full_) forget_the_dead(emulator);
    Outcome outcome = (this->*operation.run)(emulator);
    if (outcome == Outcome::kDone) ++done_[operation.name];
    if (outcome == Outcome::kRefused) ++done_[std::string(operation.name) + " (refused)"];
    return outcome != Outcome::kDead;
  }
  return true;
}

Outcome CrashCustomer::judge(const HttpAnswer& answer,
                             std::initializer_list<int> right,
                             const std::string& call) const {
  if (answer.status == 0 || answer.truncated) return Outcome::kDead;
  if (full_ && (answer.status == 507 || answer.status == 404)) return Outcome::kRefused;
  bool expected = std::find(right.begin(), right.end(), answer.status) != right.end();
  EXPECT_TRUE(expected) << call << ": " << answer.status << " " << answer.body;
  return expected && answer.status < 300 ? Outcome::kDone : Outcome::kRefused;
}

std::optional<bool> CrashCustomer::run_in(const EmulatorProcess& emulator,
                                          const std::string& id,
                                          const std::string& command,
                                          const std::string& user) const {
  auto ran = emulator.run(id, command, user);
  if (!ran.ended && emulator.api("GET", "/health").status == 0) return std::nullopt;
  if (!full_) {
    EXPECT_EQ(ran.exit_code, 0) << id << ": " << command << "\n" << ran.err;
  }
  return ran.ended && ran.exit_code == 0;
}

bool CrashCustomer::expect_lines(const EmulatorProcess& emulator,
                                 const std::string& id,
                                 Lines lines,
                                 std::optional<Lines> or_lines) const {
  auto ran = emulator.run(id, "cat /home/user/file 2>&- | wc -l; cat /usr/local/file 2>&- | wc -l");
  if (!ran.ended) {
    bool dead = emulator.api("GET", "/health").status == 0;
    EXPECT_TRUE(dead || full_) << id << ": " << ran.err;
    return !dead;
  }
  int home = -1;
  int usr = -1;
  EXPECT_EQ(std::sscanf(ran.out.c_str(), "%d\n%d", &home, &usr), 2) << ran.out << ran.err;
  bool right = lines.contains(home) && lines.contains(usr);
  if (or_lines) right = right || (or_lines->contains(home) && or_lines->contains(usr));
  EXPECT_TRUE(right) << id << " has " << home << " and " << usr << " lines, not " << lines.least
                     << " to " << lines.most;
  return true;
}

CrashCustomer::SandboxIt CrashCustomer::pick(bool paused) {
  std::vector<SandboxIt> found;
  for (auto it = sandboxes_.begin(); it != sandboxes_.end(); ++it) {
    if (it->second.paused == paused) found.push_back(it);
  }
  return found.empty() ? sandboxes_.end() : found[random_() % found.size()];
}

void CrashCustomer::forget_the_dead(const EmulatorProcess& emulator) {
  for (auto it = sandboxes_.begin(); it != sandboxes_.end();) {
    bool dead = !it->second.paused && emulator.api("GET", "/sandboxes/" + it->first).status == 404;
    if (dead) ++done_["(ended by a full disk)"];
    it = dead ? sandboxes_.erase(it) : std::next(it);
  }
}

std::set<std::string> CrashCustomer::snapshots() const {
  std::set<std::string> references;
  for (const auto& [reference, known] : snapshots_) references.insert(reference);
  return references;
}

void CrashCustomer::check(const EmulatorProcess& emulator) {
  check_sandboxes(emulator);
  check_volumes(emulator);
  check_secrets(emulator);
  check_snapshots(emulator);
  check_content(emulator);
}

}  // namespace tests::integration
