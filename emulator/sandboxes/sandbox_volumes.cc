// LocalSandboxService: the volumes of a sandbox.
#include "emulator/sandboxes/local_sandbox_service.h"

namespace emulator::sandboxes {

namespace cloud = fakeapi::cloud;
using base::Errc;

base::Task<> LocalSandboxService::check_volumes(std::vector<cloud::VolumeMount> mounts) {
  if (mounts.empty()) co_return base::Result<>();
  if (hooks_.volumes == nullptr) co_return base::fail(Errc::kUnimplemented, "there are no volumes");
  co_return co_await hooks_.volumes->check(std::move(mounts));
}

base::Task<> LocalSandboxService::hold(std::weak_ptr<Sandbox> weak) {
  auto sandbox = weak.lock();
  if (!sandbox || sandbox->state != State::kRunning) co_return base::Result<>();
  co_return co_await sandbox->container->freeze();
}

base::Task<> LocalSandboxService::let_go(std::weak_ptr<Sandbox> weak) {
  auto sandbox = weak.lock();
  bool goes_on = sandbox && sandbox->state == State::kRunning && !sandbox->stuck;
  if (!goes_on) co_return base::Result<>();
  co_return co_await sandbox->container->thaw();
}

base::Task<> LocalSandboxService::attach_volumes(SandboxPtr sandbox,
                                                 const namespaces::Container& container) {
  if (hooks_.volumes == nullptr) co_return base::Result<>();
  volumes::SandboxAccess access;
  access.id = sandbox->info.sandbox_id;
  access.pid = container.pid();
  access.pidfd = container.pidfd();
  std::weak_ptr<Sandbox> weak = sandbox;
  access.hold = [weak] { return hold(weak); };
  access.let_go = [weak] { return let_go(weak); };
  auto mounts = sandbox->info.volume_mounts;
  SANDLOT_CO_TRY(sandbox->mounts,
                 co_await hooks_.volumes->attach(std::move(access), std::move(mounts)));
  co_return base::Result<>();
}

base::Task<LocalSandboxService::SandboxPtr> LocalSandboxService::find_for_volumes(std::string id) {
  SANDLOT_CO_TRY(SandboxPtr sandbox, co_await find_settled(id));
  if (sandbox->state != State::kRunning) {
    co_return base::fail(Errc::kConflict, "sandbox \"" + id + "\" is paused");
  }
  if (!sandbox->mounts) co_return base::fail(Errc::kUnimplemented, "there are no volumes");
  co_return sandbox;
}

base::Task<cloud::SandboxInfo> LocalSandboxService::mount_volume(std::string id,
                                                                 cloud::VolumeMount mount) {
  SANDLOT_CO_TRY(SandboxPtr sandbox, co_await find_for_volumes(std::move(id)));
  // It would go with what makes the disk full.
  if (sandbox->disk_full) co_return base::fail(Errc::kConflict, "the disk is full, by a fault");
  auto mounts = sandbox->mounts;
  SANDLOT_CO_CHECK(co_await hooks_.volumes->mount(mounts, std::move(mount)));
  sandbox->info.volume_mounts = mounts->list();
  co_return sandbox->info;
}

base::Task<cloud::SandboxInfo> LocalSandboxService::unmount_volume(std::string id,
                                                                   std::string path,
                                                                   bool force) {
  SANDLOT_CO_TRY(SandboxPtr sandbox, co_await find_for_volumes(std::move(id)));
  auto mounts = sandbox->mounts;
  SANDLOT_CO_CHECK(co_await hooks_.volumes->unmount(mounts, std::move(path), force));
  sandbox->info.volume_mounts = mounts->list();
  co_return sandbox->info;
}

}  // namespace emulator::sandboxes
