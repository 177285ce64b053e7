#include "namespaces/tree_removal.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <memory>
#include <vector>

#include "emulator/base/posix.h"

#include <stdio.h>

namespace namespaces {

namespace {

namespace fs = std::filesystem;
using base::Result;
using base::UniqueFd;

// Deeper directories are moved up to the parent and deleted from there: neither the stack nor the
// number of open descriptors follows the depth of the tree.
constexpr int kMaxDepth = 32;

struct DirCloser {
  void operator()(DIR* directory) const { ::closedir(directory); }
};
using Directory = std::unique_ptr<DIR, DirCloser>;

class Removal {
 public:
  explicit Removal(int parent_fd) : parent_fd_(parent_fd) {}

  Result<> run(const std::string& name) {
    pending_.push_back(name);
    while (!pending_.empty()) {
      std::string next = pending_.back();
      pending_.pop_back();
      if (counter_ == 0) prefix_ = next;
      SANDLOT_CHECK(remove(parent_fd_, next.c_str(), 0));
    }
    return {};
  }

 private:
  Result<> remove(int directory_fd, const char* name, int depth) {
    if (::unlinkat(directory_fd, name, 0) == 0 || errno == ENOENT) return {};
    if (errno != EISDIR && errno != EPERM) return base::fail_errno("unlink");
    if (::unlinkat(directory_fd, name, AT_REMOVEDIR) == 0) return {};
    if (errno == ENOTDIR) return base::fail(base::os_error("unlink", EPERM));
    if (errno != ENOTEMPTY && errno != EEXIST) return base::fail_errno("rmdir");
    if (depth >= kMaxDepth) return move_up(directory_fd, name);
    SANDLOT_CHECK(empty(directory_fd, name, depth));
    if (::unlinkat(directory_fd, name, AT_REMOVEDIR) == 0 || errno == ENOENT) return {};
    return base::fail_errno("rmdir");
  }

  Result<> empty(int parent_fd, const char* name, int depth) {
    open_how how{};
    how.flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV;
    int fd = static_cast<int>(::syscall(SYS_openat2, parent_fd, name, &how, sizeof how));
    if (fd < 0 && errno == ENOENT) return {};
    if (fd < 0) return base::fail_errno("open directory");
    Directory directory(::fdopendir(fd));
    if (!directory) {
      ::close(fd);
      return base::fail_errno("open directory");
    }
    while (dirent* entry = ::readdir(directory.get())) {
      std::string_view entry_name = entry->d_name;
      if (entry_name == "." || entry_name == "..") continue;
      SANDLOT_CHECK(remove(fd, entry->d_name, depth + 1));
    }
    return {};
  }

  Result<> move_up(int directory_fd, const char* name) {
    std::string moved = prefix_ + "." + std::to_string(++counter_);
    if (::renameat2(directory_fd, name, parent_fd_, moved.c_str(), RENAME_NOREPLACE) != 0) {
      return base::fail_errno("move deep directory");
    }
    pending_.push_back(std::move(moved));
    return {};
  }

  int parent_fd_;
  std::string prefix_;
  unsigned counter_ = 0;
  std::vector<std::string> pending_;
};

}  // namespace

Result<> move_to_trash(const fs::path& victim, const fs::path& trash, const std::string& name) {
  SANDLOT_CHECK(base::make_directories(trash, 0700));
  fs::path target = trash / name;
  if (::rename(victim.c_str(), target.c_str()) != 0) {
    return base::fail_errno("move to trash " + victim.string());
  }
  return {};
}

Result<> remove_entry(const fs::path& parent, const std::string& name) {
  SANDLOT_TRY(auto fd, base::open_file(parent, O_RDONLY | O_DIRECTORY));
  auto removed = Removal(fd.get()).run(name);
  if (!removed) return base::fail(std::move(removed).error().context((parent / name).string()));
  return {};
}

}  // namespace namespaces
