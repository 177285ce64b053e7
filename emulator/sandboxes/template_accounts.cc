#include "emulator/sandboxes/template_accounts.h"

#include <array>
#include <charconv>
#include <optional>
#include <set>
#include <vector>

namespace emulator::sandboxes {
namespace {

// Debian's static ids (base-passwd: ids below 100 are the same on every Debian machine).
constexpr std::string_view kPasswd =
    R"(root:x:0:0:root:/root:/bin/bash
daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin
bin:x:2:2:bin:/bin:/usr/sbin/nologin
sys:x:3:3:sys:/dev:/usr/sbin/nologin
sync:x:4:65534:sync:/bin:/bin/sync
games:x:5:60:games:/usr/games:/usr/sbin/nologin
man:x:6:12:man:/var/cache/man:/usr/sbin/nologin
lp:x:7:7:lp:/var/spool/lpd:/usr/sbin/nologin
mail:x:8:8:mail:/var/mail:/usr/sbin/nologin
news:x:9:9:news:/var/spool/news:/usr/sbin/nologin
uucp:x:10:10:uucp:/var/spool/uucp:/usr/sbin/nologin
proxy:x:13:13:proxy:/bin:/usr/sbin/nologin
www-data:x:33:33:www-data:/var/www:/usr/sbin/nologin
backup:x:34:34:backup:/var/backups:/usr/sbin/nologin
list:x:38:38:Mailing List Manager:/var/list:/usr/sbin/nologin
irc:x:39:39:ircd:/run/ircd:/usr/sbin/nologin
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
)";

constexpr std::string_view kGroup =
    R"(root:x:0:
daemon:x:1:
bin:x:2:
sys:x:3:
adm:x:4:
tty:x:5:
disk:x:6:
lp:x:7:
mail:x:8:
news:x:9:
uucp:x:10:
man:x:12:
proxy:x:13:
kmem:x:15:
dialout:x:20:
fax:x:21:
voice:x:22:
cdrom:x:24:
floppy:x:25:
tape:x:26:
sudo:x:27:user
audio:x:29:
dip:x:30:
www-data:x:33:
backup:x:34:
operator:x:37:
list:x:38:
irc:x:39:
src:x:40:
shadow:x:42:
utmp:x:43:
video:x:44:
sasl:x:45:
plugdev:x:46:
staff:x:50:
games:x:60:
users:x:100:
nogroup:x:65534:
)";

// Accounts that Debian's packages make with whatever id is free.
constexpr std::array<std::string_view, 21> kWellKnown = {"_apt",
                                                         "_chrony",
                                                         "_ssh",
                                                         "crontab",
                                                         "input",
                                                         "kvm",
                                                         "messagebus",
                                                         "netdev",
                                                         "polkitd",
                                                         "rdma",
                                                         "render",
                                                         "sgx",
                                                         "ssl-cert",
                                                         "sshd",
                                                         "systemd-coredump",
                                                         "systemd-journal",
                                                         "systemd-network",
                                                         "systemd-resolve",
                                                         "systemd-timesync",
                                                         "tcpdump",
                                                         "uuidd"};

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (true) {
    const std::size_t at = text.find(separator);
    parts.push_back(text.substr(0, at));
    if (at == std::string_view::npos) return parts;
    text.remove_prefix(at + 1);
  }
}

std::optional<int> number(std::string_view text) {
  int value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

bool well_known(std::string_view name) {
  for (std::string_view known : kWellKnown) {
    if (known == name) return true;
  }
  return false;
}

// The well-known accounts of one of the machine's files: fields of the lines with a system id that
// is still free.
std::vector<std::vector<std::string_view>> host_accounts(std::string_view file,
                                                         std::size_t fields,
                                                         std::string_view ours,
                                                         std::set<int>& taken) {
  std::vector<std::vector<std::string_view>> found;
  for (std::string_view line : split(file, '\n')) {
    std::vector<std::string_view> parts = split(line, ':');
    if (parts.size() != fields || !well_known(parts[0]) || has_account(ours, parts[0])) continue;
    const std::optional<int> id = number(parts[2]);
    if (!id || *id < 1 || *id > 999 || !taken.insert(*id).second) continue;
    found.push_back(std::move(parts));
  }
  return found;
}

std::set<int> ids_of(std::string_view file) {
  std::set<int> ids;
  for (std::string_view line : split(file, '\n')) {
    const auto parts = split(line, ':');
    if (parts.size() > 2) ids.insert(number(parts[2]).value_or(0));
  }
  return ids;
}

std::string colons(std::initializer_list<std::string_view> parts) {
  std::string line;
  for (std::string_view part : parts) {
    if (!line.empty()) line += ':';
    line += part;
  }
  return line + '\n';
}

}  // namespace

bool has_account(std::string_view file, std::string_view name) {
  for (std::string_view line : split(file, '\n')) {
    if (line.size() > name.size() && line.starts_with(name) && line[name.size()] == ':')
      return true;
  }
  return false;
}

AccountFiles make_account_files(std::string_view host_passwd, std::string_view host_group) {
  AccountFiles files;
  files.group = kGroup;
  std::set<int> groups = ids_of(files.group);
  for (const auto& parts : host_accounts(host_group, 4, files.group, groups)) {
    files.group += colons({parts[0], "x", parts[2], ""});
  }
  files.passwd = kPasswd;
  std::set<int> users = ids_of(files.passwd);
  for (const auto& parts : host_accounts(host_passwd, 7, files.passwd, users)) {
    const bool known_group = groups.count(number(parts[3]).value_or(-1)) != 0;
    files.passwd += colons({parts[0], "x", parts[2], known_group ? parts[3] : "65534", "",
                            "/nonexistent", "/usr/sbin/nologin"});
  }
  if (!has_account(files.passwd, "_apt")) {
    const std::string id = users.insert(42).second ? "42" : "142";
    files.passwd += colons({"_apt", "x", id, "65534", "", "/nonexistent", "/usr/sbin/nologin"});
  }
  // A system account `node`, as the cloud's image has it (contract-envd 5.6).
  int node = 999;
  while (users.count(node) != 0 || groups.count(node) != 0) --node;
  const std::string node_id = std::to_string(node);
  files.group += colons({"node", "x", node_id, ""}) + colons({"user", "x", "1000", ""});
  files.passwd += colons({"node", "x", node_id, node_id, "", "/nonexistent", "/usr/sbin/nologin"});
  files.passwd += colons({"user", "x", "1000", "1000", "", "/home/user", "/bin/bash"});

  for (std::string_view line : split(files.passwd, '\n')) {
    if (line.empty()) continue;
    const std::string_view name = line.substr(0, line.find(':'));
    const bool open = name == "root" || name == "user";
    files.shadow +=
        std::string(name) + (open ? "::19700:0:99999:7:::\n" : ":*:19700:0:99999:7:::\n");
  }
  for (std::string_view line : split(files.group, '\n')) {
    if (line.empty()) continue;
    const std::string_view name = line.substr(0, line.find(':'));
    files.gshadow += std::string(name) + (name == "sudo" ? ":*::user\n" : ":*::\n");
  }
  return files;
}

}  // namespace emulator::sandboxes
