// `--internet host` for what is not TCP: a link from the switch into the machine's own network
// namespace, the rules of machine_rules.h, and forwarding if it is off. The only thing that Sandlot
// ever changes there; TCP and DNS need none of it (the server dials them itself). Made by
// emulator/application when the first sandbox may send anything else; removed with the object, and
// by remove_left_uplink after a crash. Blocking.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "emulator/base/result.h"
#include "emulator/base/unique_fd.h"
#include "netfilter/network.h"

namespace netfilter {

// The file in the instance's directory that says what was changed. It is there for as long as
// something may have to be undone.
inline constexpr const char* kUplinkRecord = "uplink";

class MachineUplink {
 public:
  // `run_dir` is the instance's own directory, its name is the instance's. The machine is the
  // namespace of the calling thread. All or nothing. Runs iptables twice; 30-100 ms.
  static base::Result<std::unique_ptr<MachineUplink>> open(const SwitchNamespace& network,
                                                           const std::filesystem::path& run_dir);
  // Removes the rules and the link, writes forwarding back if no other instance needs it. Errors
  // are logged.
  ~MachineUplink();
  MachineUplink(const MachineUplink&) = delete;
  MachineUplink& operator=(const MachineUplink&) = delete;

 private:
  MachineUplink(base::UniqueFd machine, std::filesystem::path run_dir)
      : machine_(std::move(machine)), run_dir_(std::move(run_dir)) {}
  base::UniqueFd machine_;
  std::filesystem::path run_dir_;
};

// What a dead instance left, wherever its namespace is found: the lines say what was (or with
// `dry_run` would be) removed. None after a reboot, when the namespace is gone, and when there
// never was an uplink. Several calls at once are no problem.
base::Result<std::vector<std::string>> remove_left_uplink(const std::filesystem::path& run_dir,
                                                          bool dry_run);

}  // namespace netfilter
