// ContainerRuntime on Linux: composes cgroups, file systems and the spawner into containers, and
// takes them apart in the background. One worker thread makes (its mount namespace is private), one
// deletes files, the loop waits.
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <future>
#include <optional>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/this_coro.hpp>

#include "emulator/base/deadline.h"
#include "emulator/base/log.h"
#include "emulator/base/posix.h"
#include "emulator/base/readiness.h"
#include "emulator/base/scope_exit.h"
#include "emulator/base/task_group.h"
#include "namespaces/cgroup.h"
#include "namespaces/cgroup_tree.h"
#include "namespaces/container_runtime.h"
#include "namespaces/freezer.h"
#include "namespaces/full_disk.h"
#include "namespaces/instance.h"
#include "namespaces/instance_places.h"
#include "namespaces/kept_files.h"
#include "namespaces/layer_capture.h"
#include "namespaces/memory_reclaim.h"
#include "namespaces/oom_victim.h"
#include "namespaces/rootfs.h"
#include "namespaces/spawn_client.h"
#include "namespaces/tree_removal.h"

namespace namespaces {

namespace {

namespace asio = boost::asio;
namespace fs = std::filesystem;
using base::Errc;
using base::Result;
using base::Task;
using base::UniqueFd;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr seconds kReadyLimit{10};
constexpr seconds kExitLimit{10};
constexpr int kRemoveAttempts = 200;

// What the worker hands to the loop.
struct Made {
  IdRange ids;
  SpawnedSandbox process;
  UniqueFd control;
  std::optional<Cgroup> cgroup;
};

struct CaptureHistories {
  CaptureHistory root;
  CaptureHistory usr;
};

// One sandbox, shared by its Container, its watcher and its removal.
struct Sandbox {
  Sandbox(const asio::any_io_executor& executor, std::string name, Made made)
      : id(std::move(name)),
        ids(made.ids),
        process(std::move(made.process)),
        control(std::move(made.control)),
        cgroup(std::move(*made.cgroup)),
        reclaim(std::make_shared<MemoryReclaim>(executor)),
        exit_event(executor, asio::steady_timer::time_point::max()) {}

  // Frozen or not; idempotent.
  void kill() {
    reclaim->stop();
    if (exited) return;
    cgroup.kill();
    ::syscall(SYS_pidfd_send_signal, process.pidfd.get(), SIGKILL, nullptr, 0);
  }

  bool remove_cgroup() {
    reclaim->stop();
    return !reclaim->in_kernel() && cgroup.remove();
  }

  std::string id;
  IdRange ids;
  SpawnedSandbox process;
  UniqueFd control;
  Cgroup cgroup;
  std::shared_ptr<MemoryReclaim> reclaim;
  bool exited = false;
  bool keeps_files = false;       // they are not deleted with it
  CaptureHistories captured;      // used on the copier
  FullDisk full_disk;             // same
  asio::steady_timer exit_event;  // cancelled when pid 1 has ended
};
using SandboxPtr = std::shared_ptr<Sandbox>;

// Everything that outlives a single sandbox. Coroutines hold it by shared_ptr.
struct Core {
  Core(asio::any_io_executor io, RuntimeOptions chosen, CgroupLayout machine, SpawnClient spawner)
      : executor(std::move(io)),
        options(std::move(chosen)),
        layout(std::move(machine)),
        client(std::move(spawner)),
        builder([this](IdRange ids) { return client->make_userns(ids); }),
        watchers(executor),
        removals(executor) {}

  ~Core() { remove_places(layout, options); }

  fs::path sandboxes_dir() const { return options.data_dir / "sandboxes" / options.instance; }
  fs::path trash_dir() const { return options.data_dir / "trash"; }

  Result<> enter_worker() {
    return builder.enter_own_mounts(options.run_dir / kScratch, sandboxes_dir());
  }
  Result<Made> make(const ContainerSpec& spec);
  Result<> discard_writable(const std::string& id);
  // One at a time for each sandbox.
  Result<CaptureReport> capture(const std::string& id,
                                IdRange ids,
                                const fs::path& into,
                                CaptureHistories& last) const;

