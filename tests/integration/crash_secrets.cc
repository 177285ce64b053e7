// CrashCustomer: secrets.
#include <gtest/gtest.h>

#include "tests/integration/crash_customer.h"

namespace tests::integration {

using Outcome = CrashCustomer::Outcome;

namespace {

// The version stands in the description, which is written with the value.
std::string version_text(int version) {
  return "version " + std::to_string(version);
}

HttpAnswer ask(const EmulatorProcess& emulator,
               std::string_view method,
               const std::string& path,
               const Json& body = {}) {
  return request(emulator.port(), method, path, body.is_null() ? "" : body.dump(), "localhost",
                 {{"X-API-KEY", "e2b_0000"},
                  {"X-Novita-SDK-Name", "novita-sandbox"},
                  {"Content-Type", "application/json"}});
}

}  // namespace

Outcome CrashCustomer::write_secret(const EmulatorProcess& emulator) {
  std::string name = name_ + "-key" + std::to_string(random_() % 3);
  int version = ++serial_;
  Json body = {{"value", "value " + std::to_string(version)},
               {"hosts", {"api.example.com"}},
               {"description", version_text(version)}};
  auto known = secrets_.find(name);
  bool is_new = known == secrets_.end();
  HttpAnswer answer;
  if (is_new) {
    known = secrets_.insert({name, Secret{{version}, true}}).first;
    body["name"] = name;
    answer = ask(emulator, "POST", "/secrets", body);
  } else {
    known->second.versions.insert(version);
    answer = ask(emulator, "PUT", "/secrets/" + name, body);
  }
  Outcome outcome = judge(answer, {is_new ? 201 : 200}, "write secret");
  if (outcome == Outcome::kDone) known->second = Secret{{version}, false};
  if (outcome == Outcome::kRefused) known->second.versions.erase(version);
  if (outcome == Outcome::kRefused && is_new) secrets_.erase(known);
  return outcome;
}

Outcome CrashCustomer::delete_secret(const EmulatorProcess& emulator) {
  auto at = pick_any(secrets_);
  if (at == secrets_.end()) return Outcome::kNothingToDo;
  at->second.unsure = true;
  Outcome outcome = judge(ask(emulator, "DELETE", "/secrets/" + at->first), {200}, "delete secret");
  if (outcome == Outcome::kDead) return outcome;
  at->second.unsure = false;
  if (outcome == Outcome::kDone) secrets_.erase(at);
  return outcome;
}

void CrashCustomer::check_secrets(const EmulatorProcess& emulator) {
  HttpAnswer answer = ask(emulator, "GET", "/secrets");
  ASSERT_EQ(answer.status, 200) << answer.body;
  std::map<std::string, std::string> listed;
  Json body = answer.json();
  for (const Json& item : body["secrets"]) {
    std::string name = item.value("name", "");
    if (name.starts_with(name_ + "-")) listed[name] = item.value("description", "");
  }
  for (auto it = secrets_.begin(); it != secrets_.end();) {
    auto found = listed.find(it->first);
    if (found == listed.end()) {
      EXPECT_TRUE(it->second.unsure) << it->first << " is lost";
      it = secrets_.erase(it);
      continue;
    }
    std::erase_if(it->second.versions,
                  [&](int version) { return version_text(version) != found->second; });
    EXPECT_EQ(it->second.versions.size(), 1U) << it->first << " is " << found->second;
    it->second.unsure = false;
    listed.erase(found);
    ++it;
  }
  for (const auto& [name, description] : listed) {
    ADD_FAILURE() << name << " was deleted, or never made: " << description;
  }
}

}  // namespace tests::integration
