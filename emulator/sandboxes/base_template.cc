#include "emulator/sandboxes/base_template.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <cstdio>
#include <string_view>
#include <vector>

#include "emulator/base/ids.h"
#include "emulator/base/posix.h"
#include "emulator/base/scope_exit.h"
#include "emulator/sandboxes/base_template_files.h"
#include "emulator/sandboxes/template_accounts.h"
#include "emulator/sandboxes/template_tree.h"

namespace emulator::sandboxes {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kMark =
    "recipe";  // written last: its presence says that the version is complete
constexpr std::size_t kVersionsKept = 3;

// What the template takes from the machine, by name. Everything else in /etc and /var stays out; of
// these, what is not readable by everybody stays out too (TemplateTree::copy).
constexpr std::array<std::string_view, 41> kCopied = {"etc/adduser.conf",
                                                      "etc/alternatives",
                                                      "etc/bindresvport.blacklist",
                                                      "etc/ca-certificates.conf",
                                                      "etc/debconf.conf",
                                                      "etc/debian_version",
                                                      "etc/deluser.conf",
                                                      "etc/dpkg",
                                                      "etc/ethertypes",
                                                      "etc/fonts",
                                                      "etc/gai.conf",
                                                      "etc/inputrc",
                                                      "etc/iproute2",
                                                      "etc/issue",
                                                      "etc/issue.net",
                                                      "etc/ld.so.cache",
                                                      "etc/ld.so.conf",
                                                      "etc/ld.so.conf.d",
                                                      "etc/libaudit.conf",
                                                      "etc/locale.alias",
                                                      "etc/locale.gen",
                                                      "etc/localtime",
                                                      "etc/login.defs",
                                                      "etc/magic",
                                                      "etc/magic.mime",
                                                      "etc/manpath.config",
                                                      "etc/mailcap",
                                                      "etc/mime.types",
                                                      "etc/mke2fs.conf",
                                                      "etc/netconfig",
                                                      "etc/networks",
                                                      "etc/perl",
                                                      "etc/protocols",
                                                      "etc/python3",
                                                      "etc/rpc",
                                                      "etc/services",
                                                      "etc/shells",
                                                      "etc/terminfo",
                                                      "etc/timezone",
                                                      "etc/ucf.conf",
                                                      "etc/xattr.conf"};

// A change of one of these makes a new version. Stat only: this is on the path of every start.
constexpr std::array<std::string_view, 14> kWatched = {
    "etc/alternatives",  "etc/apt/sources.list", "etc/apt/sources.list.d",
    "etc/group",         "etc/ld.so.cache",      "etc/localtime",
    "etc/passwd",        "etc/ssl/certs",        "usr/bin/python",
    "usr/bin/python3",   "usr/lib/os-release",   "etc/ssl/certs/ca-certificates.crt",
    "var/lib/dpkg/info", "var/lib/dpkg/status"};

std::string fingerprint(const fs::path& host, const std::vector<TrustedRoot>& roots) {
  std::string text = "recipe " + std::to_string(kRecipeVersion) + "\n";
  for (std::string_view path : kWatched) {
    struct stat status {};
    text += path;
    if (::lstat((host / path).c_str(), &status) == 0) {
      text += ' ' + std::to_string(status.st_ino) + ' ' + std::to_string(status.st_size) + ' ' +
              std::to_string(status.st_mtim.tv_sec) + '.' + std::to_string(status.st_mtim.tv_nsec);
    }
    text += '\n';
  }
  for (const TrustedRoot& root : roots) text += "root " + root.name + "\n" + root.pem;
  return text;
}

// FNV-1a: names a directory; the text itself is compared too.
std::string short_hash(std::string_view text) {
  std::uint64_t hash = 0xcbf29ce484222325U;
  for (char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3U;
  std::array<char, 17> hex{};
  std::snprintf(hex.data(), hex.size(), "%016llx", static_cast<unsigned long long>(hash));
  return hex.data();
}

// The machine's /bin, /lib64 ...: links into /usr, or the template cannot stand on /usr alone.
base::Result<> link_merged_usr(TemplateTree& root) {
  for (std::string_view name : {"bin", "sbin", "lib", "lib32", "lib64", "libx32"}) {
    std::error_code error;
    const fs::path target = fs::read_symlink(root.on_host(name), error);
    if (!error && (target.native().starts_with("usr/") || target.native().starts_with("/usr/"))) {
      SANDLOT_CHECK(root.link(name, target.native()));
      continue;
    }
    if (fs::exists(root.on_host(name), error)) {
      return base::fail(
          base::Errc::kFailedPrecondition,
          "derive the base template: /" + std::string(name) +
              " is not a link into /usr on this machine (install the package usrmerge)");
    }
  }
  return {};
}

constexpr std::string_view kBundle = "etc/ssl/certs/ca-certificates.crt";

// Certificates are public; a key that somebody put beside them is not. A link into /usr/local would
// dangle inside, so its content is taken instead: it is one of the machine's own roots.
base::Result<> copy_certificates(TemplateTree& root, bool bundle) {
  std::error_code error;
  fs::directory_iterator entries(root.on_host("etc/ssl/certs"), error);
  if (error) return {};  // a machine without ca-certificates: doctor says so
  for (const fs::directory_entry& entry : entries) {
    const std::string path = "etc/ssl/certs/" + entry.path().filename().string();
    if (path == kBundle && !bundle) continue;
    const bool link = entry.is_symlink(error);
    const fs::path target = link ? fs::read_symlink(entry.path(), error) : fs::path();
    if (link && !target.native().starts_with("/usr/local/")) {
      SANDLOT_CHECK(root.copy(path));
      continue;
    }
    if (!entry.is_regular_file(error)) continue;
    auto text = base::read_file(entry.path(), 4U << 20U);
    if (!text || text->find("PRIVATE KEY") != std::string::npos) continue;
    SANDLOT_CHECK(root.file(path, *text));
  }
  return root.copy("etc/ssl/openssl.cnf");
}

// In all the places where programs look: the one file (curl, git, Go), the directory of hashed
// names (OpenSSL, Python), and where update-ca-certificates would take it from.
base::Result<> add_roots(TemplateTree& root, const std::vector<TrustedRoot>& roots) {
  if (roots.empty()) return {};
  std::string bundle = base::read_file(root.on_host(kBundle), 4U << 20U).value_or("");
  std::string own;
  for (const TrustedRoot& each : roots) {
    if (!bundle.empty() && bundle.back() != '\n') bundle += '\n';
    bundle += each.pem;
    own += each.pem;
    SANDLOT_CHECK(root.file("etc/ssl/certs/" + each.name + ".pem", each.pem));
    SANDLOT_CHECK(root.link("etc/ssl/certs/" + each.hash + ".0", each.name + ".pem"));
  }
  // Node looks in none of them, and takes one file. Commands of the SDK run in a login shell.
  SANDLOT_CHECK(root.file("etc/ssl/sandlot-roots.pem", own));
  SANDLOT_CHECK(root.file(
      "etc/profile.d/sandlot-roots.sh",
      "export NODE_EXTRA_CA_CERTS=\"${NODE_EXTRA_CA_CERTS:-/etc/ssl/sandlot-roots.pem}\"\n"));
  return root.file(kBundle, bundle);
}

// True when a line of an apt source names a user: https://name:secret@host/.
bool carries_credentials(std::string_view text) {
  for (std::size_t at = text.find("://"); at != std::string_view::npos;
       at = text.find("://", at + 3)) {
    const std::string_view rest = text.substr(at + 3);
    const std::string_view authority = rest.substr(0, rest.find_first_of("/ \t\n"));
    if (authority.find('@') != std::string_view::npos) return true;
  }
  return false;
}

// Sources without credentials and their public keys; no proxy, no authentication, no hook of the
// machine's apt.
base::Result<> copy_apt(TemplateTree& root) {
  const TemplateTree::Keep no_credentials = [&root](const fs::path& path) {
    const std::string extension = path.extension().string();
    if (extension != ".list" && extension != ".sources") return path.filename() == "sources.list.d";
    auto text = base::read_file(root.on_host(path.relative_path().native()), 1U << 20U);
    return text && !carries_credentials(*text);
  };
  SANDLOT_CHECK(root.copy("etc/apt/sources.list", no_credentials));
  SANDLOT_CHECK(root.copy("etc/apt/sources.list.d", no_credentials));
  SANDLOT_CHECK(root.copy("etc/apt/trusted.gpg.d"));
  SANDLOT_CHECK(root.copy("etc/apt/keyrings"));
  SANDLOT_CHECK(root.copy("etc/apt/apt.conf.d/01autoremove"));
  SANDLOT_CHECK(root.copy("etc/apt/apt.conf.d/70debconf"));
  return root.copy("var/lib/apt/extended_states");
}

// The package database, so that apt-get knows what /usr holds. `info` has thousands of small files:
// linked.
base::Result<> copy_dpkg(TemplateTree& root, const AccountFiles& accounts) {
  for (std::string_view name : {"arch", "available", "cmethopt", "diversions", "status"}) {
    SANDLOT_CHECK(root.copy("var/lib/dpkg/" + std::string(name)));
  }
  SANDLOT_CHECK(root.link_files("var/lib/dpkg/alternatives"));
  SANDLOT_CHECK(root.copy("var/lib/dpkg/triggers"));
  SANDLOT_CHECK(root.link_files("var/lib/dpkg/info"));
  // dpkg stops at an override for an account that does not exist.
  std::string kept;
  if (auto text = base::read_file(root.on_host("var/lib/dpkg/statoverride"))) {
    for (std::size_t at = 0; at < text->size();) {
      const std::size_t end = std::min(text->find('\n', at), text->size());
      const std::string_view line = std::string_view(*text).substr(at, end - at);
      const std::size_t space = line.find(' ');
      const std::size_t second = line.find(' ', space + 1);
      if (space != std::string_view::npos && second != std::string_view::npos &&
          has_account(accounts.passwd, line.substr(0, space)) &&
          has_account(accounts.group, line.substr(space + 1, second - space - 1))) {
        kept += std::string(line) + "\n";
      }
      at = end + 1;
    }
  }
  return root.file("var/lib/dpkg/statoverride", kept);
}

base::Result<> write_accounts(TemplateTree& root, const AccountFiles& accounts) {
  constexpr Owner kShadow{0, 42};
  SANDLOT_CHECK(root.file("etc/passwd", accounts.passwd));
  SANDLOT_CHECK(root.file("etc/group", accounts.group));
  SANDLOT_CHECK(root.file("etc/shadow", accounts.shadow, 0640, kShadow));
  SANDLOT_CHECK(root.file("etc/gshadow", accounts.gshadow, 0640, kShadow));
  return root.file("etc/machine-id", base::random_hex(16) + "\n", 0444);
}

base::Result<> build_root(const fs::path& directory,
                          const fs::path& host,
                          const std::vector<TrustedRoot>& roots) {
  TemplateTree root(directory, host);
  SANDLOT_CHECK(root.directory("."));
  SANDLOT_CHECK(link_merged_usr(root));
  SANDLOT_CHECK(root.directory("usr"));  // the second overlay's mount point
  for (const Directory& item : root_directories()) {
    SANDLOT_CHECK(root.directory(item.path, item.mode, Owner{item.uid, item.gid}));
  }
  for (const TextFile& item : root_files()) {
    SANDLOT_CHECK(root.file(item.path, item.text, item.mode, Owner{item.owner, item.owner}));
  }
  for (const Link& item : root_links()) SANDLOT_CHECK(root.link(item.path, item.target));
  for (std::string_view path : kCopied) SANDLOT_CHECK(root.copy(path));

  // Per-version configuration that Python reads at start (sitecustomize).
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(host / "etc", error)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with("python3.")) SANDLOT_CHECK(root.copy("etc/" + name));
  }
  const auto passwd = base::read_file(host / "etc/passwd");
  const auto group = base::read_file(host / "etc/group");
  const AccountFiles accounts =
      make_account_files(passwd ? *passwd : std::string(), group ? *group : std::string());
  SANDLOT_CHECK(write_accounts(root, accounts));
  SANDLOT_CHECK(copy_certificates(root, roots.empty()));
  SANDLOT_CHECK(add_roots(root, roots));
  SANDLOT_CHECK(copy_apt(root));
  return copy_dpkg(root, accounts);
}

