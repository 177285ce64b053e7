#include "namespaces/layer_capture.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <string>
#include <unordered_map>

#include "emulator/base/posix.h"
#include "namespaces/layer_attributes.h"

namespace namespaces {

namespace {

namespace fs = std::filesystem;
using base::Errc;
using base::Result;
using base::UniqueFd;

struct DirCloser {
  void operator()(DIR* directory) const { ::closedir(directory); }
};
using Directory = std::unique_ptr<DIR, DirCloser>;

// What the file system cannot do is not tried again for every file.
bool is_unsupported(int error) {
  return error == EOPNOTSUPP || error == ENOTTY || error == EXDEV || error == EINVAL ||
         error == ENOSYS;
}

class Capture {
 public:
  Capture(IdRange ids, CaptureReport& report, const CaptureHistory& last)
      : ids_(ids), report_(report), last_(last), can_share_(last.can_share) {
    next_.captures = last.captures + 1;
    ::clock_gettime(CLOCK_REALTIME, &start_);
  }

  Result<> run(const fs::path& source, const fs::path& target) {
    SANDLOT_TRY(auto from, base::open_file(source, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
    if (::mkdir(target.c_str(), 0700) != 0) return base::fail_errno("make " + target.string());
    SANDLOT_TRY(root_, base::open_file(target, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
    return fill(std::move(from), root_.get(), "", 0);
  }

  CaptureHistory history() && {
    next_.can_share = can_share_;
    next_.layer = std::move(root_);
    return std::move(next_);
  }

 private:
  // One directory: its entries, then its own attributes (what is made in it changes its times).
  Result<> fill(UniqueFd from, int into, const std::string& path, int depth) {
    if (depth > kDeepestTree) {
      return base::fail(Errc::kFailedPrecondition,
                        "the sandbox has directories nested deeper than " +
                            std::to_string(kDeepestTree) + " levels");
    }
    struct stat info {};
    if (::fstat(from.get(), &info) != 0) return base::fail_errno("stat /" + path);
    int source = from.get();
    Directory directory(::fdopendir(from.release()));
    if (!directory) {
      ::close(source);
      return base::fail_errno("open /" + path);
    }
    errno = 0;
    while (dirent* entry = ::readdir(directory.get())) {
      std::string_view name = entry->d_name;
      if (name == "." || name == "..") continue;
      auto copied = copy(source, into, entry->d_name, path, depth);
      if (!copied) return copied;
      errno = 0;
    }
    if (errno != 0) return base::fail_errno("read /" + path);
    return finish(info, {source, into, nullptr}, path);
  }

  Result<> copy(int from, int into, const char* name, const std::string& parent, int depth) {
    std::string path = parent.empty() ? name : parent + "/" + name;
    struct stat info {};
    if (::fstatat(from, name, &info, AT_SYMLINK_NOFOLLOW) != 0) {
      return base::fail_errno("stat /" + path);
    }
    if (S_ISDIR(info.st_mode)) {
      SANDLOT_TRY(auto source, base::open_at(from, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
      if (::mkdirat(into, name, 0700) != 0) return base::fail_errno("make /" + path);
      SANDLOT_TRY(auto target, base::open_at(into, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
      return fill(std::move(source), target.get(), path, depth + 1);
    }
    if (info.st_nlink > 1 && link_known(info, into, name)) return {};
    if (link_unchanged(info, into, name)) {
      ++report_.files;
      remember(info, path);
      return {};
    }
    SANDLOT_TRY(bool made, make(from, into, name, info, path));
    if (!made) return {};
    ++report_.files;
    remember(info, path);
    SANDLOT_CHECK(finish(info, {from, into, name}, path));
    if (info.st_nlink > 1) first_of_links_[info.st_ino] = std::move(path);
    return {};
  }

  // False for what is left out.
  Result<bool> make(
      int from, int into, const char* name, const struct stat& info, const std::string& path) {
    switch (info.st_mode & S_IFMT) {
      case S_IFREG:
        SANDLOT_CHECK(copy_file(from, into, name, info, path));
        return true;
      case S_IFLNK:
        SANDLOT_CHECK(copy_symlink(from, into, name, info, path));
        return true;
      case S_IFIFO:
        if (::mkfifoat(into, name, 0600) != 0) return base::fail_errno("make /" + path);
        return true;
      case S_IFCHR:  // device 0:0 is a whiteout; no other can come from inside
        if (info.st_rdev != 0) return false;
        if (::mknodat(into, name, S_IFCHR, 0) != 0) return base::fail_errno("make /" + path);
        return true;
      default:
        return false;
    }
  }

  bool link_known(const struct stat& info, int into, const char* name) {
    auto known = first_of_links_.find(info.st_ino);
    if (known == first_of_links_.end()) return false;
    // A path that is too long, or a file with too many names already: a copy instead.
    return ::linkat(root_.get(), known->second.c_str(), into, name, 0) == 0;
  }

  // Whether a change from now on can be told from the file's ctime, whose clock has ticks.
  bool is_traceable(const struct stat& info) const {
    constexpr std::int64_t kTick = 50'000'000;
    std::int64_t age = (start_.tv_sec - info.st_ctim.tv_sec) * 1'000'000'000 +
                       (start_.tv_nsec - info.st_ctim.tv_nsec);
    return S_ISREG(info.st_mode) && info.st_nlink == 1 && info.st_size >= kWorthALink &&
           !can_share_ && next_.captures > 1 && age > kTick;
  }

  void remember(const struct stat& info, const std::string& path) {
    if (is_traceable(info)) next_.files[info.st_ino] = {info.st_size, info.st_ctim, path};
  }

  bool link_unchanged(const struct stat& info, int into, const char* name) {
    if (!is_traceable(info)) return false;
    auto known = last_.files.find(info.st_ino);
    if (known == last_.files.end()) return false;
    const CaptureHistory::File& file = known->second;
    if (file.size != info.st_size || file.changed.tv_sec != info.st_ctim.tv_sec ||
        file.changed.tv_nsec != info.st_ctim.tv_nsec) {
      return false;
    }
    // It may be gone with its snapshot, or have too many names: a copy instead.
    if (::linkat(last_.layer.get(), file.path.c_str(), into, name, 0) != 0) return false;
    report_.shared_bytes += static_cast<std::uint64_t>(info.st_size);
    return true;
  }

  static Result<> copy_symlink(
      int from, int into, const char* name, const struct stat& info, const std::string& path) {
    std::string target(static_cast<std::size_t>(info.st_size) + 1, '\0');
    ssize_t size = ::readlinkat(from, name, target.data(), target.size());
    if (size < 0) return base::fail_errno("read /" + path);
    target.resize(static_cast<std::size_t>(size));
    if (::symlinkat(target.c_str(), into, name) != 0) return base::fail_errno("make /" + path);
    return {};
  }

  Result<> copy_file(
      int from, int into, const char* name, const struct stat& info, const std::string& path) {
    SANDLOT_TRY(auto source, base::open_at(from, name, O_RDONLY | O_NOFOLLOW));
    SANDLOT_TRY(auto target,
                base::open_at(into, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600));
    if (info.st_size == 0) return {};
    auto size = static_cast<std::uint64_t>(info.st_size);
    if (can_share_ && ::ioctl(target.get(), FICLONE, source.get()) == 0) {
      report_.shared_bytes += size;
      return {};
    }
    if (can_share_ && !is_unsupported(errno)) return base::fail_errno("share /" + path);
    can_share_ = false;
    if (is_traceable(info) && ::fdatasync(source.get()) != 0) {
      return base::fail_errno("write out /" + path);
    }
    auto copied = copy_data(source.get(), target.get(), info.st_size);
    if (!copied) return base::fail(std::move(copied).error().context("copy /" + path));
    return {};
  }

  // Only what is there: holes stay holes.
  Result<> copy_data(int source, int target, off_t size) {
    if (::ftruncate(target, size) != 0) return base::fail_errno("set size");
    for (off_t at = 0; at < size;) {
      off_t data = ::lseek(source, at, SEEK_DATA);
      if (data < 0 && errno == ENXIO) break;  // a hole up to the end
      off_t hole = data < 0 ? size : ::lseek(source, data, SEEK_HOLE);
      if (data < 0) data = at;
      if (hole < 0 || hole > size) hole = size;
      if (hole <= data) break;
      SANDLOT_CHECK(copy_range(source, target, data, hole));
      report_.copied_bytes += static_cast<std::uint64_t>(hole - data);
      at = hole;
    }
    return {};
  }

  Result<> copy_range(int source, int target, off_t from, off_t to) {
    off_t in = from;
    off_t out = from;
    while (in < to && can_copy_range_) {
      ssize_t count =
          ::copy_file_range(source, &in, target, &out, static_cast<std::size_t>(to - in), 0);
      if (count > 0) continue;
      if (count == 0) return {};  // the file has become shorter
      if (errno == EINTR) continue;
      if (!is_unsupported(errno)) return base::fail_errno("write");
      can_copy_range_ = false;
    }
    while (in < to) {
      if (!buffer_) buffer_ = std::make_unique<char[]>(kBuffer);
      auto wanted = std::min<std::size_t>(kBuffer, static_cast<std::size_t>(to - in));
      ssize_t count = ::pread(source, buffer_.get(), wanted, in);
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) return base::fail_errno("read");
      if (count == 0) return {};
      for (ssize_t done = 0; done < count;) {
        ssize_t written = ::pwrite(target, buffer_.get() + done,
                                   static_cast<std::size_t>(count - done), in + done);
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return base::fail_errno("write");
        done += written;
      }
      in += count;
    }
    return {};
  }

  Result<> finish(const struct stat& info, const EntryPair& entry, const std::string& path) {
    auto done = copy_attributes(info, entry, ids_);
    if (!done) return base::fail(std::move(done).error().context("/" + path));
    return {};
  }

  static constexpr std::size_t kBuffer = 1U << 20U;
  static constexpr off_t kWorthALink = 16 << 10;

  IdRange ids_;
  CaptureReport& report_;
  const CaptureHistory& last_;
  CaptureHistory next_;
  timespec start_{};
  UniqueFd root_;
  bool can_share_;
  bool can_copy_range_ = true;
  std::unique_ptr<char[]> buffer_;
  // Inode number in the source -> path in the target of its first name.
  std::unordered_map<ino_t, std::string> first_of_links_;
};

}  // namespace

Result<> capture_layer(const fs::path& source,
                       const fs::path& target,
                       IdRange ids,
                       CaptureReport& report,
                       CaptureHistory& history) {
  Capture capture(ids, report, history);
  SANDLOT_CHECK(capture.run(source, target));
  history = std::move(capture).history();
  return {};
}

}  // namespace namespaces
