#include "tests/namespaces/test_agent.h"

#include <grp.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

namespace namespaces_test {

namespace {

std::string run(unsigned uid, const std::string& command) {
  int ends[2];
  if (::pipe(ends) != 0) return "255\npipe";
  pid_t child = ::fork();
  if (child == 0) {
    ::dup2(ends[1], 1);
    ::dup2(ends[1], 2);
    ::close(ends[0]);
    ::close(ends[1]);
    if (::setgroups(0, nullptr) != 0 || ::setgid(uid) != 0 || ::setuid(uid) != 0) ::_exit(254);
    const char* environment[] = {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin", nullptr};
    ::execle("/bin/sh", "sh", "-c", command.c_str(), nullptr, environment);
    ::_exit(127);
  }
  ::close(ends[1]);
  std::string output;
  char buffer[4096];
  for (;;) {
    ssize_t count = ::read(ends[0], buffer, sizeof buffer);
    if (count <= 0) break;
    if (output.size() < 100000) output.append(buffer, static_cast<std::size_t>(count));
  }
  ::close(ends[0]);
  int status = 0;
  ::waitpid(child, &status, 0);
  int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  while (::waitpid(-1, nullptr, WNOHANG) > 0) {
  }
  return std::to_string(code) + "\n" + output;
}

}  // namespace

int test_agent(int control_fd, int /*oom_score_fd*/) {
  ::send(control_fd, "ready", 5, MSG_NOSIGNAL);
  std::string buffer(65536, '\0');
  for (;;) {
    ssize_t count = ::recv(control_fd, buffer.data(), buffer.size(), 0);
    if (count <= 0) return 0;
    std::string request = buffer.substr(0, static_cast<std::size_t>(count));
    auto space = request.find(' ');
    auto uid = static_cast<unsigned>(std::atoi(request.c_str()));
    std::string answer = run(uid, request.substr(space + 1));
    ::send(control_fd, answer.data(), answer.size(), MSG_NOSIGNAL);
  }
}

}  // namespace namespaces_test
