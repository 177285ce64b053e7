#include "netfilter/machine_uplink.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

#include "emulator/base/log.h"
#include "emulator/base/posix.h"
#include "emulator/base/run_tool.h"
#include "netfilter/machine_rules.h"
#include "netfilter/netns.h"
#include "netfilter/uplink.h"

namespace netfilter {

namespace {

namespace fs = std::filesystem;
using base::Result;

// Link-local: nobody routes it, and a sandbox can never name it (it is always denied). One /30 an
// instance.
constexpr Ipv4 kPool = {169, 254, 71, 0};
constexpr const char* kForward = "ipv4/ip_forward";
// As text. A part of them would look as if ours were not there.
constexpr std::size_t kMostRules = 64U << 20U;

fs::path record_file(const fs::path& run_dir) {
  return run_dir / kUplinkRecord;
}
std::string save_tool(const std::string& restore_tool) {
  return restore_tool.substr(0, restore_tool.rfind("-restore")) + "-save";
}

Result<std::string> run(std::vector<std::string> argv, const std::string& input = "") {
  base::ToolSpec spec;
  spec.argv = std::move(argv);
  spec.stdin_text = input;
  spec.output_limit = kMostRules;
  SANDLOT_TRY(auto output, base::run_tool(spec));
  if (output.cut) return base::fail(base::Errc::kTooLarge, spec.argv[0] + " says more than 64 MiB");
  if (output.exit_code == 0) return output.out;
  return base::fail(base::Errc::kUnavailable, spec.argv[0] + ": " + output.err);
}

Result<> restore(const std::string& tool, const std::string& rules) {
  auto loaded = run({tool, "--noflush", "-w", "10"}, rules);
  if (!loaded) return base::fail(std::move(loaded).error());
  return {};
}

// The back-end whose rules the machine has already, so that both do not apply at once
// (contract-network 5.4); else the one that made the switch's.
Result<std::string> choose_tool(const SwitchNamespace& network) {
  auto tables = base::read_file("/proc/thread-self/net/ip_tables_names");
  // A kernel without the legacy back-end has no such file.
  bool none = !tables && tables.error().code() == base::Errc::kNotFound;
  if (!tables && !none) return base::fail(std::move(tables).error());
  if (none || tables->empty()) return network.restore_tool();
  auto saved = run({"iptables-legacy-save"});
  bool used = saved && saved->find("\n-A ") != std::string::npos;
  return used ? std::string("iptables-legacy-restore") : network.restore_tool();
}

// What `ip_forward` = 1 is going to change: itself, the acceptance of redirects, and the links for
// which somebody had switched forwarding on alone (writing 0 back switches those off).
Result<std::vector<std::pair<std::string, std::string>>> forwarding_now(const NetSysctls& sysctls) {
  std::vector<std::pair<std::string, std::string>> values;
  for (const char* name : {kForward, "ipv4/conf/all/accept_redirects"}) {
    SANDLOT_TRY(auto value, sysctls.get(name));
    values.emplace_back(name, std::move(value));
  }
  SANDLOT_TRY(auto links, sysctls.list("ipv4/conf"));
  for (const std::string& link : links) {
    std::string name = "ipv4/conf/" + link + "/forwarding";
    auto value = link == "all" ? Result<std::string>("0") : sysctls.get(name);
    if (value && *value != "0") values.emplace_back(name, *value);
  }
  return values;
}

// What is to be written back when the last instance goes: as it is now, or, when forwarding is on
// because of another instance, as it was before that one.
Result<std::vector<std::pair<std::string, std::string>>> to_write_back(const NetSysctls& sysctls,
                                                                       std::string_view saved) {
  SANDLOT_TRY(auto forwarding, sysctls.get(kForward));
  if (forwarding == "0") return forwarding_now(sysctls);
  for (const std::string& file : records_in(saved)) {
    auto text = base::read_file(file, 1U << 20U);
    auto other = text ? UplinkRecord::parse(*text) : base::fail(std::move(text).error());
    if (other && !other->sysctls.empty()) return other->sysctls;
  }
  return std::vector<std::pair<std::string, std::string>>();
}

void write_back(const UplinkRecord& record) {
  if (record.sysctls.empty()) return;
  auto sysctls = NetSysctls::open();
  if (!sysctls) return;
  if (sysctls->get(kForward).value_or("0") == "0") return;  // somebody else did
  for (const auto& [name, value] : record.sysctls) {
    auto written = sysctls->set(name, value);
    // A link may be gone.
    if (!written) base::log::debug("uplink.sysctl", {{"error", written.error().message()}});
  }
}

enum class Proof { kRules, kDescriptor };

// Undoes it, from inside the machine's namespace, with its lock. The rules go last but one, and
// nothing is changed without them if they have to prove that this is the namespace. Who has held a
// descriptor of it needs no proof: somebody may have flushed all rules, and forwarding is still on.
Result<std::vector<std::string>> undo(const std::string& instance,
                                      const UplinkRecord& record,
                                      Proof proof,
                                      bool dry_run) {
  std::vector<std::string> removed;
  SANDLOT_TRY(std::string saved, run({save_tool(record.tool)}));
  std::string removal = removal_of(saved, instance);
  if (removal.empty() && proof == Proof::kRules) return removed;
  removed.push_back("rules of sandlot:" + instance + " in the machine's network");
  if (dry_run) return removed;
  auto others = records_in(saved);
  bool last =
      others.empty() || (others.size() == 1 && others[0].ends_with("/" + instance + "/uplink"));
  if (last) write_back(record);
  if (!removal.empty()) SANDLOT_CHECK(restore(record.tool, removal));
  return removed;
}

Result<std::vector<std::string>> undo_in(int machine,
                                         const fs::path& run_dir,
                                         Proof proof,
                                         bool dry_run) {
  std::vector<std::string> removed;
  auto text = base::read_file(record_file(run_dir), 1U << 20U);
  if (!text) return removed;
  SANDLOT_TRY(auto record, UplinkRecord::parse(*text));
  auto done = run_in_netns(machine, [&]() -> Result<> {
    SANDLOT_TRY(auto lock, lock_uplinks());
    SANDLOT_TRY(removed, undo(run_dir.filename(), record, proof, dry_run));
    return {};
  });
  if (!done) return base::fail(std::move(done).error());
  if (removed.empty()) return removed;
  if (!dry_run) SANDLOT_CHECK(remove_uplink(machine, record.link));
  removed.push_back("link " + record.link);
  return removed;
}

std::string inode_of(const std::string& path) {
  struct ::stat info {};
  return ::stat(path.c_str(), &info) == 0 ? std::to_string(info.st_ino) : "";
}

// A namespace by its number: the caller's own, a named one, or that of any process. kNotFound: it
// does not exist any more.
Result<base::UniqueFd> find_netns(const std::string& inode) {
  std::vector<std::string> places = {"/proc/thread-self/ns/net"};
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator("/run/netns", ignored))
    places.push_back(entry.path());
  for (const auto& entry : fs::directory_iterator("/proc", ignored))
    places.push_back(entry.path() / "ns/net");
  for (const std::string& place : places) {
    if (inode_of(place) != inode) continue;
    auto fd = base::open_file(place, O_RDONLY);
    if (fd) return fd;
  }
  return base::fail(base::Errc::kNotFound, "the network namespace is gone");
}

// From inside the machine's namespace, with its lock. In this order, so that whatever was done when
// it ends early can be found by the record, and by the rules.
Result<> connect(const SwitchNamespace& network, const fs::path& run_dir, int machine) {
  std::string instance = run_dir.filename();
  UplinkRecord record;
  record.link = "sl-" + instance;
  record.netns = inode_of("/proc/thread-self/ns/net");
  SANDLOT_TRY(record.tool, choose_tool(network));
  SANDLOT_TRY(std::string saved, run({save_tool(record.tool)}));
  SANDLOT_TRY(auto sysctls, NetSysctls::open());
  SANDLOT_TRY(record.sysctls, to_write_back(sysctls, saved));
  SANDLOT_CHECK(base::write_file(record_file(run_dir), record.text(), 0600));
  SANDLOT_TRY(auto far, free_far_end(machine, kPool, record.link));
  std::string comment = rule_comment(instance, record_file(run_dir));
  SANDLOT_CHECK(restore(record.tool, machine_rules(record.link, far.switch_address, comment)));
  auto connected = connect_uplink(network, machine, far);
  if (!connected) return base::fail(std::move(connected).error());
  return sysctls.set(kForward, "1");
}

}  // namespace

