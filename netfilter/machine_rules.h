// What `--internet host` adds to the machine's own network namespace, as text: the rules, how they
// are found again, and the record of what was there before. Pure; machine_uplink.cc does it.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "emulator/base/result.h"
#include "netfilter/ipv4.h"

namespace netfilter {

// Kept in `<run_dir>/<instance>/uplink` before anything is changed, so that a crashed instance can
// be cleaned up after.
struct UplinkRecord {
  std::string link;   // "sl-<instance>"
  std::string tool;   // the iptables-restore that loaded the rules
  std::string netns;  // the machine's namespace: the number of its inode
  // What to write back when the last instance goes, in this order: only when forwarding was off.
  std::vector<std::pair<std::string, std::string>> sysctls;

  std::string text() const;
  // An error when any of it is missing: it is written in one go, before anything is changed.
  static base::Result<UplinkRecord> parse(std::string_view text);
};

// "sandlot:<instance> <record file>", the comment on every rule. The file, `.../<instance>/uplink`,
// lets another instance find what was there before the first of them.
std::string rule_comment(const std::string& instance, const std::string& record_file);

// For iptables-restore --noflush: one masquerade for what the switch sends, the way out and back
// past a FORWARD policy of DROP (Docker, ufw), and nothing for the machine itself: a public address
// of its own is out of a sandbox's reach, published ports of containers included
// (contract-network 5.3).
std::string machine_rules(const std::string& link,
                          const Ipv4& switch_address,
                          const std::string& comment);

// For iptables-restore --noflush: deletes the rules of `instance` that are in `saved`
// (iptables-save). Empty when there are none.
std::string removal_of(std::string_view saved, const std::string& instance);

// The record files of all instances that have rules in `saved`, ascending, once each.
std::vector<std::string> records_in(std::string_view saved);

}  // namespace netfilter
