#include "emulator/base/posix.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstring>

namespace base {

namespace {

template <class F>
auto retry(F call) {
  for (;;) {
    auto result = call();
    if (result >= 0 || errno != EINTR) return result;
  }
}

constexpr std::size_t kMaxFds = 32;

}  // namespace

Result<UniqueFd> open_file(const std::filesystem::path& path, int flags, mode_t mode) {
  int fd = retry([&] { return ::open(path.c_str(), flags | O_CLOEXEC, mode); });
  if (fd < 0) return fail_errno("open " + path.string());
  return UniqueFd(fd);
}

Result<UniqueFd> open_at(int dir_fd, const std::string& path, int flags, mode_t mode) {
  int fd = retry([&] { return ::openat(dir_fd, path.c_str(), flags | O_CLOEXEC, mode); });
  if (fd < 0) return fail_errno("open " + path);
  return UniqueFd(fd);
}

Result<std::string> read_file(const std::filesystem::path& path, std::size_t limit) {
  SANDLOT_TRY(auto fd, open_file(path, O_RDONLY));
  std::string text;
  std::array<char, 16384> buffer;  // NOLINT(cppcoreguidelines-pro-type-member-init)
  for (;;) {
    SANDLOT_TRY(auto count, read_some(fd.get(), buffer));
    if (count == 0) return text;
    if (text.size() + count > limit) return fail(Errc::kTooLarge, path.string() + " is too large");
    text.append(buffer.data(), count);
  }
}

Result<> write_file(const std::filesystem::path& path, std::string_view text, mode_t mode) {
  SANDLOT_TRY(auto fd, open_file(path, O_WRONLY | O_CREAT | O_TRUNC, mode));
  auto written = write_all(fd.get(), text);
  if (!written) return fail(std::move(written).error().context(path.string()));
  return {};
}

Result<> write_control(const std::filesystem::path& path, std::string_view text) {
  SANDLOT_TRY(auto fd, open_file(path, O_WRONLY));
  auto count = retry([&] { return ::write(fd.get(), text.data(), text.size()); });
  if (count < 0) return fail_errno("write " + path.string());
  return {};
}

Result<> write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    auto count = retry([&] { return ::write(fd, bytes.data(), bytes.size()); });
    if (count < 0) return fail_errno("write");
    bytes.remove_prefix(static_cast<std::size_t>(count));
  }
  return {};
}

Result<std::size_t> read_some(int fd, std::span<char> into) {
  auto count = retry([&] { return ::read(fd, into.data(), into.size()); });
  if (count < 0) return fail_errno("read");
  return static_cast<std::size_t>(count);
}

Result<std::pair<UniqueFd, UniqueFd>> make_pipe(int flags) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), flags | O_CLOEXEC) != 0) return fail_errno("pipe");
  return std::pair(UniqueFd(ends[0]), UniqueFd(ends[1]));
}

Result<std::pair<UniqueFd, UniqueFd>> make_socketpair(int type) {
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends.data()) != 0) {
    return fail_errno("socketpair");
  }
  return std::pair(UniqueFd(ends[0]), UniqueFd(ends[1]));
}

void use_local_congestion_control(int socket) {
  constexpr std::string_view kName = "reno";  // the one that every kernel has and everybody may use
  (void)::setsockopt(socket, IPPROTO_TCP, TCP_CONGESTION, kName.data(), kName.size());
}

Result<> send_with_fds(int socket, std::string_view message, std::span<const int> fds) {
  if (fds.size() > kMaxFds)
    return fail(Errc::kInvalidArgument, "too many descriptors in a message");
  iovec part{const_cast<char*>(message.data()), message.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int) * kMaxFds)> control{};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  if (!fds.empty()) {
    header.msg_control = control.data();
    header.msg_controllen = CMSG_SPACE(fds.size_bytes());
    cmsghdr* rights = CMSG_FIRSTHDR(&header);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(fds.size_bytes());
    std::memcpy(CMSG_DATA(rights), fds.data(), fds.size_bytes());
  }
  auto sent = retry([&] { return ::sendmsg(socket, &header, MSG_NOSIGNAL); });
  if (sent < 0) return fail_errno("sendmsg");
  return {};
}

Result<Received> receive_with_fds(int socket, std::size_t limit) {
  Received received;
  received.message.resize(limit);
  iovec part{received.message.data(), limit};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int) * kMaxFds)> control{};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  header.msg_control = control.data();
  header.msg_controllen = control.size();
  auto count = retry([&] { return ::recvmsg(socket, &header, MSG_CMSG_CLOEXEC); });
  if (count < 0) return fail_errno("recvmsg");
  for (cmsghdr* item = CMSG_FIRSTHDR(&header); item != nullptr; item = CMSG_NXTHDR(&header, item)) {
    if (item->cmsg_level != SOL_SOCKET || item->cmsg_type != SCM_RIGHTS) continue;
    std::size_t size = item->cmsg_len - CMSG_LEN(0);
    std::vector<int> fds(size / sizeof(int));
    std::memcpy(fds.data(), CMSG_DATA(item), fds.size() * sizeof(int));
    for (int fd : fds) received.fds.emplace_back(fd);
  }
  if ((header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) {
    return fail(Errc::kTooLarge, "recvmsg: message truncated");
  }
  received.message.resize(static_cast<std::size_t>(count));
  return received;
}

Result<> make_directories(const std::filesystem::path& path, mode_t mode) {
  if (::mkdir(path.c_str(), mode) == 0 || errno == EEXIST) return {};
  if (errno != ENOENT || !path.has_relative_path()) return fail_errno("mkdir " + path.string());
  SANDLOT_CHECK(make_directories(path.parent_path(), mode));
  if (::mkdir(path.c_str(), mode) == 0 || errno == EEXIST) return {};
  return fail_errno("mkdir " + path.string());
}

}  // namespace base