Result<std::unique_ptr<MachineUplink>> MachineUplink::open(const SwitchNamespace& network,
                                                           const fs::path& run_dir) {
  SANDLOT_TRY(auto machine, base::open_file("/proc/thread-self/ns/net", O_RDONLY));
  // From here on whatever has been done is undone by its destructor.
  std::unique_ptr<MachineUplink> uplink(new MachineUplink(std::move(machine), run_dir));
  auto made = run_on_thread([&]() -> Result<> {
    SANDLOT_TRY(auto lock, lock_uplinks());
    return connect(network, run_dir, uplink->machine_.get());
  });
  if (!made) return base::fail(std::move(made).error().context("uplink to the machine's network"));
  return uplink;
}

MachineUplink::~MachineUplink() {
  auto removed = undo_in(machine_.get(), run_dir_, Proof::kDescriptor, false);
  if (removed) {
    ::unlink(record_file(run_dir_).c_str());
  } else {
    base::log::error("uplink.not_removed", {{"error", removed.error().message()}});
  }
}

Result<std::vector<std::string>> remove_left_uplink(const fs::path& run_dir, bool dry_run) {
  auto text = base::read_file(record_file(run_dir), 1U << 20U);
  if (!text) {
    if (text.error().code() == base::Errc::kNotFound) return std::vector<std::string>();
    return base::Failure(std::move(text).error());  // nobody knows what is to be undone
  }
  auto record = UplinkRecord::parse(*text);
  if (!record) return std::vector<std::string>();  // it ended while it wrote: before any change
  auto machine = find_netns(record->netns);
  if (!machine) return std::vector<std::string>();
  return undo_in(machine->get(), run_dir, Proof::kRules, dry_run);
}

}  // namespace netfilter
