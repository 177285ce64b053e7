#include "fakeapi/envd/file_sink.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "emulator/base/posix.h"
#include "fakeapi/envd/directory_tree.h"
#include "fakeapi/envd/exit_words.h"
#include "fakeapi/envd/path_resolution.h"

namespace fakeapi::envd {

namespace {

constexpr std::size_t kFirstBuffer = 64U << 10U;
constexpr std::size_t kLargestBuffer = 1U << 20U;

tl::unexpected<HttpError> failure(int status, std::string message) {
  HttpError error;
  error.status = status;
  error.message = std::move(message);
  return tl::unexpected<HttpError>(std::move(error));
}

bool is_full(int error) {
  return error == ENOSPC || error == EDQUOT;
}

}  // namespace

tl::unexpected<HttpError> FileSink::write_error(int error) const {
  if (!is_full(error)) return failure(500, "error writing file: " + errno_words(error));
  // Of the file system, not of the parent: that may be what could not be made.
  struct statvfs space {};
  std::string place = parent_path(path_);
  while (::statvfs(place.c_str(), &space) != 0 && errno == ENOENT && place.size() > 1) {
    place = parent_path(place);
  }
  if (space.f_files > 0 && space.f_ffree == 0 && space.f_bavail > 0) {
    return failure(507, "not enough inodes available: " + errno_words(error));
  }
  std::string prefix;
  if (expected_bytes_)
    prefix = "attempted to write " + std::to_string(*expected_bytes_) + " bytes: ";
  return failure(507, prefix + "not enough disk space available");
}

tl::expected<FileSink, HttpError> FileSink::open(const std::string& path,
                                                 const User& user,
                                                 std::optional<std::uint64_t> expected_bytes) {
  FileSink sink;
  sink.path_ = path;
  sink.expected_bytes_ = expected_bytes;
  auto parents = ensure_directories(parent_path(path), user.uid, user.gid);
  if (!parents) {
    if (is_full(parents.error().os_errno())) return sink.write_error(parents.error().os_errno());
    return failure(500, "error ensuring directories: " + parents.error().message());
  }
  struct stat info {};
  bool existed = ::stat(path.c_str(), &info) == 0;
  if (!existed && errno != ENOENT) {
    return failure(500, "error getting file info: stat " + path + ": " + errno_words(errno));
  }
  if (existed && S_ISDIR(info.st_mode)) return failure(400, "path is a directory: " + path);
  if (existed && ::chown(path.c_str(), user.uid, user.gid) != 0) {
    if (is_full(errno)) return sink.write_error(errno);
    return failure(500, "error changing file ownership: chown " + path + ": " + errno_words(errno));
  }
  // Not blocking: a fifo without a reader must not stop the only thread there is.
  int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NONBLOCK, 0666);
  if (fd < 0) {
    if (is_full(errno)) return sink.write_error(errno);
    return failure(500, "error opening file: open " + path + ": " + errno_words(errno));
  }
  sink.fd_.reset(fd);
  if (!existed && ::fchown(fd, user.uid, user.gid) != 0) {
    if (is_full(errno)) return sink.write_error(errno);
    return failure(500, "error changing file ownership: chown " + path + ": " + errno_words(errno));
  }
  return sink;
}

std::span<char> FileSink::space() {
  if (used_ == buffer_.size()) {
    // Grows only when it is used: most uploads are small.
    buffer_.resize(std::clamp(buffer_.size() * 2, kFirstBuffer, kLargestBuffer));
  }
  return std::span(buffer_).subspan(used_);
}

tl::expected<void, HttpError> FileSink::commit(std::size_t count) {
  used_ += count;
  if (used_ < kLargestBuffer) return {};
  return flush();
}

tl::expected<void, HttpError> FileSink::write(std::string_view bytes) {
  while (!bytes.empty()) {
    std::span<char> room = space();
    std::size_t count = std::min(room.size(), bytes.size());
    std::memcpy(room.data(), bytes.data(), count);
    bytes.remove_prefix(count);
    auto committed = commit(count);
    if (!committed) return committed;
  }
  return {};
}

tl::expected<void, HttpError> FileSink::flush() {
  if (used_ == 0) return {};
  auto written = base::write_all(fd_.get(), std::string_view(buffer_).substr(0, used_));
  used_ = 0;
  if (!written) return write_error(written.error().os_errno());
  return {};
}

tl::expected<void, HttpError> FileSink::finish(const Metadata& metadata) {
  auto flushed = flush();
  if (!flushed) return flushed;
  auto replaced = replace_metadata(fd_.get(), metadata);
  if (replaced) return {};
  if (is_full(replaced.error().os_errno())) return write_error(replaced.error().os_errno());
  return failure(500, "error setting metadata: " + replaced.error().message());
}

}  // namespace fakeapi::envd
