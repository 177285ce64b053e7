#include "namespaces/spawn_client.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>

#include <charconv>
#include <cstring>
#include <span>
#include <string_view>

#include "emulator/base/posix.h"
#include "namespaces/spawn_protocol.h"

#include <spawn.h>

namespace namespaces {

namespace {

using base::Errc;
using base::Result;
using base::UniqueFd;

constexpr timeval kAnswerLimit{10, 0};

// A copy of this binary that nobody can write to: /proc/1/exe of a sandbox leads here at most
// (CVE-2019-5736).
Result<UniqueFd> copy_of_this_binary() {
  SANDLOT_TRY(auto source, base::open_file("/proc/self/exe", O_RDONLY));
  struct stat info {};
  if (::fstat(source.get(), &info) != 0) return base::fail_errno("stat binary");
  UniqueFd copy(::memfd_create("sandlot", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!copy) return base::fail_errno("memfd_create");
  off_t left = info.st_size;
  while (left > 0) {
    ssize_t count = ::sendfile(copy.get(), source.get(), nullptr, static_cast<std::size_t>(left));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return base::fail_errno("copy binary");
    left -= count;
  }
  if (::fchmod(copy.get(), 0555) != 0) return base::fail_errno("chmod binary copy");
  int seals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
  if (::fcntl(copy.get(), F_ADD_SEALS, seals) != 0) return base::fail_errno("seal binary copy");
  return copy;
}

class FileActions {
 public:
  FileActions() { ::posix_spawn_file_actions_init(&actions_); }
  FileActions(const FileActions&) = delete;
  FileActions& operator=(const FileActions&) = delete;
  ~FileActions() { ::posix_spawn_file_actions_destroy(&actions_); }
  posix_spawn_file_actions_t* get() { return &actions_; }

 private:
  posix_spawn_file_actions_t actions_{};
};

// posix_spawn shares the memory until the exec: nothing is copied, however large this process is.
Result<pid_t> spawn_process(int binary, int socket) {
  FileActions actions;
  int code = ::posix_spawn_file_actions_adddup2(actions.get(), socket, kSpawnerSocket);
  if (code != 0) return base::fail(base::os_error("spawner descriptors", code));
  std::string path = "/proc/self/fd/" + std::to_string(binary);
  std::string name = "sandlot";
  std::string role = kSpawnerRole;
  char* arguments[] = {name.data(), role.data(), nullptr};
  char* environment[] = {nullptr};
  pid_t pid = -1;
  code = ::posix_spawn(&pid, path.c_str(), actions.get(), nullptr, arguments, environment);
  if (code != 0) return base::fail(base::os_error("start spawner", code));
  return pid;
}

Result<std::pair<SpawnReply, UniqueFd>> receive_reply(int socket, std::uint32_t sequence) {
  // An answer to a request that was given up earlier is dropped, with its descriptor.
  for (;;) {
    SANDLOT_TRY(auto received, base::receive_with_fds(socket, sizeof(SpawnReply) + 1));
    if (received.message.size() != sizeof(SpawnReply)) {
      return base::fail(Errc::kUnavailable, "the spawner has ended");
    }
    SpawnReply reply;
    std::memcpy(&reply, received.message.data(), sizeof reply);
    if (reply.sequence != sequence) continue;
    reply.step.back() = '\0';
    if (reply.error != 0) return base::fail(base::os_error(reply.step.data(), reply.error));
    UniqueFd fd;
    if (!received.fds.empty()) fd = std::move(received.fds.front());
    return std::pair(reply, std::move(fd));
  }
}

Result<std::pair<SpawnReply, UniqueFd>> ask(int socket,
                                            const SpawnRequest& request,
                                            std::span<const int> fds) {
  std::string_view bytes(reinterpret_cast<const char*>(&request), sizeof request);
  SANDLOT_CHECK(base::send_with_fds(socket, bytes, fds));
  SANDLOT_TRY(auto answer, receive_reply(socket, request.sequence));
  if (!answer.second) return base::fail(Errc::kInternal, "the spawner sent no descriptor");
  return answer;
}

}  // namespace

Result<SpawnClient> SpawnClient::start() {
  SANDLOT_TRY(auto binary, copy_of_this_binary());
  SANDLOT_TRY(auto ends, base::make_socketpair(SOCK_SEQPACKET));
  SANDLOT_TRY(pid_t pid, spawn_process(binary.get(), ends.second.get()));
  SpawnClient client(std::move(ends.first), pid);
  ends.second.reset();
  ::setsockopt(client.socket_.get(), SOL_SOCKET, SO_RCVTIMEO, &kAnswerLimit, sizeof kAnswerLimit);
  auto hello = receive_reply(client.socket_.get(), 0);
  if (!hello) return base::fail(std::move(hello).error().context("spawner"));
  return client;
}

SpawnClient::SpawnClient(SpawnClient&& other) noexcept
    : socket_(std::move(other.socket_)),
      pid_(std::exchange(other.pid_, -1)),
      sequence_(other.sequence_) {}

SpawnClient::~SpawnClient() {
  if (pid_ < 0) return;
  socket_.reset();
  ::kill(pid_, SIGKILL);
  while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

Result<SpawnedSandbox> SpawnClient::spawn(const SandboxParts& parts) {
  SpawnRequest request;
  request.sequence = ++sequence_;
  request.kind = SpawnKind::kSandbox;
  request.first_id = parts.ids.first;
  request.id_count = parts.ids.count;
  if (parts.hostname.size() >= request.hostname.size()) {
    return base::fail(Errc::kInvalidArgument, "host name is too long");
  }
  parts.hostname.copy(request.hostname.data(), request.hostname.size() - 1);
  std::vector<int> fds{parts.netns_fd, parts.control_fd, parts.root_fd, parts.dev_fd};
  if (parts.usr_fd >= 0) {
    request.has_usr = 1;
    fds.push_back(parts.usr_fd);
  }
  if (parts.cgroup_fd >= 0) {
    request.has_cgroup = 1;
    fds.push_back(parts.cgroup_fd);
  }
  request.task_fds = static_cast<std::uint32_t>(parts.task_fds.size());
  fds.insert(fds.end(), parts.task_fds.begin(), parts.task_fds.end());
  SANDLOT_TRY(auto answer, ask(socket_.get(), request, fds));
  return SpawnedSandbox{answer.first.pid, std::move(answer.second)};
}

Result<UniqueFd> SpawnClient::make_userns(IdRange ids) {
  SpawnRequest request;
  request.sequence = ++sequence_;
  request.kind = SpawnKind::kUserns;
  request.first_id = ids.first;
  request.id_count = ids.count;
  SANDLOT_TRY(auto answer, ask(socket_.get(), request, {}));
  return std::move(answer.second);
}

base::Failure child_failure(std::string_view line) {
  constexpr std::string_view kPrefix = "failed: ";
  constexpr std::string_view kErrno = ": errno ";
  auto mark = line.rfind(kErrno);
  if (!line.starts_with(kPrefix) || mark == std::string_view::npos) {
    return base::fail(Errc::kInternal, "unexpected first message: " + std::string(line));
  }
  int number = 0;
  std::string_view digits = line.substr(mark + kErrno.size());
  std::from_chars(digits.data(), digits.data() + digits.size(), number);
  return base::fail(base::os_error(line.substr(kPrefix.size(), mark - kPrefix.size()), number));
}

}  // namespace namespaces
