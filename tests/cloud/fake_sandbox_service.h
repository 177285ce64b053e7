// A SandboxService in memory with a clock that the test moves: states, times and errors as the port
// promises, no machine behind it. `fail_next` makes the next call that may fail do so.
#pragma once

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "emulator/base/clock.h"
#include "fakeapi/cloud/sandbox_service.h"

namespace tests {

namespace cloud = fakeapi::cloud;

class ManualClock final : public base::Clock {
 public:
  base::TimePoint now() const override { return now_; }
  boost::asio::awaitable<void> sleep_until(base::TimePoint) override { co_return; }
  void advance(std::chrono::milliseconds by) { now_ += by; }

 private:
  // 2026-09-21T10:00:00.123Z
  base::TimePoint now_ = base::TimePoint(std::chrono::milliseconds(1789984800123));
};

class FakeSandboxService : public cloud::SandboxService {
 public:
  explicit FakeSandboxService(ManualClock& clock) : clock_(clock) {
    add_template("base", "base");
    add_template("tpl7interpreter0000x", "code-interpreter-v1");
  }

  std::optional<std::size_t> max_running() const override { return limit; }
  std::optional<std::size_t> limit;

  base::Task<cloud::SandboxInfo> create(cloud::NewSandbox request) override {
    last_request = request;
    if (auto failure = take_failure()) co_return base::Failure(*failure);
    auto known = std::find_if(templates_.begin(), templates_.end(), [&](const auto& item) {
      return item.template_id == request.template_id || item.names[0] == request.template_id;
    });
    if (known == templates_.end()) {
      co_return base::fail(base::Errc::kNotFound,
                           "template '" + request.template_id + "' not found");
    }
    cloud::SandboxInfo info;
    info.sandbox_id = "isbx" + std::to_string(++count_);
    info.template_id = known->template_id;
    info.alias = known->names[0];
    info.metadata = request.metadata;
    info.started_at = clock_.now();
    info.end_at = clock_.now() + request.timeout;
    info.cpu_count = 2;
    info.memory_mb = 512;
    info.disk_size_mb = 10240;
    info.envd_version = "0.6.13";
    if (request.secure) info.envd_access_token = "token-of-" + info.sandbox_id;
    info.allow_internet_access = request.allow_internet_access;
    info.network = request.network;
    show_token(info);
    info.auto_pause = request.auto_pause;
    info.auto_pause_memory = request.auto_pause_memory;
    info.auto_resume = request.auto_resume;
    info.volume_mounts = request.volume_mounts;
    sandboxes_[info.sandbox_id] = info;
    co_return info;
  }

  std::vector<cloud::SandboxInfo> list() const override {
    std::vector<cloud::SandboxInfo> all;
    for (const auto& [id, info] : sandboxes_) all.push_back(info);
    return all;
  }

  base::Result<cloud::SandboxInfo> get(std::string_view id) const override {
    auto found = sandboxes_.find(std::string(id));
    if (found == sandboxes_.end()) return base::fail(base::Errc::kNotFound, "nobody by that name");
    return found->second;
  }

  base::Task<> kill(std::string id) override {
    if (auto failure = take_failure()) co_return base::Failure(*failure);
    if (sandboxes_.erase(id) == 0) co_return base::fail(base::Errc::kNotFound, "gone");
    co_return base::Result<>();
  }

  base::Task<> set_timeout(std::string id, std::chrono::seconds timeout) override {
    if (auto failure = take_failure()) co_return base::Failure(*failure);
    sandboxes_.at(id).end_at = clock_.now() + timeout;
    co_return base::Result<>();
  }

  base::Task<cloud::Connected> connect(std::string id,
                                       std::chrono::seconds timeout,
                                       std::optional<cloud::NetworkOptions> network) override {
    cloud::SandboxInfo& info = sandboxes_.at(id);
    change(info, network);
    cloud::Connected connected;
    connected.resumed = info.state == cloud::SandboxState::kPaused;
    auto end = clock_.now() + timeout;
    if (connected.resumed || end > info.end_at) info.end_at = end;
    info.state = cloud::SandboxState::kRunning;
    connected.info = info;
    co_return connected;
  }

  base::Task<cloud::SandboxInfo> resume(std::string id,
                                        std::chrono::seconds timeout,
                                        std::optional<bool> auto_pause,
                                        std::optional<cloud::NetworkOptions> network) override {
    cloud::SandboxInfo& info = sandboxes_.at(id);
    if (info.state == cloud::SandboxState::kRunning) {
      co_return base::fail(base::Errc::kConflict, "it runs");
    }
    change(info, network);
    info.state = cloud::SandboxState::kRunning;
    info.end_at = clock_.now() + timeout;
    info.auto_pause = auto_pause.value_or(info.auto_pause);
    co_return info;
  }

