// VolumeStore: a larger quota, in use or not.
#include "emulator/base/log.h"
#include "emulator/volumes/volume_store.h"

namespace emulator::volumes {

namespace asio = boost::asio;
namespace cloud = fakeapi::cloud;
using base::Errc;
using base::Failure;
using base::Result;
using base::Task;

namespace {

Failure in_use_by(const std::string& whom) {
  return base::fail(Errc::kConflict,
                    "the volume is in use " + whom +
                        ", and this machine does not let the emulator grow it then "
                        "(CAP_SYS_RESOURCE)");
}

}  // namespace

Task<cloud::VolumeInfo> VolumeStore::set_quota(std::string id, cloud::VolumeQuota quota) {
  SANDLOT_CO_TRY(base::Turn turn, co_await turns_.take());
  SANDLOT_CO_TRY(VolumeRecord record, co_await find(id));
  if (!record.quota) {
    co_return base::fail(Errc::kInvalidArgument,
                         "Volume '" + record.name + "' was created without a quota");
  }
  if (quota.size_gib < record.quota->size_gib) {
    co_return base::fail(
        Errc::kInvalidArgument,
        "quotaSizeGiB can only grow: it is " + std::to_string(record.quota->size_gib) + " now");
  }
  if (quota.size_gib > record.quota->size_gib) {
    SANDLOT_CO_CHECK(co_await grow(record, quota.size_gib));
  }
  record.quota = quota;
  SANDLOT_CO_CHECK(co_await catalogue_->set_quota(record));
  co_return co_await describe(std::move(record));
}

Task<> VolumeStore::grow(VolumeRecord record, std::uint64_t size_gib) {
  auto work = [this, id = record.id, quota = record.quota, size_gib] {
    return disk_.grow(id, quota, size_gib);
  };
  auto grown = co_await base::offload(thread_, std::move(work));
  // A process without CAP_SYS_RESOURCE may not grow a file system that is mounted.
  if (grown || grown.error().code() != Errc::kPermissionDenied) co_return grown;
  for (int attempt = 0;; ++attempt) {
    bool was_out = false;
    grown = co_await grow_between(record, size_gib, was_out);
    bool busy = !grown && grown.error().code() == Errc::kConflict;
    // Who still has it when no sandbox has it any more does not let go in a moment.
    if (busy && was_out) {
      co_return in_use_by(
          "beside the mounts of sandboxes (after a forced unmount, in a mount namespace of its "
          "own, by a transfer of a file)");
    }
    if (!busy || attempt == kBusyAttempts) co_return grown;
    co_await base::sleep_for(kBusyPause);
  }
}

// Takes the volume out of every sandbox, and remembers from where. kConflict when one uses it.
Task<> VolumeStore::take_out(std::vector<SandboxPtr> sandboxes,
                             std::string volume_name,
                             std::vector<std::pair<SandboxPtr, SandboxMounts::Item>>& taken) {
  for (const SandboxPtr& sandbox : sandboxes) {
    // The last one first: it may be inside another.
    auto items = sandbox->items;
    for (auto item = items.rbegin(); item != items.rend(); ++item) {
      if (item->mount.name != volume_name) continue;
      auto work = [sandbox, id = item->kernel_id] {
        return namespaces::unmount_from(sandbox->place(), id, false);
      };
      auto gone = co_await base::offload(thread_, std::move(work));
      if (!gone && gone.error().code() == Errc::kNotFound) continue;
      if (!gone && gone.error().code() == Errc::kConflict) {
        co_return in_use_by("in sandbox " + sandbox->sandbox());
      }
      if (!gone) co_return Failure(std::move(gone).error());
      taken.emplace_back(sandbox, *item);
    }
  }
  co_return Result<>();
}

// With every sandbox that has it held still: unmounted, grown, mounted again. `was_out`: no sandbox
// had it any more.
Task<> VolumeStore::grow_between(VolumeRecord record, std::uint64_t size_gib, bool& was_out) {
  auto users = users_of(record.name);
  std::vector<SandboxPtr> held;
  std::vector<std::pair<SandboxPtr, SandboxMounts::Item>> taken;
  Result<> result;
  for (const SandboxPtr& sandbox : users) {
    if (!sandbox->access().hold) continue;
    result = co_await sandbox->access().hold();
    if (!result) break;
    held.push_back(sandbox);
  }
  if (result) result = co_await take_out(users, record.name, taken);
  if (result) {
    was_out = true;
    auto work = [this, id = record.id, size_gib] { return disk_.grow_unmounted(id, size_gib); };
    result = co_await base::offload(thread_, std::move(work));
  }
  for (auto back = taken.rbegin(); back != taken.rend(); ++back) {
    auto& [sandbox, item] = *back;
    auto work = [this, place = sandbox->place(), id = record.id, quota = record.quota,
                 path = item.mount.path]() -> Result<namespaces::MountId> {
      SANDLOT_TRY(VolumeRoot root, disk_.open(id, quota));
      return namespaces::mount_into(place, root->get(), path);
    };
    auto mounted = co_await base::offload(thread_, std::move(work));
    if (!mounted) {
      base::log::error("volume.lost", {{"sandbox", sandbox->sandbox()},
                                       {"volume", record.id},
                                       {"error", mounted.error().message()}});
    }
    for (auto& known : sandbox->items) {
      if (known.kernel_id == item.kernel_id) known.kernel_id = mounted.value_or(0);
    }
  }
  for (const SandboxPtr& sandbox : held) {
    auto going = co_await sandbox->access().let_go();
    if (!going) {
      base::log::error("volume.still_held",
                       {{"sandbox", sandbox->sandbox()}, {"error", going.error().message()}});
    }
  }
  co_return result;
}

}  // namespace emulator::volumes
