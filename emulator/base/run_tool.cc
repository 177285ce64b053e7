#include "emulator/base/run_tool.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <string_view>

// Boost.Process v2 of 1.81 forgets what it needs; these come first. With std::filesystem it needs
// no library.
#define BOOST_PROCESS_USE_STD_FS 1
// clang-format off
#include <boost/asio.hpp>
#include <boost/optional.hpp>
#include <boost/type_traits/decay.hpp>
#include <boost/type_traits/is_convertible.hpp>
// clang-format on
#include <boost/process/v2/posix/vfork_launcher.hpp>
#include <boost/process/v2/process.hpp>
#include <boost/process/v2/stdio.hpp>

#include "emulator/base/posix.h"
#include "emulator/base/unique_fd.h"

namespace base {

namespace {

namespace asio = boost::asio;
namespace process = boost::process::v2;
using Clock = std::chrono::steady_clock;

// The vfork launcher of 1.81 calls exit(3) in the child when execve fails, which would run our
// static destructors in the shared memory. The variadic form matches both spellings that the
// library looks for.
struct LeaveAtOnce {
  pid_t parent = ::getpid();

  // In the child: a program that changes rules must not go on when we are killed, and who cleans up
  // after us must not race with it. The thread that asked waits for the child, so its end is ours.
  template <class... Ignored>
  boost::system::error_code on_exec_setup(Ignored&&...) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(127);
    return {};
  }
  template <class... Ignored>
  void on_exec_error(Ignored&&...) {
    ::_exit(127);
  }
};

// argv-style view of "KEY=value" strings: ours, with the spec's in front and their old values left
// out.
class Environment {
 public:
  explicit Environment(const std::vector<std::pair<std::string, std::string>>& extra) {
    own_.reserve(extra.size());
    for (const auto& [key, value] : extra) own_.push_back(key + "=" + value);
    for (const std::string& entry : own_) pointers_.push_back(entry.c_str());
    for (char** entry = ::environ; entry != nullptr && *entry != nullptr; ++entry) {
      std::string_view text(*entry);
      bool replaced = std::any_of(extra.begin(), extra.end(), [&](const auto& item) {
        return text.substr(0, text.find('=')) == item.first;
      });
      if (!replaced) pointers_.push_back(*entry);
    }
    pointers_.push_back(nullptr);
  }
  const char* const* get() const { return pointers_.data(); }

 private:
  std::vector<std::string> own_;
  std::vector<const char*> pointers_;
};

// A file in memory, read from its start: the child cannot block on us, nor we on it.
Result<UniqueFd> stdin_file(std::string_view text) {
  UniqueFd file(::memfd_create("stdin", MFD_CLOEXEC));
  if (!file) return fail_errno("memfd_create");
  SANDLOT_CHECK(write_all(file.get(), text));
  if (::lseek(file.get(), 0, SEEK_SET) != 0) return fail_errno("lseek");
  return file;
}

struct Stream {
  UniqueFd fd;
  std::string* text;
};

// Takes what is there; closes the stream at its end.
void drain(Stream& stream, std::size_t limit, bool& cut) {
  std::array<char, 16384> buffer;  // NOLINT(cppcoreguidelines-pro-type-member-init)
  while (stream.fd) {
    auto count = ::read(stream.fd.get(), buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno == EAGAIN) return;
    if (count <= 0) {
      stream.fd.reset();
      return;
    }
    std::size_t room = limit - std::min(limit, stream.text->size());
    stream.text->append(buffer.data(), std::min(room, static_cast<std::size_t>(count)));
    cut = cut || static_cast<std::size_t>(count) > room;
  }
}

// Collects both streams until the process has ended; false when the deadline came first. A
// grandchild that keeps a stream open is not waited for.
bool collect_until_exit(int pidfd,
                        std::array<Stream, 2>& streams,
                        const ToolSpec& spec,
                        bool& cut) {
  auto deadline = Clock::now() + spec.timeout;
  for (;;) {
    auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now());
    if (left.count() < 0) return false;
    std::array<pollfd, 3> set{pollfd{pidfd, POLLIN, 0}, pollfd{streams[0].fd.get(), POLLIN, 0},
                              pollfd{streams[1].fd.get(), POLLIN, 0}};
    int ready = ::poll(set.data(), set.size(), static_cast<int>(left.count()) + 1);
    if (ready < 0 && errno != EINTR) return false;
    for (Stream& stream : streams) drain(stream, spec.output_limit, cut);
    if (ready > 0 && set[0].revents != 0) return true;
  }
}

}  // namespace

