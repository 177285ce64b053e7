#include "emulator/cli/name_check.h"

#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include <netdb.h>

namespace emulator::cli {

bool names_resolve(const std::string& domain, std::chrono::seconds limit) {
  const std::string name = "3000-isandlotnamecheck0000." + domain;
  const pid_t pid = ::fork();
  if (pid < 0) return false;
  if (pid == 0) {
    ::signal(SIGALRM, SIG_DFL);
    ::alarm(static_cast<unsigned>(limit.count()));
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    ::_exit(::getaddrinfo(name.c_str(), nullptr, &hints, &found) == 0 ? 0 : 1);
  }
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

}  // namespace emulator::cli
