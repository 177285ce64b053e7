// sandbox_probe PORT [NAME]: a tiny static program that the benchmark writes into a sandbox and
// starts there. A keep-alive HTTP server on one thread (one epoll loop), bound to 127.0.0.1:
//
//   GET /exec      vfork + exec + wait of `/bin/bash -l -c true`, the floor of
//   commands.run('true'); the body is
//                  how long that took, in microseconds
//   anything else  13 bytes
//
// NAME is not read: it makes the process findable from outside.
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include <spawn.h>
#include <time.h>

extern char** environ;  // NOLINT(readability-redundant-declaration)

namespace {

constexpr std::string_view kHello =
    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n\r\nHello, world\n";

double run_login_shell() {
  char shell[] = "/bin/bash";
  char login[] = "-l";
  char option[] = "-c";
  char script[] = "true";
  std::array<char*, 5> argv = {shell, login, option, script, nullptr};
  timespec begin{};
  timespec end{};
  ::clock_gettime(CLOCK_MONOTONIC, &begin);
  pid_t child = -1;
  int status = -1;
  if (::posix_spawn(&child, shell, nullptr, nullptr, argv.data(), environ) != 0) return -1;
  ::waitpid(child, &status, 0);
  ::clock_gettime(CLOCK_MONOTONIC, &end);
  if (status != 0) return -1;
  return static_cast<double>(end.tv_sec - begin.tv_sec) * 1e6 +
         static_cast<double>(end.tv_nsec - begin.tv_nsec) / 1e3;
}

void answer_exec(int client) {
  std::array<char, 64> body{};
  std::array<char, 160> wire{};
  int size = std::snprintf(body.data(), body.size(), "%.1f\n", run_login_shell());
  int total = std::snprintf(wire.data(), wire.size(),
                            "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", size, body.data());
  if (::write(client, wire.data(), static_cast<std::size_t>(total)) < 0) ::close(client);
}

// Requests without a body, each whole in one read: enough for this benchmark's clients.
void serve_client(int client) {
  std::array<char, 65536> buffer{};
  ssize_t size = ::read(client, buffer.data(), buffer.size());
  if (size < 0 && errno == EAGAIN) return;
  if (size <= 0) {
    ::close(client);
    return;
  }
  std::string_view text(buffer.data(), static_cast<std::size_t>(size));
  for (std::size_t end = text.find("\r\n\r\n"); end != std::string_view::npos;
       end = text.find("\r\n\r\n")) {
    if (text.starts_with("GET /exec")) {
      answer_exec(client);
    } else if (::write(client, kHello.data(), kHello.size()) < 0) {
      ::close(client);
      return;
    }
    text.remove_prefix(end + 4);
  }
}

int listen_on(int port) {
  int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  int on = 1;
  ::setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<in_port_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) return -1;
  return ::listen(listener, 512) == 0 ? listener : -1;
}

}  // namespace

int main(int argc, char** argv) {
  ::signal(SIGPIPE, SIG_IGN);
  int listener = argc > 1 ? listen_on(std::atoi(argv[1])) : -1;
  if (listener < 0) {
    std::perror("sandbox_probe");
    return 1;
  }
  int poller = ::epoll_create1(EPOLL_CLOEXEC);
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = listener;
  ::epoll_ctl(poller, EPOLL_CTL_ADD, listener, &event);
  std::puts("listening");
  std::fflush(stdout);
  std::array<epoll_event, 64> events{};
  for (;;) {
    int count = ::epoll_wait(poller, events.data(), static_cast<int>(events.size()), -1);
    for (int i = 0; i < count; ++i) {
      int fd = events[static_cast<std::size_t>(i)].data.fd;
      if (fd != listener) {
        serve_client(fd);
        continue;
      }
      int client = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
      if (client < 0) continue;
      event.data.fd = client;
      ::epoll_ctl(poller, EPOLL_CTL_ADD, client, &event);
    }
  }
}