  base::Task<> drop_memory(std::string id) override {
    memory_dropped.push_back(id);
    co_return base::Result<>();
  }

  base::Task<> pause(std::string id, bool keep_memory) override {
    paused_with_memory = keep_memory;
    auto found = sandboxes_.find(id);
    if (found == sandboxes_.end()) co_return base::fail(base::Errc::kNotFound, "gone");
    if (found->second.state == cloud::SandboxState::kPaused) {
      co_return base::fail(base::Errc::kConflict, "it sleeps");
    }
    found->second.state = cloud::SandboxState::kPaused;
    co_return base::Result<>();
  }

  base::Task<> set_network(std::string id,
                           cloud::NetworkOptions network,
                           std::optional<bool> allow_internet_access) override {
    if (auto failure = take_failure()) co_return base::Failure(*failure);
    cloud::SandboxInfo& info = sandboxes_.at(id);
    if (info.network) {
      network.allow_public_traffic = info.network->allow_public_traffic;
      network.mask_request_host = info.network->mask_request_host;
    }
    info.network = std::move(network);
    info.allow_internet_access = allow_internet_access;
    co_return base::Result<>();
  }

  base::Task<> set_extra_memory(std::string id, int mib) override {
    if (auto failure = take_failure()) co_return base::Failure(*failure);
    sandboxes_.at(id).memory_mb = 512 + mib;
    co_return base::Result<>();
  }
  base::Task<cloud::SandboxInfo> mount_volume(std::string id, cloud::VolumeMount mount) override {
    if (auto failure = take_failure()) co_return base::Failure(*failure);
    sandboxes_.at(id).volume_mounts.push_back(std::move(mount));
    co_return sandboxes_.at(id);
  }
  base::Task<cloud::SandboxInfo> unmount_volume(std::string id,
                                                std::string path,
                                                bool force) override {
    last_force = force;
    if (auto failure = take_failure()) co_return base::Failure(*failure);
    std::erase_if(sandboxes_.at(id).volume_mounts,
                  [&](const auto& mount) { return mount.path == path; });
    co_return sandboxes_.at(id);
  }
  bool last_force = false;

  base::Result<std::vector<cloud::MetricSample>> metrics(std::string_view id) const override {
    SANDLOT_TRY(cloud::SandboxInfo known, get(id));
    return samples;
  }
  std::vector<cloud::MetricSample> samples;  // of every sandbox
  std::vector<cloud::TemplateSummary> templates() const override { return templates_; }

  // Makes a sandbox directly, a second after the one before.
  std::string add(cloud::StringMap metadata = {},
                  cloud::SandboxState state = cloud::SandboxState::kRunning,
                  std::string template_id = "base") {
    clock_.advance(std::chrono::seconds(1));
    cloud::SandboxInfo info;
    info.sandbox_id = "iadd" + std::to_string(++count_);
    info.template_id = std::move(template_id);
    if (!metadata.empty()) info.metadata = std::move(metadata);
    info.state = state;
    info.started_at = clock_.now();
    info.end_at = clock_.now() + std::chrono::minutes(5);
    info.envd_version = "0.6.13";
    sandboxes_[info.sandbox_id] = info;
    return info.sandbox_id;
  }
  void remove(const std::string& id) { sandboxes_.erase(id); }
  cloud::SandboxInfo& at(const std::string& id) { return sandboxes_.at(id); }
  void add_template(std::string id, std::string name) {
    cloud::TemplateSummary summary;
    summary.template_id = std::move(id);
    summary.build_id = "11111111-2222-4333-8444-555555555555";
    summary.names.push_back(std::move(name));
    summary.cpu_count = 2;
    summary.memory_mb = 512;
    summary.disk_size_mb = 10240;
    summary.created_at = clock_.now();
    templates_.push_back(summary);
  }

  std::optional<bool> paused_with_memory;   // of the last pause
  std::vector<std::string> memory_dropped;  // ids
  std::optional<base::Error> fail_next;
  std::optional<cloud::NewSandbox> last_request;

 private:
  static void show_token(cloud::SandboxInfo& info) {
    bool is_private = info.network && info.network->is_private();
    info.traffic_access_token = is_private ? "traffic-" + info.sandbox_id : "";
  }
  static void change(cloud::SandboxInfo& info, const std::optional<cloud::NetworkOptions>& to) {
    if (!to) return;
    info.network = cloud::merged(info.network.value_or(cloud::NetworkOptions()), *to);
    show_token(info);
  }
  std::optional<base::Error> take_failure() { return std::exchange(fail_next, std::nullopt); }

  ManualClock& clock_;
  std::map<std::string, cloud::SandboxInfo> sandboxes_;
  std::vector<cloud::TemplateSummary> templates_;
  int count_ = 0;
};

}  // namespace tests
