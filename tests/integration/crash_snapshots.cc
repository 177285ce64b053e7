// CrashCustomer: snapshots.
#include <gtest/gtest.h>

#include "tests/integration/crash_customer.h"

namespace tests::integration {

using Outcome = CrashCustomer::Outcome;

// `reference`: what it will be called; "": nobody knows before the answer.
Outcome CrashCustomer::take(const EmulatorProcess& emulator,
                            const std::string& call,
                            const Json& body,
                            const std::string& reference) {
  auto at = pick_any(sandboxes_);
  if (at == sandboxes_.end() || snapshots_.size() > 5) return Outcome::kNothingToDo;
  Lines lines = at->second.lines;
  std::string called = reference;
  bool was_deleted = deleted_.erase(called) > 0;
  if (called.empty()) {
    ++unnamed_unsure_;
  } else if (auto known = snapshots_.find(called); known != snapshots_.end()) {
    known->second.or_lines = lines;
  } else {
    snapshots_[called] = Snapshot{lines, std::nullopt, true};
  }
  HttpAnswer answer = emulator.api("POST", "/sandboxes/" + at->first + call, body);
  Outcome outcome = judge(answer, {201}, "snapshot");
  if (outcome == Outcome::kDead) return outcome;
  if (called.empty()) --unnamed_unsure_;
  if (outcome == Outcome::kRefused) {
    if (was_deleted) deleted_.insert(called);
    auto known = snapshots_.find(called);
    if (known == snapshots_.end()) return outcome;
    known->second.or_lines.reset();
    if (known->second.unsure) snapshots_.erase(known);
    return outcome;
  }
  Json made = answer.json();
  if (called.empty()) {
    called = made.value("snapshotID", "");
    if (call == "/commit") called = made.value("templateID", "") + ":default";
  } else if (call == "/snapshots") {
    EXPECT_EQ(made.value("snapshotID", ""), called);
  }
  snapshots_[called] = Snapshot{lines, std::nullopt, false};
  return outcome;
}

Outcome CrashCustomer::snapshot(const EmulatorProcess& emulator) {
  return take(emulator, "/snapshots", Json::object(), "");
}

Outcome CrashCustomer::named_snapshot(const EmulatorProcess& emulator) {
  std::string name = name_ + "-" + std::to_string(random_() % 3) + ":default";
  return take(emulator, "/snapshots", {{"name", name}}, name);
}

Outcome CrashCustomer::commit(const EmulatorProcess& emulator) {
  if (chance(2)) return take(emulator, "/commit", Json::object(), "");
  std::string alias = name_ + "-committed";
  return take(emulator, "/commit", {{"alias", alias}}, alias + ":default");
}

Outcome CrashCustomer::delete_snapshot(const EmulatorProcess& emulator) {
  auto at = pick_any(snapshots_);
  if (at == snapshots_.end()) return Outcome::kNothingToDo;
  const std::string reference = at->first;
  at->second.unsure = true;
  HttpAnswer answer =
      emulator.api("DELETE", "/templates/" + reference.substr(0, reference.find(':')));
  // 400: a sandbox is made of it.
  Outcome outcome = judge(answer, {204, 400}, "delete snapshot");
  if (outcome == Outcome::kDead) return outcome;
  at->second.unsure = false;
  if (outcome == Outcome::kRefused) return outcome;
  snapshots_.erase(at);
  deleted_.insert(reference);
  return outcome;
}

void CrashCustomer::check_snapshots(const EmulatorProcess& emulator) {
  HttpAnswer answer = emulator.api("GET", "/snapshots?limit=100");
  ASSERT_EQ(answer.status, 200) << answer.body;
  std::set<std::string> listed;
  for (const Json& item : answer.json()) listed.insert(item.value("snapshotID", ""));
  for (const std::string& reference : deleted_) {
    EXPECT_FALSE(listed.contains(reference)) << reference << " was deleted";
  }
  deleted_.clear();
  for (auto it = snapshots_.begin(); it != snapshots_.end();) {
    bool there = listed.contains(it->first);
    EXPECT_TRUE(there || it->second.unsure) << it->first << " is lost";
    it = there ? std::next(it) : snapshots_.erase(it);
  }
  for (const std::string& reference : listed) {
    bool ours = reference.starts_with(name_ + "-");
    EXPECT_TRUE(!ours || snapshots_.contains(reference)) << reference << " was never taken";
  }
  auto chosen = pick_any(snapshots_);
  for (auto it = snapshots_.begin(); it != snapshots_.end(); ++it) {
    Snapshot& one = it->second;
    if (it != chosen && !one.unsure && !one.or_lines) continue;
    std::string copy = emulator.create({{"templateID", it->first}}, &answer);
    EXPECT_NE(copy, "") << it->first << ": " << answer.body;
    EXPECT_TRUE(expect_lines(emulator, copy, one.lines, one.or_lines));
    if (one.or_lines) {
      one.lines = {std::min(one.lines.least, one.or_lines->least),
                   std::max(one.lines.most, one.or_lines->most)};
    }
    one.or_lines.reset();
    one.unsure = false;
    EXPECT_EQ(emulator.api("DELETE", "/sandboxes/" + copy).status, 204);
  }
}

}  // namespace tests::integration