// Python as the cloud's image has it: `python` exists, and pip may install outside a virtual
// environment.
base::Result<> adapt_python(TemplateTree& usr) {
  std::error_code error;
  if (fs::exists(usr.on_host("usr/bin/python3"), error) &&
      !fs::exists(fs::symlink_status(usr.on_host("usr/bin/python"), error))) {
    SANDLOT_CHECK(usr.link("bin/python", "python3"));
  }
  bool lib_made = false;
  for (const fs::directory_entry& entry : fs::directory_iterator(usr.on_host("usr/lib"), error)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with("python3.")) continue;
    SANDLOT_CHECK(usr.directory("local/lib/" + name, 0777));
    SANDLOT_CHECK(usr.directory("local/lib/" + name + "/dist-packages", 0777));
    std::error_code missing;
    if (!fs::exists(entry.path() / "EXTERNALLY-MANAGED", missing)) continue;
    if (!lib_made) SANDLOT_CHECK(usr.directory("lib"));
    lib_made = true;
    SANDLOT_CHECK(usr.directory("lib/" + name));
    SANDLOT_CHECK(usr.whiteout("lib/" + name + "/EXTERNALLY-MANAGED"));
  }
  return {};
}

base::Result<> build_usr(const fs::path& directory,
                         const fs::path& host,
                         const std::vector<TrustedRoot>& roots) {
  TemplateTree usr(directory, host);
  SANDLOT_CHECK(usr.directory("."));
  for (const Directory& item : usr_directories()) {
    SANDLOT_CHECK(usr.directory(item.path, item.mode, Owner{item.uid, item.gid}));
  }
  for (const TextFile& item : usr_files()) SANDLOT_CHECK(usr.file(item.path, item.text, item.mode));
  for (const TrustedRoot& root : roots)
    // Everything below /usr/local is everybody's (contract-envd 5.4).
    SANDLOT_CHECK(usr.file("local/share/ca-certificates/" + root.name + ".crt", root.pem, 0777));
  SANDLOT_CHECK(usr.link("local/man", "share/man"));
  SANDLOT_CHECK(usr.opaque("local"));
  SANDLOT_CHECK(usr.opaque("etc"));
  // A test of the vendors relies on its absence (contract-envd 5.6).
  std::error_code error;
  if (fs::exists(host / "usr/bin/mcp-gateway", error))
    SANDLOT_CHECK(usr.whiteout("bin/mcp-gateway"));
  return adapt_python(usr);
}

