// CrashCustomer: volumes.
#include <gtest/gtest.h>

#include "tests/integration/crash_customer.h"

namespace tests::integration {

using Outcome = CrashCustomer::Outcome;

namespace {

constexpr std::size_t kMostVolumes = 3;
constexpr int kLargestQuota = 3;

}  // namespace

bool CrashCustomer::is_mounted(const std::string& volume) const {
  for (const auto& [id, one] : sandboxes_) {
    for (const auto& [path, name] : one.mounts) {
      if (name == volume) return true;
    }
  }
  return false;
}

Outcome CrashCustomer::create_volume(const EmulatorProcess& emulator) {
  if (volumes_.size() >= kMostVolumes) return Outcome::kNothingToDo;
  std::string name = name_ + "-v" + std::to_string(++serial_);
  Volume& made = volumes_[name];
  made.unsure = true;
  made.quota = made.most_quota = chance(2) ? 1 : 0;
  Json body = {{"name", name}};
  if (made.quota > 0) body["quotaSizeGiB"] = made.quota;
  HttpAnswer answer = emulator.api("POST", "/volumes", body);
  Outcome outcome = judge(answer, {201}, "create volume");
  if (outcome == Outcome::kDead) return outcome;
  made.id = answer.json().value("volumeID", "");
  made.unsure = false;
  if (outcome == Outcome::kRefused) volumes_.erase(name);
  return outcome;
}

Outcome CrashCustomer::mount_volume(const EmulatorProcess& emulator) {
  auto volume = pick_any(volumes_);
  auto at = pick_any(sandboxes_);
  if (volume == volumes_.end() || at == sandboxes_.end()) return Outcome::kNothingToDo;
  Sandbox& one = at->second;
  std::string path = "/mnt/at" + std::to_string(random_() % 3);
  HttpAnswer answer = emulator.api("POST", "/sandboxes/" + at->first + "/volume-mounts",
                                   {{"name", volume->first}, {"path", path}});
  bool taken = one.paused || one.mounts.contains(path);
  Outcome outcome = judge(answer, {taken ? 409 : 200}, "mount volume");
  if (outcome == Outcome::kDone) one.mounts[path] = volume->first;
  return outcome;
}

Outcome CrashCustomer::unmount_volume(const EmulatorProcess& emulator) {
  auto at = pick(false);
  if (at == sandboxes_.end() || at->second.mounts.empty()) return Outcome::kNothingToDo;
  auto mount = pick_any(at->second.mounts);
  HttpAnswer answer =
      emulator.api("DELETE", "/sandboxes/" + at->first + "/volume-mounts?path=" + mount->first +
                                 (chance(2) ? "&force=true" : ""));
  Outcome outcome = judge(answer, {200}, "unmount volume");
  if (outcome == Outcome::kDone) at->second.mounts.erase(mount);
  return outcome;
}

Outcome CrashCustomer::write_volume(const EmulatorProcess& emulator) {
  auto at = pick(false);
  if (at == sandboxes_.end() || at->second.mounts.empty()) return Outcome::kNothingToDo;
  auto mount = pick_any(at->second.mounts);
  Lines& lines = volumes_.at(mount->second).lines;
  std::string file = mount->first + "/file";
  auto done = run_in(emulator, at->first, "echo line >> " + file + " && sync " + file);
  lines = lines + Lines{done.value_or(false) ? 1 : 0, 1};
  if (!done) return Outcome::kDead;
  return *done ? Outcome::kDone : Outcome::kRefused;
}

Outcome CrashCustomer::grow_volume(const EmulatorProcess& emulator) {
  auto at = pick_any(volumes_);
  if (at == volumes_.end()) return Outcome::kNothingToDo;
  Volume& one = at->second;
  if (one.quota == kLargestQuota) return Outcome::kNothingToDo;
  bool can_grow = one.quota > 0;
  if (can_grow) one.most_quota = one.quota + 1;
  HttpAnswer answer =
      emulator.api("PATCH", "/volumes/" + one.id, {{"quotaSizeGiB", one.quota + 1}});
  Outcome outcome = judge(answer, {can_grow ? 200 : 400}, "grow volume");
  if (outcome == Outcome::kDone) one.quota = one.most_quota;
  if (outcome == Outcome::kRefused) one.most_quota = one.quota;
  return outcome;
}

Outcome CrashCustomer::delete_volume(const EmulatorProcess& emulator) {
  auto at = pick_any(volumes_);
  if (at == volumes_.end()) return Outcome::kNothingToDo;
  bool mounted = is_mounted(at->first);
  at->second.unsure = !mounted;
  HttpAnswer answer = emulator.api("DELETE", "/volumes/" + at->second.id);
  Outcome outcome = judge(answer, {mounted ? 409 : 204}, "delete volume");
  if (outcome == Outcome::kDead) return outcome;
  at->second.unsure = false;
  if (outcome == Outcome::kDone) volumes_.erase(at);
  return outcome;
}

void CrashCustomer::check_volumes(const EmulatorProcess& emulator) {
  HttpAnswer answer = emulator.api("GET", "/volumes");
  ASSERT_EQ(answer.status, 200) << answer.body;
  std::map<std::string, Json> listed;
  for (const Json& item : answer.json()) {
    std::string name = item.value("name", "");
    if (name.starts_with(name_ + "-")) listed[name] = item;
  }
  for (const auto& [name, item] : listed) {
    EXPECT_TRUE(volumes_.contains(name)) << name << " was deleted, or never made";
  }
  Json mounts = Json::array();
  for (auto it = volumes_.begin(); it != volumes_.end();) {
    Volume& one = it->second;
    if (!listed.contains(it->first)) {
      EXPECT_TRUE(one.unsure) << it->first << " is lost";
      it = volumes_.erase(it);
      continue;
    }
    const Json& item = listed[it->first];
    int quota = item.value("quotaSizeGiB", 0);
    EXPECT_TRUE(quota >= one.quota && quota <= one.most_quota) << it->first << " has " << quota;
    one.id = item.value("volumeID", "");
    one.quota = one.most_quota = quota;
    one.unsure = false;
    mounts.push_back({{"name", it->first}, {"path", "/mnt/" + it->first}});
    ++it;
  }
  if (volumes_.empty()) return;
  std::string reader = emulator.create({{"volumeMounts", mounts}}, &answer);
  ASSERT_NE(reader, "") << answer.body;
  for (auto& [name, one] : volumes_) {
    auto ran = emulator.run(reader, "cat /mnt/" + name + "/file 2>&- | wc -l", "root");
    int lines = std::atoi(ran.out.c_str());
    EXPECT_TRUE(ran.ended && one.lines.contains(lines))
        << name << " has " << lines << " lines, not " << one.lines.least << " to " << one.lines.most
        << " " << ran.err;
    one.lines = {lines, lines};
  }
  EXPECT_EQ(emulator.api("DELETE", "/sandboxes/" + reader).status, 204);
}

}  // namespace tests::integration
