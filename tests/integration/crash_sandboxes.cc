// CrashCustomer: sandboxes.
#include <gtest/gtest.h>

#include "tests/integration/crash_customer.h"

namespace tests::integration {

using Outcome = CrashCustomer::Outcome;

namespace {

constexpr std::size_t kMostSandboxes = 6;

std::string path_of(const std::string& id) {
  return "/sandboxes/" + id;
}

// The detail of one, without what a restart changes.
Json detail_of(const HttpAnswer& answer) {
  Json detail = answer.json();
  if (detail.is_object()) detail.erase("domain");  // has the port
  return detail;
}

}  // namespace

void CrashCustomer::add(const EmulatorProcess& emulator,
                        const Json& info,
                        const Sandbox& like,
                        Lines lines) {
  emulator.adopt(info);
  Sandbox& made = sandboxes_[info.value("sandboxID", "")];
  made.info = info;
  made.info["metadata"] = like.info["metadata"];
  made.mounts = like.mounts;
  made.lines = made.first_lines = lines;
  made.full_disk = full_;
}

Outcome CrashCustomer::create_with(const EmulatorProcess& emulator, Json options, Lines lines) {
  if (sandboxes_.size() >= kMostSandboxes) return Outcome::kNothingToDo;
  Sandbox like;
  like.info["metadata"] = {{"owner", name_}, {"n", std::to_string(++serial_)}};
  options["metadata"] = like.info["metadata"];
  options["timeout"] = 3600;
  options["autoPause"] = chance(2);
  if (chance(2)) options["network"] = {{"denyOut", {"9.9.9." + std::to_string(serial_ % 256)}}};
  auto volume = pick_any(volumes_);
  if (volume != volumes_.end() && chance(2)) {
    like.mounts["/mnt/first"] = volume->first;
    options["volumeMounts"] = {{{"name", volume->first}, {"path", "/mnt/first"}}};
  }
  HttpAnswer answer = emulator.api("POST", "/sandboxes", options);
  Outcome outcome = judge(answer, {201}, "create");
  if (outcome == Outcome::kDone) add(emulator, answer.json(), like, lines);
  return outcome;
}

Outcome CrashCustomer::create(const EmulatorProcess& emulator) {
  return create_with(emulator, {{"templateID", "base"}}, Lines());
}

Outcome CrashCustomer::create_of_snapshot(const EmulatorProcess& emulator) {
  auto snapshot = pick_any(snapshots_);
  if (snapshot == snapshots_.end()) return Outcome::kNothingToDo;
  return create_with(emulator, {{"templateID", snapshot->first}}, snapshot->second.lines);
}

Outcome CrashCustomer::append(const EmulatorProcess& emulator) {
  auto at = pick(false);
  if (at == sandboxes_.end()) return Outcome::kNothingToDo;
  auto done =
      run_in(emulator, at->first, "echo line >> /home/user/file && echo line >> /usr/local/file");
  at->second.lines = at->second.lines + Lines{done.value_or(false) ? 1 : 0, 1};
  if (!done) return Outcome::kDead;
  return *done ? Outcome::kDone : Outcome::kRefused;
}

Outcome CrashCustomer::pause(const EmulatorProcess& emulator) {
  auto at = pick(false);
  if (at == sandboxes_.end()) return Outcome::kNothingToDo;
  Sandbox& one = at->second;
  one.unsure = true;
  HttpAnswer answer = emulator.api("POST", path_of(at->first) + "/pause", {{"memory", chance(2)}});
  Outcome outcome = judge(answer, {204}, "pause");
  if (outcome == Outcome::kDead) return outcome;
  one.unsure = false;
  HttpAnswer told = emulator.api("GET", path_of(at->first));
  if (outcome == Outcome::kDone) {
    one.paused = true;
    ++one.pauses;
    one.full_disk = one.full_disk || full_;
    if (told.status == 200) one.told = detail_of(told);
  }
  if (told.status == 0) return Outcome::kDead;
  if (full_ && told.status == 404 && !one.paused) return outcome;
  EXPECT_EQ(told.json().value("state", ""), one.paused ? "paused" : "running");
  return outcome;
}

Outcome CrashCustomer::connect(const EmulatorProcess& emulator) {
  auto at = pick(true);
  if (at == sandboxes_.end()) return Outcome::kNothingToDo;
  Sandbox& one = at->second;
  Json body = {{"timeout", 3000}};
  if (chance(2)) body["network"] = {{"denyOut", {"8.8.8." + std::to_string(random_() % 256)}}};
  one.unsure = true;
  HttpAnswer answer = emulator.api("POST", path_of(at->first) + "/connect", body);
  Outcome outcome = judge(answer, {201}, "connect");
  if (outcome == Outcome::kDead) return outcome;
  one.unsure = false;
  if (outcome == Outcome::kRefused) {
    HttpAnswer now = emulator.api("GET", path_of(at->first));
    if (now.status == 0) return Outcome::kDead;
    if (one.told) {
      EXPECT_EQ(detail_of(now), *one.told) << "a call that was refused";
    }
    return outcome;
  }
  one.paused = false;
  one.told.reset();
  one.may_return = one.full_disk = one.full_disk || full_;
  return expect_lines(emulator, at->first, one.lines) ? outcome : Outcome::kDead;
}

Outcome CrashCustomer::kill(const EmulatorProcess& emulator) {
  auto at = pick_any(sandboxes_);
  if (at == sandboxes_.end()) return Outcome::kNothingToDo;
  at->second.unsure = true;
  HttpAnswer answer = emulator.api("DELETE", path_of(at->first));
  Outcome outcome = judge(answer, {204}, "kill");
  if (outcome == Outcome::kDead) return outcome;
  EXPECT_NE(answer.status, 507) << "a full disk keeps nobody from making room";
  killed_.insert(at->first);
  sandboxes_.erase(at);
  return outcome;
}

Outcome CrashCustomer::set_timeout(const EmulatorProcess& emulator) {
  auto at = pick(!chance(4));
  if (at == sandboxes_.end()) return Outcome::kNothingToDo;
  Sandbox& one = at->second;
  one.unsure_end = !one.paused;
  Json body = {{"timeout", 1000 + static_cast<int>(random_() % 2000)}};
  const int wanted = one.paused ? 404 : 204;
  Outcome outcome =
      judge(emulator.api("POST", path_of(at->first) + "/timeout", body), {wanted}, "timeout");
  if (outcome == Outcome::kDead) return outcome;
  HttpAnswer now = emulator.api("GET", path_of(at->first));
  if (now.status == 0) return Outcome::kDead;
  one.unsure_end = false;
  if (one.paused && one.told) {
    EXPECT_EQ(detail_of(now), *one.told) << "a call that was refused";
  }
  return outcome;
}

Outcome CrashCustomer::set_network(const EmulatorProcess& emulator) {
  auto at = pick_any(sandboxes_);
  if (at == sandboxes_.end()) return Outcome::kNothingToDo;
  Json body = {{"denyOut", {"7.7.7." + std::to_string(random_() % 256)}}};
  HttpAnswer answer = emulator.api("PUT", path_of(at->first) + "/network", body);
  return judge(answer, {at->second.paused ? 404 : 204}, "network");
}

Outcome CrashCustomer::clone(const EmulatorProcess& emulator) {
  auto at = pick_any(sandboxes_);
  if (at == sandboxes_.end() || sandboxes_.size() >= kMostSandboxes) return Outcome::kNothingToDo;
  Json body = {{"count", chance(2) ? 1 : 2}, {"strict", chance(2)}, {"timeout", 3000}};
  HttpAnswer answer = emulator.api("POST", path_of(at->first) + "/clone", body);
  Outcome outcome = judge(answer, {201}, "clone");
  if (outcome != Outcome::kDone) return outcome;
  Sandbox like = at->second;
  Json cloned = answer.json();
  for (const Json& info : cloned["sandboxes"]) add(emulator, info, like, like.lines);
  return outcome;
}

Outcome CrashCustomer::fork(const EmulatorProcess& emulator) {
  auto at = pick_any(sandboxes_);
  if (at == sandboxes_.end() || sandboxes_.size() >= kMostSandboxes) return Outcome::kNothingToDo;
  HttpAnswer answer = emulator.api("POST", path_of(at->first) + "/fork", {{"timeout", 3000}});
  Outcome outcome = judge(answer, {at->second.paused ? 409 : 201}, "fork");
  if (outcome != Outcome::kDone) return outcome;
  Sandbox like = at->second;
  Json forked = answer.json();
  for (const Json& result : forked) {
    if (result.contains("sandbox")) add(emulator, result["sandbox"], like, like.lines);
  }
  return outcome;
}

Outcome CrashCustomer::reset(const EmulatorProcess& emulator) {
  auto at = pick_any(sandboxes_);
  if (at == sandboxes_.end()) return Outcome::kNothingToDo;
  Sandbox& one = at->second;
  one.unsure = one.unsure_reset = true;
  bool resume = chance(2);
  HttpAnswer answer =
      emulator.api("POST", path_of(at->first) + "/reset", {{"resume", resume}, {"timeout", 3000}});
  Outcome outcome = judge(answer, {200}, "reset");
  if (outcome == Outcome::kDead) return outcome;
  one.unsure = one.unsure_reset = false;
  if (outcome == Outcome::kRefused) return outcome;
  bool was_paused = std::exchange(one.paused, !resume);
  one.may_return = one.may_return || (was_paused && full_);
  one.full_disk = one.full_disk || full_;
  one.lines = one.first_lines;
  one.told.reset();
  if (resume) return expect_lines(emulator, at->first, one.lines) ? outcome : Outcome::kDead;
  HttpAnswer told = emulator.api("GET", path_of(at->first));
  if (told.status != 200) return Outcome::kDead;
  one.told = detail_of(told);
  return outcome;
}

Outcome CrashCustomer::ask_events(const EmulatorProcess& emulator) {
  auto at = pick_any(sandboxes_);
  if (at == sandboxes_.end()) return Outcome::kNothingToDo;
  HttpAnswer answer = emulator.api("GET", "/sandboxes/events?limit=100&sandboxID=" + at->first);
  Outcome outcome = judge(answer, {200}, "events");
  if (outcome != Outcome::kDone || at->second.full_disk) return outcome;
  std::map<std::string, int> count;
  Json items = answer.json()["items"];
  for (const Json& item : items) ++count[item.value("eventName", "")];
  EXPECT_EQ(count["create"], 1) << answer.body;
  EXPECT_GE(count["pause"], at->second.pauses) << answer.body;
  return outcome;
}

void CrashCustomer::check_sandboxes(const EmulatorProcess& emulator) {
  std::map<std::string, Sandbox> there;
  for (auto& [id, one] : sandboxes_) {
    HttpAnswer answer = emulator.api("GET", path_of(id));
    bool may_be = one.unsure || one.paused || one.may_return;
    bool must_be = one.paused && !one.unsure;
    if (answer.status != 200) {
      EXPECT_EQ(answer.status, 404) << answer.body;
      EXPECT_FALSE(must_be) << id << " is lost: " << one.info.dump();
      continue;
    }
    EXPECT_TRUE(may_be) << id << " ran, and is there";
    Json now = detail_of(answer);
    EXPECT_EQ(now.value("state", ""), "paused");
    EXPECT_EQ(now["metadata"], one.info["metadata"]);
    EXPECT_EQ(now["templateID"], one.info["templateID"]);
    if (must_be && one.told) {
      if (one.unsure_end) (*one.told)["endAt"] = now["endAt"];
      EXPECT_EQ(now, *one.told);
    }
    one.paused = true;
    one.unsure = one.unsure_end = one.may_return = false;
    one.told = now;
    emulator.adopt(one.info);
    one.mounts.clear();
    for (const Json& mount : now["volumeMounts"]) one.mounts[mount["path"]] = mount["name"];
    there.insert({id, std::move(one)});
  }
  sandboxes_ = std::move(there);
  for (const std::string& id : killed_) {
    EXPECT_EQ(emulator.api("GET", path_of(id)).status, 404) << id << " was killed";
  }
  killed_.clear();
}

// Of one, and of those that may have been reset. They are paused again then.
void CrashCustomer::check_content(const EmulatorProcess& emulator) {
  auto chosen = pick_any(sandboxes_);
  for (auto at = sandboxes_.begin(); at != sandboxes_.end(); ++at) {
    Sandbox& one = at->second;
    if (at != chosen && !one.unsure_reset) continue;
    HttpAnswer connected =
        emulator.api("POST", path_of(at->first) + "/connect", {{"timeout", 3000}});
    EXPECT_EQ(connected.status, 201) << connected.body;
    if (one.unsure_reset) {
      EXPECT_TRUE(expect_lines(emulator, at->first, one.lines, one.first_lines));
      auto ran = emulator.run(at->first, "rm -f /home/user/file /usr/local/file", "root");
      EXPECT_EQ(ran.exit_code, 0) << ran.err;
      one.lines = Lines();
    } else {
      EXPECT_TRUE(expect_lines(emulator, at->first, one.lines));
    }
    one.unsure_reset = false;
    HttpAnswer paused = emulator.api("POST", path_of(at->first) + "/pause", {{"memory", false}});
    EXPECT_EQ(paused.status, 204) << paused.body;
    ++one.pauses;
    one.told = detail_of(emulator.api("GET", path_of(at->first)));
  }
}

}  // namespace tests::integration
