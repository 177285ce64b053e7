// The registry of sandboxes and their lifecycle: creating, running, paused, gone. Implements what
// the control plane asks for (fakeapi/cloud) and what the front door looks up (emulator/proxy).
// Knows no HTTP.
//
//   running --pause--> pausing --> paused --connect/resume--> resuming --> running
//      \________________kill, timeout, death of pid 1____________________> gone
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/steady_timer.hpp>

#include "emulator/base/clock.h"
#include "emulator/base/task_group.h"
#include "emulator/intercept/header_rules.h"
#include "emulator/proxy/sandbox_directory.h"
#include "emulator/sandboxes/blank_pool.h"
#include "emulator/sandboxes/bound_secrets.h"
#include "emulator/sandboxes/metrics_history.h"
#include "emulator/sandboxes/paused_store.h"
#include "emulator/sandboxes/snapshot_catalogue.h"
#include "emulator/sandboxes/template_store.h"
#include "emulator/secrets/secret_store.h"
#include "emulator/volumes/volume_store.h"
#include "fakeapi/cloud/events.h"
#include "fakeapi/cloud/sandbox_service.h"
#include "fakeapi/cloud/snapshot_service.h"
#include "fakeapi/envd/sandbox_configuration.h"
#include "netfilter/policy.h"

