#include "emulator/sandboxes/template_tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <string>

#include "emulator/base/posix.h"

namespace emulator::sandboxes {
namespace {

constexpr off_t kLargestCopy = 4 << 20;

// Whether a link of the machine makes sense inside: it stays within /usr (not /usr/local) or /etc.
bool link_stays(const std::filesystem::path& relative, const std::filesystem::path& target) {
  std::filesystem::path absolute =
      target.is_absolute() ? target : "/" / relative.parent_path() / target;
  const std::string text = absolute.lexically_normal().string();
  auto below = [&](std::string_view folder) { return text.starts_with(folder); };
  if (below("/usr/local/")) return false;
  return below("/usr/") || below("/etc/") || below("/lib/") || below("/bin/") || below("/sbin/") ||
         below("/proc/");
}

}  // namespace

TemplateTree::TemplateTree(std::filesystem::path root, std::filesystem::path host)
    : root_(std::move(root)), host_(std::move(host)) {}

base::Result<> TemplateTree::own(const std::filesystem::path& path, mode_t mode, Owner owner) {
  // chown first: it clears setuid and setgid bits.
  if ((owner.uid != 0 || owner.gid != 0) &&
      ::fchownat(AT_FDCWD, path.c_str(), owner.uid, owner.gid, AT_SYMLINK_NOFOLLOW) != 0) {
    return base::fail_errno("chown " + path.string());
  }
  if (::chmod(path.c_str(), mode) != 0) return base::fail_errno("chmod " + path.string());
  return {};
}

base::Result<> TemplateTree::directory(std::string_view path, mode_t mode, Owner owner) {
  const std::filesystem::path full = root_ / path;
  if (::mkdir(full.c_str(), mode) != 0 && errno != EEXIST) {
    return base::fail_errno("mkdir " + full.string());
  }
  return own(full, mode, owner);
}

base::Result<> TemplateTree::file(std::string_view path,
                                  std::string_view text,
                                  mode_t mode,
                                  Owner owner) {
  const std::filesystem::path full = root_ / path;
  SANDLOT_TRY(auto fd, base::open_file(full, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600));
  SANDLOT_CHECK(base::write_all(fd.get(), text));
  return own(full, mode, owner);
}

base::Result<> TemplateTree::link(std::string_view path, std::string_view target) {
  const std::filesystem::path full = root_ / path;
  if (::symlink(std::string(target).c_str(), full.c_str()) != 0) {
    return base::fail_errno("symlink " + full.string());
  }
  return {};
}

base::Result<> TemplateTree::whiteout(std::string_view path) {
  const std::filesystem::path full = root_ / path;
  if (::mknod(full.c_str(), S_IFCHR, 0) != 0) return base::fail_errno("whiteout " + full.string());
  return {};
}

base::Result<> TemplateTree::opaque(std::string_view path) {
  const std::filesystem::path full = root_ / path;
  if (::lsetxattr(full.c_str(), "trusted.overlay.opaque", "y", 1, 0) != 0) {
    const int error = errno;
    if (error == EOPNOTSUPP || error == EPERM) {
      return base::fail(base::Error(
          base::Errc::kFailedPrecondition,
          "set trusted.overlay.opaque on " + full.string() +
              ": this file system cannot hold overlay layers (choose another --data-dir, "
              "on ext4, xfs, btrfs or tmpfs)",
          error));
    }
    return base::fail(base::os_error("set trusted.overlay.opaque on " + full.string(), error));
  }
  return {};
}

base::Result<> TemplateTree::copy(std::string_view path, const Keep& keep) {
  return copy_entry(path, keep, false);
}

base::Result<> TemplateTree::link_files(std::string_view path) {
  return copy_entry(path, nullptr, true);
}

base::Result<> TemplateTree::copy_entry(const std::filesystem::path& relative,
                                        const Keep& keep,
                                        bool hard_links) {
  const std::filesystem::path source = host_ / relative;
  const std::filesystem::path target = root_ / relative;
  if (keep && !keep("/" / relative)) return {};
  struct stat status {};
  if (::lstat(source.c_str(), &status) != 0) {
    if (errno == ENOENT || errno == ENOTDIR) return {};
    return base::fail_errno("stat " + source.string());
  }
  if (S_ISLNK(status.st_mode)) {
    std::error_code error;
    const std::filesystem::path points_to = std::filesystem::read_symlink(source, error);
    if (error || !link_stays(relative, points_to)) return {};
    // The machine's own link, where it is on this file system: an inode less to make (ext4 takes
    // its time for one).
    if (::link(source.c_str(), target.c_str()) == 0) return {};
    if (::symlink(points_to.c_str(), target.c_str()) != 0 && errno != EEXIST) {
      return base::fail_errno("symlink " + target.string());
    }
    return {};
  }
  if (S_ISDIR(status.st_mode)) {
    if ((status.st_mode & (S_IROTH | S_IXOTH)) != (S_IROTH | S_IXOTH)) return {};
    SANDLOT_CHECK(directory(relative.native()));
    // readdir, not directory_iterator: no exceptions, and this loop is most of the time a build
    // takes.
    DIR* handle = ::opendir(source.c_str());
    if (handle == nullptr) return base::fail_errno("open " + source.string());
    base::Result<> result;
    while (const dirent* entry = ::readdir(handle)) {
      const std::string_view name = entry->d_name;
      if (name == "." || name == "..") continue;
      result = copy_entry(relative / name, keep, hard_links);
      if (!result) break;
    }
    ::closedir(handle);
    return result;
  }
  if (!S_ISREG(status.st_mode) || (status.st_mode & S_IROTH) == 0) return {};
  if (hard_links && ::link(source.c_str(), target.c_str()) == 0) return {};
  if (status.st_size > kLargestCopy) return {};
  auto text = base::read_file(source);
  if (!text) return base::fail(std::move(text).error());
  return file(relative.native(), *text, (status.st_mode & 0755) | 0444);
}

}  // namespace emulator::sandboxes
