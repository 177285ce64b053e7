#include "fakeapi/envd/entry_info.h"

#include <sys/stat.h>

#include <cstdlib>

#include "fakeapi/envd/exit_words.h"
#include "fakeapi/envd/file_metadata.h"
#include "fakeapi/envd/path_resolution.h"
#include "fakeapi/http/json_text.h"

namespace fakeapi::envd {

namespace {

constexpr mode_t kPermissionBits = 0777;

::filesystem::FileType type_of(mode_t mode) {
  if (S_ISREG(mode)) return ::filesystem::FILE_TYPE_FILE;
  if (S_ISDIR(mode)) return ::filesystem::FILE_TYPE_DIRECTORY;
  return ::filesystem::FILE_TYPE_UNSPECIFIED;
}

std::string real_path(const std::string& path) {
  char* resolved = ::realpath(path.c_str(), nullptr);
  if (resolved == nullptr) return path;
  std::string out = resolved;
  std::free(resolved);  // NOLINT(cppcoreguidelines-no-malloc): realpath's contract
  return out;
}

}  // namespace

std::string file_mode_text(mode_t mode) {
  std::string text;
  if (S_ISDIR(mode)) text.push_back('d');
  if (S_ISLNK(mode)) text.push_back('L');
  if (S_ISBLK(mode) || S_ISCHR(mode)) text.push_back('D');
  if (S_ISFIFO(mode)) text.push_back('p');
  if (S_ISSOCK(mode)) text.push_back('S');
  if ((mode & S_ISUID) != 0) text.push_back('u');
  if ((mode & S_ISGID) != 0) text.push_back('g');
  if (S_ISCHR(mode)) text.push_back('c');
  if ((mode & S_ISVTX) != 0) text.push_back('t');
  if (text.empty()) text.push_back('-');
  constexpr std::string_view kLetters = "rwxrwxrwx";
  for (std::size_t i = 0; i < kLetters.size(); ++i) {
    text.push_back((mode & (0400U >> i)) != 0 ? kLetters[i] : '-');
  }
  return text;
}

base::Result<::filesystem::EntryInfo> entry_info(const std::string& path, UserDatabase& users) {
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0) {
    int error = errno;
    base::Error failure = base::os_error("lstat " + path, error);
    return base::fail(
        base::Error(failure.code(), "lstat " + path + ": " + errno_words(error), error));
  }
  ::filesystem::EntryInfo entry;
  entry.set_name(http::valid_utf8(base_name(path)));
  entry.set_path(http::valid_utf8(path));
  entry.set_size(info.st_size);
  entry.set_permissions(file_mode_text(info.st_mode));
  entry.set_owner(users.user_name(info.st_uid));
  entry.set_group(users.group_name(info.st_gid));
  entry.mutable_modified_time()->set_seconds(info.st_mtim.tv_sec);
  entry.mutable_modified_time()->set_nanos(static_cast<int>(info.st_mtim.tv_nsec));
  if (S_ISLNK(info.st_mode)) {
    // The type and the bits are the target's; of a broken link there are none.
    struct stat target {};
    if (::stat(path.c_str(), &target) == 0) {
      entry.set_type(type_of(target.st_mode));
      entry.set_mode(target.st_mode & kPermissionBits);
      entry.set_symlink_target(http::valid_utf8(real_path(path)));
    } else {
      entry.set_symlink_target(http::valid_utf8(path));
    }
  } else {
    entry.set_type(type_of(info.st_mode));
    entry.set_mode(info.st_mode & kPermissionBits);
  }
  for (auto& [key, value] : read_metadata(path)) (*entry.mutable_metadata())[key] = value;
  return entry;
}

}  // namespace fakeapi::envd