base::Result<> build(const fs::path& directory,
                     const fs::path& host,
                     const std::vector<TrustedRoot>& roots,
                     const std::string& mark) {
  SANDLOT_CHECK(base::make_directories(directory / "rootfs"));
  SANDLOT_CHECK(base::make_directories(directory / "usr"));
  SANDLOT_CHECK(build_root(directory / "rootfs", host, roots));
  SANDLOT_CHECK(build_usr(directory / "usr", host, roots));
  return base::write_file(directory / kMark, mark);
}

bool complete(const fs::path& version, const std::string& mark) {
  auto found = base::read_file(version / kMark);
  struct stat status {};
  // A machine that lost power may have kept names and lost contents.
  return found && *found == mark && ::stat((version / "rootfs/etc/passwd").c_str(), &status) == 0 &&
         status.st_size > 0;
}

// Old versions beyond the last few, and what a killed process left half made more than ten minutes
// ago.
void prune(const fs::path& template_dir, const fs::path& current) {
  std::error_code error;
  std::vector<std::pair<fs::file_time_type, fs::path>> versions;
  for (const fs::directory_entry& entry : fs::directory_iterator(template_dir, error)) {
    const fs::path path = entry.path();
    const auto time = entry.last_write_time(error);
    if (error || path == current) continue;
    if (path.filename().native().starts_with(".new-")) {
      if (fs::file_time_type::clock::now() - time > std::chrono::minutes(10))
        fs::remove_all(path, error);
    } else if (fs::exists(path / kMark, error)) {
      versions.emplace_back(time, path);
    }
  }
  std::sort(versions.begin(), versions.end());
  while (versions.size() >= kVersionsKept) {
    fs::remove_all(versions.front().second, error);
    versions.erase(versions.begin());
  }
}

}  // namespace

