// System calls as Results; EINTR is handled here and nowhere else. Everything opens with O_CLOEXEC.
// Blocking.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "emulator/base/result.h"
#include "emulator/base/unique_fd.h"

namespace base {

// open(2) with O_CLOEXEC added. The error names the path.
Result<UniqueFd> open_file(const std::filesystem::path& path, int flags, mode_t mode = 0644);
// Opens relative to a directory descriptor.
Result<UniqueFd> open_at(int dir_fd, const std::string& path, int flags, mode_t mode = 0644);

// The whole file; procfs files (size 0) included. kTooLarge over `limit` bytes.
Result<std::string> read_file(const std::filesystem::path& path, std::size_t limit = 64U << 20U);
// Creates or truncates; one write(2) where the kernel takes it in one.
Result<> write_file(const std::filesystem::path& path, std::string_view text, mode_t mode = 0644);
// Writes to an existing file in one write(2), as procfs, sysfs and cgroup files want it.
Result<> write_control(const std::filesystem::path& path, std::string_view text);

Result<> write_all(int fd, std::string_view bytes);
// 0 = end of file.
Result<std::size_t> read_some(int fd, std::span<char> into);

// {read end, write end}, both O_CLOEXEC.
Result<std::pair<UniqueFd, UniqueFd>> make_pipe(int flags = 0);
// A connected pair of AF_UNIX sockets of `type` (SOCK_SEQPACKET, SOCK_STREAM).
Result<std::pair<UniqueFd, UniqueFd>> make_socketpair(int type);

// For TCP whose both ends are on this machine: nothing gets lost there, so nothing needs pacing.
// Where BBR is the machine's default, loopback costs twice the time with it. What a listener
// accepts has it too.
void use_local_congestion_control(int socket);

// Sends one message with descriptors attached (SCM_RIGHTS, at most 32); blocking.
Result<> send_with_fds(int socket, std::string_view message, std::span<const int> fds);
struct Received {
  std::string message;  // empty = end of file
  std::vector<UniqueFd> fds;
};
Result<Received> receive_with_fds(int socket, std::size_t limit = 256U << 10U);

// mkdir -p; existing directories are left as they are.
Result<> make_directories(const std::filesystem::path& path, mode_t mode = 0755);

}  // namespace base
