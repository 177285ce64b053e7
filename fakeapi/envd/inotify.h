// The owner of one inotify descriptor and of the watches on it (contract-envd 3.1). Used by
// watch_tree and directory_watch. Knows no paths beyond the call that adds one, and no events of
// the API.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "emulator/base/result.h"
#include "emulator/base/unique_fd.h"

namespace fakeapi::envd {

// One record as the kernel wrote it. `name` is empty for events on the watched directory itself.
struct InotifyRecord {
  int watch = -1;
  std::uint32_t mask = 0;
  std::uint32_t cookie = 0;  // joins the two halves of a rename
  std::string_view name;
};

class Inotify {
 public:
  // Non-blocking. The errno says which limit was met (EMFILE: instances of this user).
  static base::Result<Inotify> open();

  enum class Link { kFollow, kRefuse };  // a symlink as the last part of the path
  // Watches a directory for everything that is reported. Adding one that is watched already gives
  // its number again. The error carries the errno.
  base::Result<int> add_directory(const std::string& path, Link link);
  // A watch that is gone already is no error.
  void remove(int watch);

  // Hands over what one read(2) brings, oldest first: the bytes read, 0 when nothing waits.
  base::Result<std::size_t> read(const std::function<void(const InotifyRecord&)>& visit);
  // Bytes that wait in the kernel's queue.
  std::size_t waiting() const;

  int fd() const { return fd_.get(); }
  // All watches end.
  void close() { fd_.reset(); }

 private:
  explicit Inotify(base::UniqueFd fd) : fd_(std::move(fd)) {}
  base::UniqueFd fd_;
};

}  // namespace fakeapi::envd
