#include "emulator/volumes/volume_tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <memory>

#include "emulator/base/posix.h"
#include "namespaces/tree_removal.h"

namespace emulator::volumes {

using base::Errc;
using base::Result;
using base::UniqueFd;
using Entry = VolumeTree::Entry;

namespace {

// As the cloud's file service makes them (e2b infra, orchestrator/pkg/volumes/service.go).
constexpr std::uint32_t kDefaultOwner = 9090;
constexpr mode_t kDirectoryMode = 0777;
constexpr mode_t kFileMode = 0666;
constexpr unsigned kDeepest = 10;
constexpr std::size_t kMostEntries = 100000;

std::string relative(const std::string& path) {
  return path == "/" ? "." : path.substr(1);
}

std::string parent_of(const std::string& path) {
  auto slash = path.rfind('/');
  return slash == 0 ? "/" : path.substr(0, slash);
}

std::string name_of(const std::string& path) {
  return path == "/" ? "/" : path.substr(path.rfind('/') + 1);
}

base::Failure path_error(const std::string& path, int number = errno) {
  if (number == ENOENT || number == ENOTDIR) {
    return base::fail(Errc::kNotFound, "Path " + path + " not found");
  }
  if (number == EEXIST) return base::fail(Errc::kAlreadyExists, "Path " + path + " already exists");
  if (number == EISDIR) return base::fail(Errc::kConflict, "Path " + path + " is a directory");
  if (number == ELOOP || number == ENAMETOOLONG) {
    return base::fail(Errc::kInvalidArgument, base::os_error("Path " + path, number).message());
  }
  return base::fail(base::os_error("Path " + path, number));
}

base::TimePoint time_of(const timespec& time) {
  return base::TimePoint(std::chrono::duration_cast<base::TimePoint::duration>(
      std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec)));
}

Entry entry_of(int directory, const char* name, const struct stat& info, const std::string& path) {
  Entry entry;
  entry.name = name_of(path);
  entry.path = path;
  entry.size = static_cast<std::uint64_t>(info.st_size);
  entry.mode = info.st_mode & 0777;
  entry.uid = info.st_uid;
  entry.gid = info.st_gid;
  entry.atime = time_of(info.st_atim);
  entry.mtime = time_of(info.st_mtim);
  entry.ctime = time_of(info.st_ctim);
  if (S_ISREG(info.st_mode)) entry.type = Entry::Type::kFile;
  if (S_ISDIR(info.st_mode)) entry.type = Entry::Type::kDirectory;
  if (S_ISLNK(info.st_mode)) {
    entry.type = Entry::Type::kSymlink;
    std::string target(4096, '\0');
    ssize_t size = ::readlinkat(directory, name, target.data(), target.size());
    if (size >= 0) entry.target = target.substr(0, static_cast<std::size_t>(size));
  }
  return entry;
}

// chown first: it clears bits of the mode.
Result<> apply(int fd, const VolumeTree::Attributes& attributes, const std::string& path) {
  if (attributes.uid || attributes.gid) {
    constexpr auto kSame = static_cast<std::uint32_t>(-1);
    if (::fchownat(fd, "", attributes.uid.value_or(kSame), attributes.gid.value_or(kSame),
                   AT_EMPTY_PATH) != 0) {
      return path_error(path);
    }
  }
  if (attributes.mode) {
    std::string link = "/proc/self/fd/" + std::to_string(fd);
    if (::chmod(link.c_str(), *attributes.mode & 0777) != 0) return path_error(path);
  }
  return {};
}

VolumeTree::Attributes with_defaults(VolumeTree::Attributes attributes, mode_t mode) {
  attributes.uid = attributes.uid.value_or(kDefaultOwner);
  attributes.gid = attributes.gid.value_or(kDefaultOwner);
  attributes.mode = attributes.mode.value_or(mode);
  return attributes;
}

struct CloseDirectory {
  void operator()(DIR* directory) const { ::closedir(directory); }
};

}  // namespace

Result<std::string> clean_path(const std::string& path) {
  if (path.find('\0') != std::string::npos) {
    return base::fail(Errc::kInvalidArgument, "path must not contain a zero byte");
  }
  std::string clean = std::filesystem::path("/" + path).lexically_normal().string();
  // "//a" keeps its two slashes.
  clean.erase(0, std::min(clean.find_first_not_of('/'), clean.size()));
  while (!clean.empty() && clean.back() == '/') clean.pop_back();
  return "/" + clean;
}

Result<UniqueFd> VolumeTree::open(const std::string& path, unsigned flags, unsigned mode) const {
  open_how how{};
  how.flags = flags | O_CLOEXEC;
  how.mode = mode;
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV;
  UniqueFd fd(
      static_cast<int>(::syscall(SYS_openat2, root_, relative(path).c_str(), &how, sizeof how)));
  if (!fd) return path_error(path);
  return fd;
}

Result<Entry> VolumeTree::stat(const std::string& path) const {
  SANDLOT_TRY(auto fd, open(path, O_PATH | O_NOFOLLOW));
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) return path_error(path);
  return entry_of(fd.get(), "", info, path);
}