  asio::any_io_executor executor;
  RuntimeOptions options;
  CgroupLayout layout;
  std::optional<SpawnClient> client;  // used on the worker only
  RootfsBuilder builder;              // same
  base::TaskGroup watchers;
  base::TaskGroup removals;
  base::BlockingPool worker{1};
  base::BlockingPool deleter{1};
  base::BlockingPool copier{2};
  base::BlockingPool reclaimer{1};
};
using CorePtr = std::shared_ptr<Core>;

// What a task of one of Core's own groups holds: the group is told of the task's end after the
// task's frame is gone, so the last reference must go one turn of the loop later.
class CoreHold {
 public:
  explicit CoreHold(CorePtr core) : core_(std::move(core)) {}
  CoreHold(CoreHold&&) = default;
  CoreHold& operator=(CoreHold&&) = delete;
  ~CoreHold() {
    if (!core_) return;
    auto executor = core_->executor;
    asio::post(executor, [core = std::move(core_)] {});
  }
  Core* operator->() const { return core_.get(); }
  Core* get() const { return core_.get(); }

 private:
  CorePtr core_;
};

// Runs `work` on the worker and waits: only for start and stop, when no loop turns.
template <class F>
auto run_on(base::BlockingPool& pool, F work) {
  std::promise<decltype(work())> promise;
  auto future = promise.get_future();
  asio::post(pool.context(), [&] { promise.set_value(work()); });
  return future.get();
}

Result<> check_spec(const ContainerSpec& spec) {
  auto plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
  };
  if (spec.id.empty() || spec.id.size() > 64 ||
      !std::all_of(spec.id.begin(), spec.id.end(), plain)) {
    return base::fail(Errc::kInvalidArgument, "sandbox id: " + spec.id);
  }
  if (spec.ids.first < 65536 || spec.ids.count == 0) {
    return base::fail(Errc::kInvalidArgument, "id range would share ids with the machine");
  }
  if (spec.netns_fd < 0) return base::fail(Errc::kInvalidArgument, "no network namespace");
  return {};
}

Result<> prepare_writable(const ContainerSpec& spec, const fs::path& directory) {
  bool with_usr = !spec.rootfs.usr_layers.empty();
  if (spec.existing_files) return renew_writable(directory, spec.ids, with_usr);
  if (::mkdir(directory.c_str(), 0700) != 0) return base::fail_errno("make " + directory.string());
  return fill_writable(directory, spec.ids, with_usr);
}

Result<Made> Core::make(const ContainerSpec& spec) {
  if (!client) return base::fail(Errc::kUnavailable, "the runtime is closed");
  SANDLOT_CHECK(check_spec(spec));
  Made made;
  made.ids = spec.ids;
  SANDLOT_TRY(auto cgroup, Cgroup::create(layout, options.instance, spec.id, spec.limits));
  fs::path writable = sandboxes_dir() / spec.id;
  base::ScopeExit discard([&] { (void)discard_writable(spec.id); });
  if (spec.existing_files) discard.release();
  SANDLOT_CHECK(prepare_writable(spec, writable));
  SANDLOT_TRY(auto rootfs, builder.build(spec.rootfs, spec.ids, spec.id));
  SANDLOT_TRY(auto ends, base::make_socketpair(SOCK_SEQPACKET));
  SandboxParts parts;
  parts.ids = spec.ids;
  parts.hostname = spec.hostname;
  parts.netns_fd = spec.netns_fd;
  parts.control_fd = ends.second.get();
  parts.root_fd = rootfs.root.get();
  parts.dev_fd = rootfs.dev.get();
  parts.usr_fd = rootfs.usr.get();
  parts.cgroup_fd = cgroup.birth_fd();
  parts.task_fds = cgroup.task_fds();
  SANDLOT_TRY(made.process, client->spawn(parts));
  made.control = std::move(ends.first);
  cgroup.release_descriptors();
  made.cgroup.emplace(std::move(cgroup));
  discard.release();
  return made;
}

// Renames first: the name is free at once, and a half-deleted tree never looks like a sandbox.
Result<> Core::discard_writable(const std::string& id) {
  std::string name = options.instance + "-" + id;
  SANDLOT_CHECK(move_to_trash(sandboxes_dir() / id, trash_dir(), name));
  return remove_entry(trash_dir(), name);
}

Result<CaptureReport> Core::capture(const std::string& id,
                                    IdRange ids,
                                    const fs::path& into,
                                    CaptureHistories& last) const {
  CaptureReport report;
  fs::path upper = sandboxes_dir() / id / "upper";
  fs::path usr = sandboxes_dir() / id / "usr-upper";
  SANDLOT_CHECK(capture_layer(upper, into / kCapturedRoot, ids, report, last.root));
  std::error_code error;
  if (fs::exists(usr, error)) {
    SANDLOT_CHECK(capture_layer(usr, into / kCapturedUsr, ids, report, last.usr));
  }
  return report;
}

Result<UniqueFd> duplicate(int fd) {
  UniqueFd copy(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
  if (!copy) return base::fail_errno("duplicate descriptor");
  return copy;
}

Task<> wait_ready(asio::any_io_executor executor, SandboxPtr sandbox) {
  SANDLOT_CO_TRY(auto fd, duplicate(sandbox->control.get()));
  asio::posix::stream_descriptor channel(executor, fd.release());
  for (;;) {
    auto [error] = co_await channel.async_wait(asio::posix::descriptor_base::wait_read, base::kUse);
    if (error) co_return base::fail(Errc::kCanceled, "wait for agent: " + error.message());
    std::array<char, 512> buffer{};
    ssize_t count = ::recv(sandbox->control.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) continue;
    if (count < 0) co_return base::fail_errno("wait for agent");
    if (count == 0) {
      co_return base::fail(Errc::kUnavailable, "the agent ended before it was ready");
    }
    std::string_view line(buffer.data(), static_cast<std::size_t>(count));
    if (line.starts_with("ready")) co_return Result<>();
    co_return child_failure(line);
  }
}

asio::awaitable<void> watch(CoreHold core, SandboxPtr sandbox) {
  auto fd = duplicate(sandbox->process.pidfd.get());
  if (fd) {
    asio::posix::stream_descriptor pidfd(core->executor, fd->release());
    auto error = co_await base::until_readable(pidfd);
    if (error) co_return;
  }
  sandbox->exited = true;
  sandbox->exit_event.cancel();
}

Task<> wait_exit(SandboxPtr sandbox) {
  while (!sandbox->exited) {
    co_await sandbox->exit_event.async_wait(base::kUse);
    auto state = co_await asio::this_coro::cancellation_state;
    if (state.cancelled() != asio::cancellation_type::none && !sandbox->exited) {
      co_return base::fail(Errc::kCanceled, "wait for exit: canceled");
    }
  }
  co_return Result<>();
}

// After the exit of pid 1.
asio::awaitable<void> remove_cgroup(SandboxPtr sandbox) {
  // The kernel lets go of the members a little after the leader.
  auto pause = milliseconds(1);
  bool removed = sandbox->remove_cgroup();
  for (int attempt = 0; !removed && attempt < kRemoveAttempts; ++attempt) {
    co_await base::sleep_for(pause);
    pause = std::min(pause * 2, milliseconds(50));
    removed = sandbox->remove_cgroup();
  }
  if (!removed) base::log::warn("cgroup.busy", {{"id", sandbox->id}});
}

Task<> wipe(CoreHold core, std::string id) {
  auto work = [raw = core.get(), id] { return raw->discard_writable(id); };
  auto deleted = co_await base::offload(core->deleter, std::move(work));
  if (deleted || deleted.error().code() == Errc::kNotFound) co_return Result<>();
  base::log::warn("upper.left", {{"id", id}, {"error", deleted.error().message()}});
  co_return deleted;
}

asio::awaitable<void> try_wipe(CoreHold core, std::string id) {
  (void)co_await wipe(std::move(core), std::move(id));
}

// The slow half of a sandbox's end. Errors are logged: gc finds what is left.
asio::awaitable<void> remove_sandbox(CoreHold core, SandboxPtr sandbox) {
  auto exited = co_await base::with_deadline(wait_exit(sandbox), kExitLimit, "sandbox exit");
  if (!exited) {
    base::log::warn("sandbox.stuck", {{"id", sandbox->id}, {"error", exited.error().message()}});
  }
  co_await remove_cgroup(sandbox);
  if (!sandbox->keeps_files) (void)co_await wipe(std::move(core), sandbox->id);
}

Task<> end_sandbox(SandboxPtr sandbox) {
  sandbox->keeps_files = true;
  sandbox->kill();
  SANDLOT_CO_CHECK(co_await base::with_deadline(wait_exit(sandbox), kExitLimit, "sandbox exit"));
  co_await remove_cgroup(sandbox);
  co_return Result<>();
}

Task<> stand_still(SandboxPtr sandbox, bool frozen) {
  if (!frozen) sandbox->reclaim->stop();
  co_return co_await set_frozen(sandbox->cgroup, frozen, sandbox->exited);
}

asio::awaitable<void> reclaim(CoreHold core, SandboxPtr sandbox) {
  fs::path cgroup = instance_cgroup(core->options.instance) / sandbox->id;
  co_await MemoryReclaim::run(sandbox->reclaim, core->reclaimer, core->layout, std::move(cgroup));
}

class LinuxContainer final : public Container {
 public:
  LinuxContainer(CorePtr core, SandboxPtr sandbox)
      : core_(std::move(core)), sandbox_(std::move(sandbox)) {}
  LinuxContainer(const LinuxContainer&) = delete;
  LinuxContainer& operator=(const LinuxContainer&) = delete;
  // Release order: processes, cgroups, file system.
  ~LinuxContainer() override {
    sandbox_->kill();
    core_->removals.spawn("remove " + sandbox_->id, remove_sandbox(CoreHold(core_), sandbox_));
  }

  const std::string& id() const override { return sandbox_->id; }
  pid_t pid() const override { return sandbox_->process.pid; }
  int pidfd() const override { return sandbox_->process.pidfd.get(); }
  int control_fd() const override { return sandbox_->control.get(); }
  Task<> freeze() override { return stand_still(sandbox_, true); }
  Task<> thaw() override { return stand_still(sandbox_, false); }
  void give_memory_back() override {
    core_->removals.spawn("reclaim " + sandbox_->id, reclaim(CoreHold(core_), sandbox_));
  }
  Task<> kill() override {
    sandbox_->kill();
    return base::with_deadline(wait_exit(sandbox_), kExitLimit, "sandbox exit");
  }
  Task<> end() override { return end_sandbox(sandbox_); }
  Task<> exited() override { return wait_exit(sandbox_); }
  Result<Usage> usage() const override { return sandbox_->cgroup.usage(); }
  Result<> set_memory(int megabytes) override { return sandbox_->cgroup.set_memory(megabytes); }
  Task<> kill_largest() override { return kill_largest_in(core_, sandbox_); }
  Task<> set_disk_full(bool full) override { return set_disk_full_of(core_, sandbox_, full); }
  Task<CaptureReport> capture(fs::path directory) override {
    return capture_in(core_, sandbox_, std::move(directory));
  }

 private:
  // The caller keeps the container: its files are deleted after that only.
  static Task<CaptureReport> capture_in(CorePtr core, SandboxPtr sandbox, fs::path directory) {
    auto work = [raw = core.get(), sandbox, directory = std::move(directory)] {
      return raw->capture(sandbox->id, sandbox->ids, directory, sandbox->captured);
    };
    co_return co_await base::offload(core->copier, std::move(work));
  }

  static Task<> kill_largest_in(CorePtr core, SandboxPtr sandbox) {
    auto work = [sandbox] { return kill_oom_victim(sandbox->cgroup, sandbox->process.pid); };
    co_return co_await base::offload(core->copier, std::move(work));
  }
  static Task<> set_disk_full_of(CorePtr core, SandboxPtr sandbox, bool full) {
    auto work = [sandbox, scratch = core->options.run_dir / kScratch, full] {
      SandboxPlace place{sandbox->process.pid, sandbox->process.pidfd.get()};
      return sandbox->full_disk.set(place, scratch, full);
    };
    co_return co_await base::offload(core->copier, std::move(work));
  }

  CorePtr core_;
  SandboxPtr sandbox_;
};

class LinuxRuntime final : public ContainerRuntime {
 public:
  explicit LinuxRuntime(CorePtr core) : core_(std::move(core)) {}
  LinuxRuntime(const LinuxRuntime&) = delete;
  LinuxRuntime& operator=(const LinuxRuntime&) = delete;
  ~LinuxRuntime() override {
    // The spawner dies and takes every sandbox with it; on the worker, because a request may be
    // under way there.
    run_on(core_->worker, [this] {
      core_->client.reset();
      return true;
    });
  }

  Task<std::unique_ptr<Container>> create(ContainerSpec spec) override {
    return create_in(core_, std::move(spec));
  }
  void discard_files(const std::string& id) override {
    core_->removals.spawn("discard " + id, try_wipe(CoreHold(core_), id));
  }
  Task<> remove_files(std::string id) override { return wipe(CoreHold(core_), std::move(id)); }
  Task<CaptureReport> capture_files(std::string id, IdRange ids, fs::path directory) override {
    return capture_files_in(core_, std::move(id), ids, std::move(directory));
  }
  asio::awaitable<void> drain() override { return core_->removals.join(); }

 private:
  static Task<CaptureReport> capture_files_in(CorePtr core,
                                              std::string id,
                                              IdRange ids,
                                              fs::path directory) {
    auto work = [raw = core.get(), id = std::move(id), ids, directory = std::move(directory)] {
      CaptureHistories none;
      return raw->capture(id, ids, directory, none);
    };
    co_return co_await base::offload(core->copier, std::move(work));
  }
  static Task<std::unique_ptr<Container>> create_in(CorePtr core, ContainerSpec spec) {
    std::string id = spec.id;
    bool existing_files = spec.existing_files;
    auto work = [raw = core.get(), spec = std::move(spec)] { return raw->make(spec); };
    auto made = co_await base::offload(core->worker, std::move(work));
    if (!made) co_return base::Failure(std::move(made).error());
    auto sandbox = std::make_shared<Sandbox>(core->executor, id, std::move(*made));
    sandbox->keeps_files = existing_files;
    core->watchers.spawn("watch " + id, watch(CoreHold(core), sandbox));
    // From here on its destructor undoes everything.
    std::unique_ptr<Container> container = std::make_unique<LinuxContainer>(core, sandbox);
    auto ready = co_await base::with_deadline(wait_ready(core->executor, sandbox), kReadyLimit,
                                              "agent start");
    if (!ready) co_return base::Failure(std::move(ready).error());
    sandbox->keeps_files = false;
    co_return container;
  }

  CorePtr core_;
};

}  // namespace

Result<std::unique_ptr<ContainerRuntime>> start_linux_runtime(asio::any_io_executor executor,
                                                              RuntimeOptions options) {
  if (options.instance.empty()) return base::fail(Errc::kInvalidArgument, "no instance name");
  SANDLOT_TRY(auto layout, CgroupLayout::of_this_machine());
  base::ScopeExit take_back([&layout, &options] { remove_places(layout, options); });
  SANDLOT_CHECK(make_places(options));
  SANDLOT_CHECK(prepare_instance_cgroups(layout, options.instance));
  SANDLOT_TRY(auto client, SpawnClient::start());
  auto core = std::make_shared<Core>(std::move(executor), std::move(options), std::move(layout),
                                     std::move(client));
  take_back.release();  // Core does it from here on
  auto entered = run_on(core->worker, [&core] { return core->enter_worker(); });
  if (!entered) return base::Failure(std::move(entered).error());
  return std::make_unique<LinuxRuntime>(std::move(core));
}

}  // namespace namespaces