base::Result<BaseTemplate> derive_base_template(const fs::path& template_dir,
                                                const fs::path& host,
                                                const std::vector<TrustedRoot>& roots) {
  const std::string mark = fingerprint(host, roots);
  const fs::path version = template_dir / short_hash(mark);
  BaseTemplate result{version / "rootfs", version / "usr", false};
  if (complete(version, mark)) return result;

  SANDLOT_CHECK(base::make_directories(template_dir));
  const fs::path fresh = template_dir / (".new-" + base::random_id(8));
  base::ScopeExit remove_fresh([&fresh] {
    std::error_code error;
    fs::remove_all(fresh, error);
  });
  auto built = build(fresh, host, roots, mark);
  if (!built)
    return base::fail(std::move(std::move(built).error()).context("derive the base template"));
  if (::rename(fresh.c_str(), version.c_str()) != 0) {
    // Somebody else was first, or an incomplete one is in the way.
    if (errno != ENOTEMPTY && errno != EEXIST)
      return base::fail_errno("rename to " + version.string());
    if (complete(version, mark)) return result;
    std::error_code error;
    fs::remove_all(version, error);
    if (::rename(fresh.c_str(), version.c_str()) != 0) {
      return base::fail_errno("rename to " + version.string());
    }
  }
  prune(template_dir, version);
  result.built = true;
  return result;
}

}  // namespace emulator::sandboxes
