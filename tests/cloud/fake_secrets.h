// Secrets in memory, as the port promises: one, "s1", which may go to api.example.com.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "fakeapi/cloud/secret_service.h"

namespace tests {

namespace cloud = fakeapi::cloud;

class FakeSecrets final : public cloud::SecretService {
 public:
  FakeSecrets() {
    cloud::NewSecret first;
    first.name = "s1";
    first.hosts = {"api.example.com"};
    add(std::move(first));
  }

  base::Task<cloud::SecretInfo> create(cloud::NewSecret wanted) override {
    last_value = wanted.value;
    for (const auto& info : known) {
      if (info.name == wanted.name) {
        co_return base::fail(base::Errc::kAlreadyExists, "secret 's1' already exists");
      }
    }
    co_return add(std::move(wanted));
  }
  base::Task<std::vector<cloud::SecretInfo>> list() override { co_return known; }
  base::Task<cloud::SecretInfo> get(cloud::SecretKey key) override {
    auto found = find(key);
    if (found == known.end()) co_return missing(key);
    co_return *found;
  }
  base::Task<cloud::SecretInfo> update(cloud::SecretKey key, cloud::SecretChange change) override {
    auto found = find(key);
    if (found == known.end()) co_return missing(key);
    last_value = change.value;
    if (change.hosts) found->hosts = *change.hosts;
    if (change.description) found->description = *change.description;
    if (change.metadata) found->metadata = *change.metadata;
    ++found->version;
    co_return *found;
  }
  base::Task<std::string> remove(cloud::SecretKey key) override {
    auto found = find(key);
    if (found == known.end()) co_return missing(key);
    std::string name = found->name;
    known.erase(found);
    co_return name;
  }

  cloud::SecretInfo add(cloud::NewSecret wanted) {
    cloud::SecretInfo info;
    // 2026-09-21T10:00:00.123Z, and a second more for each.
    auto number = static_cast<long>(known.size());
    info.created_at = base::TimePoint(std::chrono::milliseconds(1789984800123 + 1000 * number));
    info.updated_at = info.created_at;
    info.secret_id = "sec_" + std::string(25, '0') + std::to_string(number);
    info.name = std::move(wanted.name);
    info.hosts = std::move(wanted.hosts);
    info.description = std::move(wanted.description);
    info.metadata = std::move(wanted.metadata);
    info.placeholder = "novita_secret_00ff";
    known.push_back(info);
    return info;
  }

  std::vector<cloud::SecretInfo> known;
  std::string last_value;

 private:
  std::vector<cloud::SecretInfo>::iterator find(const cloud::SecretKey& key) {
    return std::find_if(known.begin(), known.end(), [&](const cloud::SecretInfo& info) {
      return (key.is_id ? info.secret_id : info.name) == key.text;
    });
  }
  static base::Failure missing(const cloud::SecretKey& key) {
    return base::fail(base::Errc::kNotFound, "secret '" + key.text + "' not found");
  }
};

}  // namespace tests