Result<std::vector<Entry>> VolumeTree::list(const std::string& path, unsigned depth) const {
  if (depth > kDeepest) {
    return base::fail(Errc::kInvalidArgument,
                      "depth must be between 1 and " + std::to_string(kDeepest));
  }
  std::vector<Entry> entries;
  struct Folder {
    std::string path;
    unsigned depth;
  };
  std::vector<Folder> folders{{path, std::max(depth, 1U)}};
  for (std::size_t next = 0; next < folders.size(); ++next) {
    Folder folder = folders[next];
    auto fd = open(folder.path, O_RDONLY | O_DIRECTORY);
    // One that went away meanwhile is no error.
    if (!fd && next > 0) continue;
    if (!fd) return base::Failure(std::move(fd).error());
    std::unique_ptr<DIR, CloseDirectory> directory(::fdopendir(fd->get()));
    if (!directory) return path_error(folder.path);
    int inside = fd->release();
    while (const dirent* item = ::readdir(directory.get())) {
      std::string name = item->d_name;
      struct stat info {};
      if (name == "." || name == "..") continue;
      if (::fstatat(inside, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) continue;
      if (entries.size() == kMostEntries) {
        return base::fail(Errc::kTooLarge, "the directory has too many entries to list");
      }
      std::string full = (folder.path == "/" ? "" : folder.path) + "/" + name;
      entries.push_back(entry_of(inside, name.c_str(), info, full));
      if (S_ISDIR(info.st_mode) && folder.depth > 1) folders.push_back({full, folder.depth - 1});
    }
  }
  std::sort(entries.begin(), entries.end(),
            [](const Entry& a, const Entry& b) { return a.path < b.path; });
  return entries;
}

Result<> VolumeTree::make_parents(const std::string& path, const Attributes& attributes) const {
  for (std::size_t slash = path.find('/', 1); slash != std::string::npos;
       slash = path.find('/', slash + 1)) {
    std::string prefix = path.substr(0, slash);
    if (open(prefix, O_PATH | O_DIRECTORY)) continue;
    Attributes wanted = attributes;
    wanted.mode.reset();
    auto made = make_directory(prefix, wanted, false);
    if (!made && made.error().code() != Errc::kAlreadyExists) {
      return base::Failure(std::move(made).error());
    }
  }
  return {};
}

Result<Entry> VolumeTree::make_directory(const std::string& path,
                                         const Attributes& attributes,
                                         bool force) const {
  if (force) SANDLOT_CHECK(make_parents(path, attributes));
  if (path == "/") {
    if (force) return stat(path);
    return path_error(path, EEXIST);
  }
  SANDLOT_TRY(auto parent, open(parent_of(path), O_PATH | O_DIRECTORY));
  if (::mkdirat(parent.get(), name_of(path).c_str(), kDirectoryMode) != 0) {
    int number = errno;
    // An existing directory, or a link to one, is what was asked for.
    if (number == EEXIST && force && open(path, O_PATH | O_DIRECTORY)) return stat(path);
    return path_error(path, number);
  }
  SANDLOT_TRY(auto made, open(path, O_PATH | O_DIRECTORY | O_NOFOLLOW));
  SANDLOT_CHECK(apply(made.get(), with_defaults(attributes, kDirectoryMode), path));
  return stat(path);
}

Result<Entry> VolumeTree::change(const std::string& path, const Attributes& attributes) const {
  SANDLOT_TRY(auto fd, open(path, O_PATH));
  SANDLOT_CHECK(apply(fd.get(), attributes, path));
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) return path_error(path);
  return entry_of(fd.get(), "", info, path);
}

Result<> VolumeTree::remove(const std::string& path) const {
  if (path == "/") return base::fail(Errc::kInvalidArgument, "cannot delete root");
  SANDLOT_TRY(auto parent, open(parent_of(path), O_RDONLY | O_DIRECTORY));
  struct stat info {};
  if (::fstatat(parent.get(), name_of(path).c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) {
    return path_error(path);
  }
  return namespaces::remove_entry("/proc/self/fd/" + std::to_string(parent.get()), name_of(path));
}

Result<UniqueFd> VolumeTree::open_file(const std::string& path) const {
  // A pipe must not keep us waiting.
  SANDLOT_TRY(auto fd, open(path, O_RDONLY | O_NONBLOCK));
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) return path_error(path);
  if (S_ISREG(info.st_mode)) return fd;
  return base::fail(Errc::kNotFound, "Path " + path + " is not a file");
}

Result<VolumeTree::NewFile> VolumeTree::create_file(const std::string& path,
                                                    const Attributes& attributes,
                                                    bool force) const {
  if (path == "/") return path_error(path, EISDIR);
  if (force) SANDLOT_CHECK(make_parents(path, attributes));
  NewFile file;
  auto created = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NONBLOCK, kFileMode);
  if (!created && created.error().code() == Errc::kAlreadyExists && force) {
    file.is_new = false;
    created = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NONBLOCK, kFileMode);
  }
  if (!created) return base::Failure(std::move(created).error());
  struct stat info {};
  if (::fstat(created->get(), &info) != 0) return path_error(path);
  if (!S_ISREG(info.st_mode)) {
    return base::fail(Errc::kConflict, "Path " + path + " is not a file");
  }
  SANDLOT_CHECK(apply(created->get(), with_defaults(attributes, kFileMode), path));
  file.fd = std::move(*created);
  return file;
}

void VolumeTree::unlink(const std::string& path) const {
  auto parent = open(parent_of(path), O_PATH | O_DIRECTORY);
  if (parent) ::unlinkat(parent->get(), name_of(path).c_str(), 0);
}

}  // namespace emulator::volumes