Result<std::string> find_tool(const std::string& name) {
  if (name.find('/') != std::string::npos) return name;
  const char* path =
      std::getenv("PATH");  // NOLINT(concurrency-mt-unsafe): nobody here sets variables
  std::string folders = std::string(path != nullptr ? path : "") + ":/usr/sbin:/sbin:/usr/bin:/bin";
  for (std::size_t at = 0; at <= folders.size();) {
    std::size_t end = std::min(folders.find(':', at), folders.size());
    std::string candidate = folders.substr(at, end - at) + "/" + name;
    if (end > at && ::access(candidate.c_str(), X_OK) == 0) return candidate;
    at = end + 1;
  }
  return fail(Errc::kNotFound, name + ": program not found");
}

Result<ToolOutput> run_tool(const ToolSpec& spec) {
  if (spec.argv.empty()) return fail(Errc::kInvalidArgument, "no program to run");
  SANDLOT_TRY(std::string program, find_tool(spec.argv[0]));
  if (::access(program.c_str(), X_OK) != 0) return fail_errno(program);
  SANDLOT_TRY(auto input, stdin_file(spec.stdin_text));
  SANDLOT_TRY(auto out_pipe, make_pipe(O_NONBLOCK));
  SANDLOT_TRY(auto err_pipe, make_pipe(O_NONBLOCK));
  // The child's ends block, as every program expects.
  for (int fd : {out_pipe.second.get(), err_pipe.second.get()}) {
    if (::fcntl(fd, F_SETFL, 0) != 0) return fail_errno("fcntl");
  }

  // A context of its own without any I/O object: vfork shares memory, and a reactor would be reset
  // in the child.
  asio::io_context context;
  Environment environment(spec.environment);
  process::posix::vfork_launcher launcher;
  launcher.env = environment.get();
  boost::system::error_code error;
  std::vector<std::string> arguments(spec.argv.begin() + 1, spec.argv.end());
  auto child = launcher(
      context.get_executor(), error, program, arguments,
      process::process_stdio{{input.get()}, {out_pipe.second.get()}, {err_pipe.second.get()}},
      LeaveAtOnce{});
  if (error) {
    if (launcher.pid > 0) ::waitpid(launcher.pid, nullptr, 0);
    return fail(os_error("start " + program, error.value()));
  }
  out_pipe.second.reset();
  err_pipe.second.reset();

  // The child stays a zombie until wait(), so the pid is still its own. (1.81 does not show the
  // descriptor it holds.)
  UniqueFd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, child.id(), 0)));
  ToolOutput output;
  std::array<Stream, 2> streams{Stream{std::move(out_pipe.first), &output.out},
                                Stream{std::move(err_pipe.first), &output.err}};
  bool ended = pidfd && collect_until_exit(pidfd.get(), streams, spec, output.cut);
  if (!ended) ::kill(child.id(), SIGKILL);
  child.wait(error);
  if (!ended) return fail(Errc::kDeadlineExceeded, program + ": killed after its time limit");
  if (error) return fail(os_error("wait for " + program, error.value()));
  for (Stream& stream : streams) drain(stream, spec.output_limit, output.cut);
  int status = child.native_exit_code();
  output.exit_code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  return output;
}

}  // namespace base
