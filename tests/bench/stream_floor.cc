// sandlot_stream_floor BYTES: the floor of a command's standard output through the daemon. Starts
// `head -c BYTES /dev/zero`, reads its pipe in pieces of 32 KiB, makes of each the base64 text and
// the frame that a Start stream carries, and writes that to a Unix socket pair whose other end a
// child process reads to the end: all the work of the daemon in one thread, without HTTP, network
// or subscribers. Prints the seconds from the start of head until the reader has seen everything.
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

#include "fakeapi/envd/base64.h"

#include <spawn.h>
#include <time.h>

extern char** environ;  // NOLINT(readability-redundant-declaration)

namespace {

constexpr std::size_t kPiece = 32U << 10U;
constexpr std::string_view kBefore = R"({"event":{"data":{"stdout":")";
constexpr std::string_view kAfter = R"("}}})";

double now() {
  timespec time{};
  ::clock_gettime(CLOCK_MONOTONIC, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

bool write_all(int fd, std::string_view data) {
  while (!data.empty()) {
    ssize_t count = ::write(fd, data.data(), data.size());
    if (count <= 0) return false;
    data.remove_prefix(static_cast<std::size_t>(count));
  }
  return true;
}

// The client: reads and forgets.
[[noreturn]] void drain(int fd) {
  static std::array<char, 1U << 20U> sink;
  while (::read(fd, sink.data(), sink.size()) > 0) {
  }
  ::_exit(0);
}

pid_t start_head(const char* bytes, int out) {
  char head[] = "/usr/bin/head";
  char option[] = "-c";
  char zero[] = "/dev/zero";
  std::array<char*, 5> argv = {head, option, const_cast<char*>(bytes), zero, nullptr};
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, out, 1);
  pid_t child = -1;
  if (::posix_spawn(&child, head, &actions, nullptr, argv.data(), environ) != 0) child = -1;
  ::posix_spawn_file_actions_destroy(&actions);
  return child;
}

// One piece as a frame: flags, length, JSON.
void append_frame(std::string& out, std::string_view piece) {
  std::string text = fakeapi::envd::base64_encode(piece);
  auto size = static_cast<std::uint32_t>(kBefore.size() + text.size() + kAfter.size());
  out.push_back(0);
  for (unsigned shift : {24U, 16U, 8U, 0U}) out.push_back(static_cast<char>(size >> shift & 0xffU));
  out.append(kBefore).append(text).append(kAfter);
}

bool pump(int in, int out) {
  static std::array<char, kPiece> piece;
  std::string frame;
  for (;;) {
    ssize_t count = ::read(in, piece.data(), piece.size());
    if (count <= 0) return count == 0;
    frame.clear();
    append_frame(frame, {piece.data(), static_cast<std::size_t>(count)});
    if (!write_all(out, frame)) return false;
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  std::array<int, 2> pipe{};
  std::array<int, 2> pair{};
  if (::pipe(pipe.data()) != 0 || ::socketpair(AF_UNIX, SOCK_STREAM, 0, pair.data()) != 0) return 1;
  pid_t reader = ::fork();
  if (reader < 0) return 1;
  if (reader == 0) {
    ::close(pair[0]);
    ::close(pipe[1]);
    drain(pair[1]);
  }
  ::close(pair[1]);
  double begin = now();
  pid_t head = start_head(argv[1], pipe[1]);
  ::close(pipe[1]);
  if (head < 0 || !pump(pipe[0], pair[0])) return 1;
  ::close(pair[0]);
  ::waitpid(reader, nullptr, 0);
  ::waitpid(head, nullptr, 0);
  std::printf("%.6f\n", now() - begin);
  return 0;
}
