#include "namespaces/layer_attributes.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/posix_acl_xattr.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <vector>

#include <endian.h>

namespace namespaces {

namespace {

using base::Result;

constexpr std::uint32_t kNobody = 65534;

// The entry's path for the system calls that take no directory descriptor.
std::string path_of(int directory, const char* name) {
  std::string path = "/proc/self/fd/" + std::to_string(directory);
  // "/." goes through the magic link to the directory itself.
  return path + "/" + (name == nullptr ? "." : name);
}

Result<std::vector<std::string>> attribute_names(const std::string& path) {
  std::vector<std::string> names;
  std::vector<char> list(1024);
  ssize_t size = 0;
  while ((size = ::llistxattr(path.c_str(), list.data(), list.size())) < 0 && errno == ERANGE) {
    list.resize(list.size() * 4);
  }
  if (size < 0 && errno == EOPNOTSUPP) return names;
  if (size < 0) return base::fail_errno("list attributes");
  for (const char* at = list.data(); at < list.data() + size; at += std::strlen(at) + 1) {
    names.emplace_back(at);
  }
  return names;
}

Result<> copy_extended(const EntryPair& entry, IdRange ids) {
  std::string from = path_of(entry.from, entry.name);
  SANDLOT_TRY(auto names, attribute_names(from));
  if (names.empty()) return {};
  std::string into = path_of(entry.into, entry.name);
  for (const std::string& name : names) {
    std::string value(1U << 16U, '\0');  // the kernel's limit
    ssize_t size = ::lgetxattr(from.c_str(), name.c_str(), value.data(), value.size());
    if (size < 0 && errno == ENODATA) continue;
    if (size < 0) return base::fail_errno("read attribute " + name);
    value.resize(static_cast<std::size_t>(size));
    if (!translate_attribute(name, value, ids)) continue;
    if (::lsetxattr(into.c_str(), name.c_str(), value.data(), value.size(), 0) != 0) {
      return base::fail_errno("set attribute " + name);
    }
  }
  return {};
}

void translate_acl(std::string& value, IdRange ids) {
  constexpr std::size_t kHeader = sizeof(posix_acl_xattr_header);
  constexpr std::size_t kEntry = sizeof(posix_acl_xattr_entry);
  for (std::size_t at = kHeader; at + kEntry <= value.size(); at += kEntry) {
    posix_acl_xattr_entry entry{};
    std::memcpy(&entry, value.data() + at, kEntry);
    auto tag = le16toh(entry.e_tag);
    constexpr std::uint16_t kUser = 0x02;
    constexpr std::uint16_t kGroup = 0x08;
    if (tag != kUser && tag != kGroup) continue;
    entry.e_id = htole32(inner_id(le32toh(entry.e_id), ids));
    std::memcpy(value.data() + at, &entry, kEntry);
  }
}

// A sandbox's root can only write the form that names its root's id. In a template's layer that is
// 0, which is the older form's meaning.
void translate_capability(std::string& value) {
  if (value.size() != XATTR_CAPS_SZ_3) return;
  std::uint32_t magic = 0;
  std::memcpy(&magic, value.data(), sizeof magic);
  std::uint32_t flags = le32toh(magic) & VFS_CAP_FLAGS_MASK;
  magic = htole32(VFS_CAP_REVISION_2 | flags);
  std::memcpy(value.data(), &magic, sizeof magic);
  value.resize(XATTR_CAPS_SZ_2);
}

}  // namespace

std::uint32_t inner_id(std::uint32_t id, IdRange ids) {
  return id >= ids.first && id - ids.first < ids.count ? id - ids.first : kNobody;
}

bool translate_attribute(const std::string& name, std::string& value, IdRange ids) {
  if (name.starts_with("user.")) return true;
  if (name == "system.posix_acl_access" || name == "system.posix_acl_default") {
    translate_acl(value, ids);
    return true;
  }
  if (name == "security.capability") {
    translate_capability(value);
    return true;
  }
  // What overlayfs says about the directory. Not `origin`, `impure`, `nlink`, `uuid`: they are
  // about the inodes of that very mount.
  constexpr std::array<std::string_view, 4> kKept = {
      "trusted.overlay.opaque", "trusted.overlay.redirect", "trusted.overlay.metacopy",
      "trusted.overlay.protattr"};
  for (std::string_view kept : kKept) {
    if (name == kept) return true;
  }
  return false;
}

Result<> copy_attributes(const struct stat& info, const EntryPair& entry, IdRange ids) {
  const char* name = entry.name == nullptr ? "" : entry.name;
  int flags = AT_SYMLINK_NOFOLLOW | (entry.name == nullptr ? AT_EMPTY_PATH : 0);
  bool whiteout = S_ISCHR(info.st_mode);
  // First: a change of the owner takes setuid bits and file capabilities away.
  if (!whiteout && ::fchownat(entry.into, name, inner_id(info.st_uid, ids),
                              inner_id(info.st_gid, ids), flags) != 0) {
    return base::fail_errno("set owner");
  }
  SANDLOT_CHECK(copy_extended(entry, ids));
  if (!S_ISLNK(info.st_mode)) {
    std::string path = path_of(entry.into, entry.name);
    if (::chmod(path.c_str(), info.st_mode & 07777) != 0) return base::fail_errno("set mode");
  }
  const std::array<timespec, 2> times = {info.st_atim, info.st_mtim};
  std::string path = path_of(entry.into, entry.name);
  if (::utimensat(AT_FDCWD, path.c_str(), times.data(), AT_SYMLINK_NOFOLLOW) != 0) {
    return base::fail_errno("set times");
  }
  return {};
}

}  // namespace namespaces
