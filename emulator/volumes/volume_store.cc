#include "emulator/volumes/volume_store.h"

#include <fcntl.h>

#include <algorithm>

#include "emulator/base/ids.h"
#include "emulator/base/log.h"
#include "emulator/base/scope_exit.h"

namespace emulator::volumes {

namespace asio = boost::asio;
namespace cloud = fakeapi::cloud;
using base::Errc;
using base::Failure;
using base::Result;
using base::Task;

bool SandboxMounts::has(const std::string& volume_name) const {
  return std::any_of(items.begin(), items.end(),
                     [&](const Item& item) { return item.mount.name == volume_name; });
}

std::vector<cloud::VolumeMount> SandboxMounts::list() const {
  std::vector<cloud::VolumeMount> mounts;
  for (const Item& item : items) mounts.push_back(item.mount);
  return mounts;
}

namespace {

base::Error not_found(const std::string& id) {
  return {Errc::kNotFound, "Volume " + id + " not found"};
}

}  // namespace

VolumeStore::VolumeStore(asio::any_io_executor executor,
                         base::Clock& clock,
                         std::unique_ptr<Catalogue> catalogue,
                         VolumeDisk disk)
    : executor_(executor),
      clock_(clock),
      catalogue_(std::move(catalogue)),
      disk_(std::move(disk)),
      turns_(executor),
      tasks_(executor) {}

VolumeStore::~VolumeStore() = default;

Task<> VolumeStore::start() {
  auto enter = [this] { return disk_.enter_own_mounts(); };
  SANDLOT_CO_CHECK(co_await base::offload(thread_, std::move(enter)));
  SANDLOT_CO_TRY(auto records, co_await catalogue_->all());
  std::set<std::string> ids;
  for (const VolumeRecord& record : records) ids.insert(record.id);
  auto tidy = [this, ids = std::move(ids)] {
    disk_.remove_all_but(ids);
    return Result<>();
  };
  co_return co_await base::offload(thread_, std::move(tidy));
}

asio::awaitable<void> VolumeStore::stop() {
  co_await tasks_.join();
  auto close = [this] {
    disk_.close_all();
    return true;
  };
  co_await base::offload(thread_, std::move(close));
}

Task<VolumeRecord> VolumeStore::find(std::string id) {
  SANDLOT_CO_TRY(auto records, co_await catalogue_->all());
  for (VolumeRecord& record : records) {
    if (record.id == id) co_return std::move(record);
  }
  co_return base::fail(not_found(id));
}

Task<VolumeRecord> VolumeStore::find_by_name(std::string name) {
  SANDLOT_CO_TRY(auto records, co_await catalogue_->all());
  for (VolumeRecord& record : records) {
    if (record.name == name) co_return std::move(record);
  }
  co_return base::fail(Errc::kInvalidArgument, "volume '" + name + "' not found");
}

Task<VolumeRoot> VolumeStore::open(std::string id) {
  SANDLOT_CO_TRY(VolumeRecord record, co_await find(id));
  auto work = [this, id, quota = record.quota] { return disk_.open(id, quota); };
  co_return co_await base::offload(thread_, std::move(work));
}

Task<cloud::VolumeInfo> VolumeStore::describe(VolumeRecord record) {
  auto work = [this, id = record.id, quota = record.quota] { return disk_.used(id, quota); };
  auto used = co_await base::offload(thread_, std::move(work));
  if (!used) {
    base::log::warn("volume.not_measured",
                    {{"volume", record.id}, {"error", used.error().message()}});
  }
  cloud::VolumeInfo info;
  info.volume_id = std::move(record.id);
  info.name = std::move(record.name);
  info.token = std::move(record.token);
  info.quota = record.quota;
  info.used_bytes = used.value_or(0);
  co_return info;
}

Task<cloud::VolumeInfo> VolumeStore::create(cloud::NewVolume wanted) {
  SANDLOT_CO_TRY(base::Turn turn, co_await turns_.take());
  if (co_await find_by_name(wanted.name)) {
    co_return base::fail(Errc::kAlreadyExists,
                         "Volume with name '" + wanted.name + "' already exists");
  }
  VolumeRecord record;
  record.id = base::make_uuid();
  record.name = std::move(wanted.name);
  record.token = base::random_hex(32);
  record.quota = wanted.quota;
  record.created_at = clock_.now();
  auto make = [this, id = record.id, quota = record.quota]() -> Result<> {
    SANDLOT_CHECK(disk_.make(id, quota));
    auto shown = disk_.publish(id);
    if (!shown) disk_.discard(id);
    return shown;
  };
  SANDLOT_CO_CHECK(co_await base::offload(thread_, std::move(make)));
  auto added = co_await catalogue_->add(record);
  if (!added) {
    auto undo = [this, id = record.id] {
      disk_.discard(id);
      return Result<>();
    };
    (void)co_await base::offload(thread_, std::move(undo));
    co_return Failure(std::move(added).error());
  }
  co_return co_await describe(std::move(record));
}

Task<std::vector<cloud::VolumeInfo>> VolumeStore::list() {
  SANDLOT_CO_TRY(auto records, co_await catalogue_->all());
  std::vector<cloud::VolumeInfo> volumes;
  for (VolumeRecord& record : records) {
    SANDLOT_CO_TRY(auto info, co_await describe(std::move(record)));
    volumes.push_back(std::move(info));
  }
  co_return volumes;
}

Task<cloud::VolumeInfo> VolumeStore::get(std::string id) {
  SANDLOT_CO_TRY(VolumeRecord record, co_await find(std::move(id)));
  co_return co_await describe(std::move(record));
}

std::vector<VolumeStore::SandboxPtr> VolumeStore::users_of(const std::string& volume_name) {
  std::erase_if(sandboxes_, [](const auto& sandbox) { return sandbox.expired(); });
  std::vector<SandboxPtr> users;
  for (const auto& weak : sandboxes_) {
    SandboxPtr sandbox = weak.lock();
    if (sandbox && sandbox->has(volume_name)) users.push_back(std::move(sandbox));
  }
  return users;
}

Task<> VolumeStore::remove(std::string id) {
  SANDLOT_CO_TRY(base::Turn turn, co_await turns_.take());
  SANDLOT_CO_TRY(VolumeRecord record, co_await find(id));
  auto users = users_of(record.name);
  if (!users.empty()) {
    co_return base::fail(Errc::kConflict, "Volume '" + record.name + "' is mounted in sandbox " +
                                              users.front()->sandbox());
  }
  auto check = [this, id] { return disk_.check_unused(id); };
  SANDLOT_CO_CHECK(co_await base::offload(thread_, std::move(check)));
  SANDLOT_CO_CHECK(co_await catalogue_->remove(id));
  auto work = [this, id] { return disk_.remove(id); };
  auto removed = co_await base::offload(thread_, std::move(work));
  if (removed) {
    tasks_.spawn("delete volume", delete_files(id));
  } else {
    base::log::warn("volume.left", {{"volume", id}, {"error", removed.error().message()}});
  }
  co_return Result<>();
}

asio::awaitable<void> VolumeStore::delete_files(std::string id) {
  auto work = [this, id] { return disk_.delete_removed(id); };
  auto deleted = co_await base::offload(deleter_, std::move(work));
  if (!deleted) {
    base::log::warn("volume.left", {{"volume", id}, {"error", deleted.error().message()}});
  }
}

Task<> VolumeStore::check(std::vector<cloud::VolumeMount> mounts) {
  if (mounts.empty()) co_return Result<>();
  SANDLOT_CO_TRY(auto records, co_await catalogue_->all());
  auto exists = [&](const std::string& name) {
    return std::any_of(records.begin(), records.end(),
                       [&](const VolumeRecord& record) { return record.name == name; });
  };
  co_return cloud::validate_mounts(mounts, exists);
}

Task<> VolumeStore::mount_one(SandboxPtr sandbox, VolumeRecord record, std::string path) {
  auto work = [this, sandbox, id = record.id, quota = record.quota,
               path]() -> Result<namespaces::MountId> {
    SANDLOT_TRY(VolumeRoot root, disk_.open(id, quota));
    return namespaces::mount_into(sandbox->place(), root->get(), path);
  };
  SANDLOT_CO_TRY(auto kernel_id, co_await base::offload(thread_, std::move(work)));
  SandboxMounts::Item item;
  item.mount.name = record.name;
  item.mount.path = std::move(path);
  item.kernel_id = kernel_id;
  sandbox->items.push_back(std::move(item));
  co_return Result<>();
}

Task<VolumeStore::SandboxPtr> VolumeStore::attach(SandboxAccess access,
                                                  std::vector<cloud::VolumeMount> mounts) {
  base::UniqueFd pidfd(::fcntl(access.pidfd, F_DUPFD_CLOEXEC, 3));
  auto sandbox = std::make_shared<SandboxMounts>(std::move(access), std::move(pidfd));
  if (mounts.empty()) {
    sandboxes_.push_back(sandbox);
    co_return sandbox;
  }
  SANDLOT_CO_TRY(base::Turn turn, co_await turns_.take());
  SANDLOT_CO_CHECK(co_await check(mounts));
  sandboxes_.push_back(sandbox);
  // What is mounted inside another one comes after it; shown is the order of the request.
  auto order = mounts;
  std::stable_sort(order.begin(), order.end(),
                   [](const auto& a, const auto& b) { return a.path.size() < b.path.size(); });
  for (cloud::VolumeMount& mount : order) {
    SANDLOT_CO_TRY(VolumeRecord record, co_await find_by_name(mount.name));
    SANDLOT_CO_CHECK(co_await mount_one(sandbox, std::move(record), std::move(mount.path)));
  }
  co_return sandbox;
}

VolumeStore::SandboxPtr VolumeStore::keep(std::string sandbox_id,
                                          std::vector<cloud::VolumeMount> mounts) {
  SandboxAccess access;
  access.id = std::move(sandbox_id);
  auto sandbox = std::make_shared<SandboxMounts>(std::move(access), base::UniqueFd());
  for (cloud::VolumeMount& mount : mounts) sandbox->items.push_back({std::move(mount), 0});
  sandboxes_.push_back(sandbox);
  return sandbox;
}

Task<> VolumeStore::mount(SandboxPtr sandbox, cloud::VolumeMount mount) {
  SANDLOT_CO_TRY(base::Turn turn, co_await turns_.take());
  SANDLOT_CO_TRY(VolumeRecord record, co_await find_by_name(mount.name));
  if (std::string problem = cloud::mount_path_problem(mount.path); !problem.empty()) {
    co_return base::fail(Errc::kInvalidArgument, std::move(problem));
  }
  bool used = std::any_of(sandbox->items.begin(), sandbox->items.end(),
                          [&](const auto& item) { return item.mount.path == mount.path; });
  if (used) co_return base::fail(Errc::kConflict, "path '" + mount.path + "' is already used");
  co_return co_await mount_one(sandbox, std::move(record), std::move(mount.path));
}

Task<> VolumeStore::unmount(SandboxPtr sandbox, std::string path, bool force) {
  SANDLOT_CO_TRY(base::Turn turn, co_await turns_.take());
  auto found = std::find_if(sandbox->items.begin(), sandbox->items.end(),
                            [&](const auto& item) { return item.mount.path == path; });
  if (found == sandbox->items.end()) {
    co_return base::fail(Errc::kInvalidArgument, "no volume is mounted at '" + path + "'");
  }
  namespaces::MountId id = found->kernel_id;
  Result<std::set<namespaces::MountId>> left;
  for (int attempt = 0;; ++attempt) {
    auto work = [sandbox, id, force]() -> Result<std::set<namespaces::MountId>> {
      SANDLOT_CHECK(namespaces::unmount_from(sandbox->place(), id, force));
      return namespaces::mounts_of(sandbox->place());
    };
    left = co_await base::offload(thread_, std::move(work));
    if (left || left.error().code() != Errc::kConflict || attempt == kBusyAttempts) break;
    co_await base::sleep_for(kBusyPause);
  }
  if (!left && left.error().code() == Errc::kConflict) {
    co_return base::fail(Errc::kConflict, "volume at '" + path + "' is busy: " +
                                              left.error().message() + " (force unmounts it)");
  }
  if (!left) co_return Failure(std::move(left).error());
  // With force, what was mounted below it has gone too.
  std::erase_if(sandbox->items, [&](const auto& item) { return !left->contains(item.kernel_id); });
  co_return Result<>();
}

}  // namespace emulator::volumes
