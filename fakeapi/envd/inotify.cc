#include "fakeapi/envd/inotify.h"

#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <array>
#include <cstring>

namespace fakeapi::envd {

namespace {

constexpr std::size_t kReadSize = 16U << 10U;
constexpr std::uint32_t kReported = IN_CREATE | IN_MOVED_TO | IN_MODIFY | IN_DELETE |
                                    IN_DELETE_SELF | IN_MOVED_FROM | IN_MOVE_SELF | IN_ATTRIB;

}  // namespace

base::Result<Inotify> Inotify::open() {
  base::UniqueFd fd(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
  if (!fd) return base::fail_errno("inotify_init1");
  return Inotify(std::move(fd));
}

base::Result<int> Inotify::add_directory(const std::string& path, Link link) {
  std::uint32_t mask = kReported | IN_ONLYDIR;
  if (link == Link::kRefuse) mask |= IN_DONT_FOLLOW;
  int watch = ::inotify_add_watch(fd_.get(), path.c_str(), mask);
  if (watch < 0) return base::fail_errno("inotify_add_watch " + path);
  return watch;
}

void Inotify::remove(int watch) {
  ::inotify_rm_watch(fd_.get(), watch);
}

base::Result<std::size_t> Inotify::read(const std::function<void(const InotifyRecord&)>& visit) {
  alignas(inotify_event) std::array<char, kReadSize> buffer;  // NOLINT: the kernel fills it
  ssize_t count = 0;
  do {
    count = ::read(fd_.get(), buffer.data(), buffer.size());
  } while (count < 0 && errno == EINTR);
  if (count < 0 && errno == EAGAIN) return std::size_t{0};
  if (count < 0) return base::fail_errno("read inotify");
  auto size = static_cast<std::size_t>(count);
  for (std::size_t at = 0; at + sizeof(inotify_event) <= size;) {
    inotify_event event{};
    std::memcpy(&event, buffer.data() + at, sizeof(event));
    InotifyRecord record;
    record.watch = event.wd;
    record.mask = event.mask;
    record.cookie = event.cookie;
    // Padded with NUL bytes.
    const char* name = buffer.data() + at + sizeof(event);
    record.name = std::string_view(name, ::strnlen(name, event.len));
    at += sizeof(event) + event.len;
    visit(record);
  }
  return size;
}

std::size_t Inotify::waiting() const {
  int bytes = 0;
  if (::ioctl(fd_.get(), FIONREAD, &bytes) != 0 || bytes < 0) return 0;
  return static_cast<std::size_t>(bytes);
}

}  // namespace fakeapi::envd