namespace emulator::sandboxes {

class LocalSandboxService final : public fakeapi::cloud::SandboxService,
                                  public fakeapi::cloud::SnapshotService,
                                  public proxy::SandboxDirectory {
 public:
  struct Hooks {
    FailStep fail_step = [](std::string_view) { return base::Result<>(); };
    // The sandbox is gone: its outgoing connections must end. (A paused one keeps them.)
    std::function<void(const std::string& id)> cut_egress = [](const std::string&) {};
    // Puts the policy's kernel half into the slot. A sandbox whose policy needs any is refused when
    // this fails.
    std::function<base::Task<>(std::shared_ptr<const base::UniqueFd> netns,
                               std::shared_ptr<const netfilter::Policy> policy)>
        apply_policy;
    // Makes sure that nothing leaves a slot into which a policy could not be put. Optional.
    std::function<base::Task<>(std::shared_ptr<const base::UniqueFd> netns)> close_slot;
    // The disk that sandboxes write to; a sandbox of this size (bytes) has so much of it.
    std::function<DiskFigures(std::uint64_t size)> disk = [](std::uint64_t size) {
      return DiskFigures{0, size};
    };
    // Before a sandbox gets a policy that lets anything but TCP out. Optional.
    std::function<boost::asio::awaitable<void>()> open_for_datagrams;
    // Where paused ones are written down, before pause() returns; without it they die with the
    // emulator.
    PausedStore* paused = nullptr;
    // Something happened to a sandbox. It is written down before the call is answered.
    std::function<void(fakeapi::cloud::SandboxEvent event)> record =
        [](const fakeapi::cloud::SandboxEvent&) {};
    // Mounts volumes; outlives the service. Null: there are none.
    volumes::VolumeStore* volumes = nullptr;
    // What sandboxes' placeholders stand for; outlives the service. Null: there are none.
    secrets::SecretStore* secrets = nullptr;
    // policy_of(id) says something else now.
    std::function<void(const std::string& id)> policy_changed = [](const std::string&) {};
  };

  LocalSandboxService(boost::asio::any_io_executor executor,
                      base::Clock& clock,
                      const TemplateStore& templates,
                      BlankPool& blanks,
                      Hooks hooks);
  ~LocalSandboxService() override;

  // Before the first create; nullopt: no limit.
  void set_max_running(std::optional<std::size_t> limit) { max_running_ = limit; }
  std::optional<std::size_t> max_running() const override { return max_running_; }
  base::Task<fakeapi::cloud::SandboxInfo> create(fakeapi::cloud::NewSandbox request) override;
  std::vector<fakeapi::cloud::SandboxInfo> list() const override;
  base::Result<fakeapi::cloud::SandboxInfo> get(std::string_view id) const override;
  base::Task<> kill(std::string id) override;
  base::Task<> set_timeout(std::string id, std::chrono::seconds timeout) override;
  base::Task<fakeapi::cloud::Connected> connect(
      std::string id,
      std::chrono::seconds timeout,
      std::optional<fakeapi::cloud::NetworkOptions> network) override;
  base::Task<fakeapi::cloud::SandboxInfo> resume(
      std::string id,
      std::chrono::seconds timeout,
      std::optional<bool> auto_pause,
      std::optional<fakeapi::cloud::NetworkOptions> network) override;
  base::Task<> pause(std::string id, bool keep_memory) override;
  base::Task<> drop_memory(std::string id) override;
  base::Task<> set_network(std::string id,
                           fakeapi::cloud::NetworkOptions network,
                           std::optional<bool> allow_internet_access) override;
  base::Task<> set_extra_memory(std::string id, int mib) override;
  base::Task<fakeapi::cloud::SandboxInfo> mount_volume(std::string id,
                                                       fakeapi::cloud::VolumeMount mount) override;
  base::Task<fakeapi::cloud::SandboxInfo> unmount_volume(std::string id,
                                                         std::string path,
                                                         bool force) override;
  base::Result<std::vector<fakeapi::cloud::MetricSample>> metrics(
      std::string_view id) const override;
  std::vector<fakeapi::cloud::TemplateSummary> templates() const override;

  // Before the first create; without it there are no snapshots.
  void set_snapshots(SnapshotCatalogue* snapshots) { snapshots_ = snapshots; }
  fakeapi::cloud::SnapshotService* snapshot_service() override {
    return snapshots_ == nullptr ? nullptr : this;
  }
  base::Task<fakeapi::cloud::SnapshotInfo> take_snapshot(std::string sandbox_id,
                                                         std::string name) override;
  base::Task<std::vector<fakeapi::cloud::SnapshotInfo>> snapshots() override;
  base::Task<> delete_snapshot(std::string reference) override;
  base::Task<fakeapi::cloud::Cloned> clone(std::string sandbox_id,
                                           fakeapi::cloud::CloneRequest request) override;
  base::Task<fakeapi::cloud::SandboxInfo> reset(std::string sandbox_id,
                                                fakeapi::cloud::ResetRequest request) override;

  std::optional<proxy::SandboxRoute> route(std::string_view id) const override;
  // For traffic: lives as long as it was created for, at least five minutes (contract-network 3.7).
  base::Task<> resume(std::string id) override;

  // Faults (sandbox_faults.cc): what the cloud would not do, and does not know of.
  base::Result<> kill_daemon(const std::string& id);
  base::Result<> reset_peers(const std::string& id);
  // Stops everything in a running sandbox, or lets it go on; it counts as running all the while.
  base::Task<> set_stuck(std::string id, bool stuck);
  // Of a running one, whom the kernel would at the end of its memory. kFailedPrecondition when only
  // the daemon is there.
  base::Task<> kill_largest(std::string id);
  // Of a running one, or (the end of it) of a paused one too.
  base::Task<> set_disk_full(std::string id, bool full);
  // Its network, running or paused; nullptr while it has none.
  base::Task<std::shared_ptr<const base::UniqueFd>> network_of(std::string id);
  // What a fault needs to know of its sandbox: which container of it there is, and whether it
  // stands still. nullopt when it is gone.
  struct Life {
    unsigned container = 0;
    bool stuck = false;
  };
  std::optional<Life> life_of(std::string_view id) const;

  // Whose eth0 has this address; for the egress proxy.
  std::optional<std::string> id_by_address(std::string_view address) const;
  // What may leave the sandbox now; nullptr when there is none by that name. For the egress proxy.
  std::shared_ptr<const netfilter::Policy> policy_of(std::string_view id) const;
  // The headers its requests get; nullptr: none. For the interceptor.
  std::shared_ptr<const intercept::HeaderRules> rules_of(std::string_view id) const;
  // The clock that was given at construction reads otherwise now: every agent knows when this
  // returns. Those that are paused are told before they serve again.
  boost::asio::awaitable<void> clock_changed(fakeapi::envd::ClockSetting setting);
  std::size_t size() const { return sandboxes_.size(); }
  // Paused sandboxes of an emulator that has ended; before the first create.
  void restore(std::vector<PausedRecord> records);
  // Kills every sandbox; how many there were.
  boost::asio::awaitable<std::size_t> kill_all();
  // Ends every sandbox, then the expiry and watcher tasks. Refuses creates from now on. With
  // `keep_paused` those that are written down stay, without their memory.
  boost::asio::awaitable<void> stop(bool keep_paused = false);

 private:
  using PolicyPtr = std::shared_ptr<const netfilter::Policy>;
  // By environment variable: chosen at the start, kept until the next one. Not in it: what was gone
  // by then.
  using SecretVersions = std::map<std::string, secrets::SecretPtr>;
  // kCapturing: its files are being copied, out of kRunning or kPaused. kResetting: likewise.
  enum class State { kRunning, kPausing, kPaused, kResuming, kCapturing, kResetting, kGone };
  // Members in order of making; destroyed in reverse (container before its slot).
  struct Sandbox {
    explicit Sandbox(boost::asio::any_io_executor executor)
        : settled(std::move(executor), boost::asio::steady_timer::time_point::max()) {}
    fakeapi::cloud::SandboxInfo info;
    State state = State::kRunning;
    TemplatePtr item;  // made_of, with the layers that are to stay
    std::uint16_t unbuilt_port = 0;
    std::shared_ptr<const netfilter::Policy> policy;
    // What info.network says of them, and the secrets.
    std::shared_ptr<const intercept::HeaderRules> rules;
    // What the slot's rules were made of; nullptr after a failed change, when nobody knows.
    std::shared_ptr<const netfilter::Policy> policy_in_kernel;
    std::chrono::seconds lifetime{};  // as it was created, or reset without going on
    Template made_of;
    fakeapi::cloud::StringMap env_vars;  // as sent
    BoundSecrets secrets;
    SecretVersions secret_versions;  // what its requests get for `secrets`
    // Paused only: there is a row of it; it is to have no memory, so no traffic wakes it.
    bool written_down = false;
    bool files_only = false;
    // Its writable directory, and whose ids the files belong to: its slot's, until it starts anew
    // from them in another one.
    std::string files;
    int ids_slot = 0;
    std::uint32_t first_id = 0;
    SlotHold ids_hold;
    bool reviving = false;         // a container of it is being made
    unsigned generation = 0;       // of its container: the watcher of an earlier one keeps quiet
    bool policy_changing = false;  // one change at a time
    bool stuck = false;            // frozen by a fault
    bool disk_full = false;        // by a fault, in this container
    int base_memory_mb = 0;        // as it was made
    // metadata.idle_timeout; 0 = off. `idle_since` while no client is connected.
    std::chrono::seconds idle_timeout{};
    std::optional<base::TimePoint> idle_since;
    base::TimePoint deadline() const;
    // Made when the sandbox first becomes private; the same one ever after.
    std::string traffic_token;
    std::shared_ptr<proxy::IngressRules> ingress = std::make_shared<proxy::IngressRules>();
    MetricsHistory metrics;
    fakeapi::envd::ClockSetting told;  // the clock as its agent has it
    SlotLease slot;
    // None while it is paused without memory, and while it starts anew.
    std::unique_ptr<namespaces::Container> container;
    std::shared_ptr<volumes::SandboxMounts> mounts;  // null without Hooks::volumes
    std::shared_ptr<proxy::LiveConnections> connections =
        std::make_shared<proxy::LiveConnections>();
    // Cancelled at the end of each transition, and of each change of the policy.
    boost::asio::steady_timer settled;
  };
  using SandboxPtr = std::shared_ptr<Sandbox>;

  base::Result<SandboxPtr> find(std::string_view id) const;
  base::Task<SandboxPtr> find_settled(std::string id);
  // And with no change of its policy under way.
  base::Task<SandboxPtr> find_steady(std::string id);
  base::Task<TemplatePtr> find_template(std::string reference);
  base::Task<fakeapi::cloud::SandboxInfo> create_from(TemplatePtr item,
                                                      fakeapi::cloud::NewSandbox request);
  // Copies its files into the directory, frozen or, if it runs, frozen for that long.
  base::Task<> capture(std::string id, std::filesystem::path directory);
  static fakeapi::cloud::SnapshotInfo info_of(const SnapshotRecord& record);
  // A copy of it, as large as it is now.
  SnapshotRecord copy_of(const Sandbox& sandbox) const;
  // `id`: what it is called, if not what the blank is.
  base::Task<Blank> take_configured(const Template& item,
                                    const fakeapi::cloud::StringMap& environment,
                                    const std::string& token,
                                    std::string id = "");
  // A new container for a sandbox, made of the same template; and its exchange, which returns the
  // old one.
  base::Task<Blank> make_again(SandboxPtr sandbox,
                               BoundSecrets secrets,
                               std::shared_ptr<const netfilter::Policy> policy);
  // The row of a paused sandbox that is about to be what `fresh` is. kNoSpace: it is as it was.
  base::Task<> write_down_reset(SandboxPtr sandbox,
                                const Blank& fresh,
                                BoundSecrets secrets,
                                std::optional<fakeapi::cloud::NetworkOptions> network,
                                std::chrono::seconds lifetime,
                                base::TimePoint end);
  Blank change_container(const SandboxPtr& sandbox,
                         Blank fresh,
                         std::shared_ptr<const netfilter::Policy> policy);
  // fakeapi/cloud has checked the lists already; this is the check that counts.
  static base::Result<PolicyPtr> compile(
      const std::optional<fakeapi::cloud::NetworkOptions>& network,
      std::optional<bool> allow_internet_access);
  base::Task<> apply_policy(const SlotLease& slot,
                            std::shared_ptr<const netfilter::Policy> before,
                            std::shared_ptr<const netfilter::Policy> after);
  // Lets the agent know the clock, unless it does or cannot be told now.
  boost::asio::awaitable<void> tell_clock(SandboxPtr sandbox);
  // One after the other, until none is left.
  boost::asio::awaitable<void> tell_clocks(std::shared_ptr<std::vector<SandboxPtr>> left);
  // kResourceExhausted when so many more would be too many.
  base::Result<> check_room(std::size_t more = 1) const;
  // Of a settled sandbox, running or paused. After an error nothing leaves it.
  base::Task<> change_policy(SandboxPtr sandbox, std::shared_ptr<const netfilter::Policy> policy);
  base::Task<> change_network(SandboxPtr sandbox, fakeapi::cloud::NetworkOptions change);
  // Goes on with another network or, after an error, is paused with the old one. `before`: from
  // before change_network(), if there was such a call.
  struct NetworkBefore {
    std::optional<fakeapi::cloud::NetworkOptions> network;
    PolicyPtr policy;
  };
  base::Task<> thaw_changed(SandboxPtr sandbox,
                            std::chrono::seconds lifetime,
                            std::optional<NetworkBefore> before);
  // Paused, and written down if it can be: `insist` undoes the pause when it cannot.
  base::Task<> freeze(SandboxPtr sandbox, bool keep_memory, bool insist);
  base::Task<> suspend(std::string id, bool keep_memory, bool insist);
  // Mounts what info.volume_mounts says, in a container that nobody can use yet.
  base::Task<> attach_volumes(SandboxPtr sandbox, const namespaces::Container& container);
  base::Task<> check_volumes(std::vector<fakeapi::cloud::VolumeMount> mounts);
  base::Task<SandboxPtr> find_for_volumes(std::string id);
  // Stands still for the moment in which a volume is changed; and goes on, unless paused by then.
  static base::Task<> hold(std::weak_ptr<Sandbox> sandbox);
  static base::Task<> let_go(std::weak_ptr<Sandbox> sandbox);
  base::Task<> thaw(SandboxPtr sandbox, std::chrono::seconds lifetime);
  // When it goes on it has started now, and a paused one has ended when it was paused, as in the
  // cloud (e2b infra: StartTime and EndTime of the API's sandboxes, and the rows of snapshots).
  void begin_life(Sandbox& sandbox, std::chrono::seconds lifetime) const;
  // sandbox_memory.cc: what a sandbox is when it has no memory. It has the files of a fresh
  // container now:
  static void begin_files(Sandbox& sandbox, const Blank& fresh);
  PausedRecord record_of(const Sandbox& sandbox) const;
  base::Task<> write_down(SandboxPtr sandbox, bool files_only);
  base::Task<> strike_out(SandboxPtr sandbox);
  boost::asio::awaitable<void> end_container(SandboxPtr sandbox);
  base::Task<> revive(SandboxPtr sandbox);
  base::Task<> prepare(SandboxPtr sandbox, const Blank& blank);
  base::Task<> end_for_good(SandboxPtr sandbox);
  base::Task<> end_with_files(SandboxPtr sandbox);
  boost::asio::awaitable<void> put_away();
  // What info.network says of headers in requests, with the secrets that it names as they are now
  // (E2B's rule), and the versions of others that the sandbox has (Novita's).
  void compile_rules(Sandbox& sandbox) const;
  // sandbox_secrets.cc. The newest versions; kInvalidArgument: there is no such secret.
  base::Task<SecretVersions> bind_secrets(fakeapi::cloud::StringMap names);
  static BoundSecrets bound_to(const SecretVersions& versions);
  // What a sandbox has from its next start on. `starts_anew`: its processes do, and see the
  // placeholder of whoever has the name now.
  struct SecretsAtStart {
    BoundSecrets bound;
    SecretVersions versions;
  };
  boost::asio::awaitable<SecretsAtStart> newest_secrets(SandboxPtr sandbox, bool starts_anew);
  void give_secrets(Sandbox& sandbox, SecretsAtStart newest) const;
  void secrets_changed();
  // What info.network says of incoming traffic, for the front door and for the answers.
  static void show_ingress(Sandbox& sandbox);
  static void make_traffic_token(Sandbox& sandbox);
  void forget(const SandboxPtr& sandbox);
  void expire_sooner();
  void note(const Sandbox& sandbox, std::string name, int status, std::string error = {});
  // Connections of a new lifecycle, watched where idleness matters.
  void renew_connections(const SandboxPtr& sandbox);
  boost::asio::awaitable<void> watch(SandboxPtr sandbox, unsigned generation);
  boost::asio::awaitable<void> expire();
  boost::asio::awaitable<void> measure();
  boost::asio::awaitable<void> end_of_life(SandboxPtr sandbox);

  boost::asio::any_io_executor executor_;
  base::Clock& clock_;
  const TemplateStore& templates_;
  BlankPool& blanks_;
  SnapshotCatalogue* snapshots_ = nullptr;
  Hooks hooks_;
  std::map<std::string, SandboxPtr, std::less<>> sandboxes_;
  std::map<std::string, std::string, std::less<>> id_by_address_;
  boost::asio::steady_timer deadline_changed_;
  fakeapi::envd::ClockSetting agent_clock_;
  std::optional<std::size_t> max_running_;
  std::size_t starting_ = 0;  // creates under way
  bool stopping_ = false;
  base::TaskGroup tasks_;
};

}  // namespace emulator::sandboxes
