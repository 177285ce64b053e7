#include "fakeapi/envd/agent.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <memory>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>

#include "emulator/base/async.h"
#include "emulator/base/posix.h"
#include "emulator/base/task_group.h"
#include "fakeapi/envd/control_channel.h"
#include "fakeapi/envd/descriptor_limit.h"
#include "fakeapi/envd/envd_server.h"
#include "fakeapi/envd/running_timer.h"
#include "fakeapi/httpbin/httpbin.h"
#include "fakeapi/httpbin/server.h"

namespace fakeapi::envd {

namespace asio = boost::asio;
using asio::ip::tcp;

namespace {

constexpr int kBacklog = 4096;
constexpr int kIdleSteps = 16;

// One socket for both families, or IPv4 alone where there is no IPv6.
base::Result<base::UniqueFd> open_listener(std::uint16_t port) {
  base::UniqueFd fd(::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
  int off = 0;
  int on = 1;
  if (fd) {
    ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    ::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
    sockaddr_in6 any{};
    any.sin6_family = AF_INET6;
    any.sin6_port = htons(port);
    if (::bind(fd.get(), reinterpret_cast<sockaddr*>(&any), sizeof(any)) == 0 &&
        ::listen(fd.get(), kBacklog) == 0) {
      return fd;
    }
  }
  fd.reset(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd) return base::fail_errno("socket");
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  sockaddr_in any{};
  any.sin_family = AF_INET;
  any.sin_port = htons(port);
  if (::bind(fd.get(), reinterpret_cast<sockaddr*>(&any), sizeof(any)) != 0)
    return base::fail_errno("bind");
  if (::listen(fd.get(), kBacklog) != 0) return base::fail_errno("listen");
  return fd;
}

// SIGCHLD comes by descriptor; SIGPIPE never.
base::Result<base::UniqueFd> take_signals(bool init) {
  if (init) {
    struct sigaction fresh {};
    fresh.sa_handler = SIG_DFL;
    for (int number = 1; number < 32; ++number) {
      if (number != SIGKILL && number != SIGSTOP) ::sigaction(number, &fresh, nullptr);
    }
  }
  ::signal(SIGPIPE, SIG_IGN);
  sigset_t children;
  ::sigemptyset(&children);
  ::sigaddset(&children, SIGCHLD);
  if (::sigprocmask(SIG_SETMASK, &children, nullptr) != 0) return base::fail_errno("sigprocmask");
  base::UniqueFd fd(::signalfd(-1, &children, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd) return base::fail_errno("signalfd");
  return fd;
}

base::Result<> write_identity_file(const std::string& path, std::string_view text) {
  ::unlink(path.c_str());
  SANDLOT_CHECK(base::write_file(path, text, 0444));
  return {};
}

// The files by which programs inside know where they are (contract-envd 5.1).
base::Result<> write_identity(const std::string& root, const SandboxConfiguration& configuration) {
  SANDLOT_CHECK(base::make_directories(root + "/run/e2b"));
  SANDLOT_CHECK(write_identity_file(root + "/run/e2b/.E2B_SANDBOX", "true"));
  SANDLOT_CHECK(write_identity_file(root + "/run/e2b/.E2B_SANDBOX_ID", configuration.sandbox_id));
  SANDLOT_CHECK(write_identity_file(root + "/run/e2b/.E2B_TEMPLATE_ID", configuration.template_id));
  std::string about = "ENV_ID=" + configuration.template_id +
                      "\nTEMPLATE_ID=" + configuration.template_id +
                      "\nBUILD_ID=" + configuration.build_id + "\n";
  SANDLOT_CHECK(base::write_file(root + "/.e2b", about, 0644));
  return {};
}

class Agent {
 public:
  Agent(asio::io_context& context,
        ControlChannel& control,
        const AgentOptions& options,
        base::UniqueFd signals,
        base::UniqueFd listener,
        base::UniqueFd oom_score)
      : context_(context),
        control_(control),
        options_(options),
        signals_(context, signals.release()),
        acceptor_(context),
        state_(options.passwd_path, options.group_path),
        processes_(context.get_executor(), OomScore(std::move(oom_score))),
        server_(state_, processes_),
        httpbin_(context.get_executor()),
        connections_(context.get_executor()) {
    boost::system::error_code ignored;
    acceptor_.assign(tcp::v6(), listener.release(), ignored);
  }

  // Until the control channel closes.
  asio::awaitable<void> run() {
    connections_.spawn("reaper", reap_children());
    bool serving = false;
    for (;;) {
      auto message = co_await control_.receive();
      if (!message || !*message) break;
      if (auto clock = decode_clock(**message)) {
        state_.configuration.clock = *clock;
        if (!control_.send("ok")) break;
        continue;
      }
      if (auto memory = decode_memory(**message)) {
        state_.configuration.memory_bytes = *memory;
        if (!control_.send("ok")) break;
        continue;
      }
      base::Result<> configured = configure(**message);
      std::string answer = "ok";
      if (!configured) {
        answer = "error: " + std::string(base::to_string(configured.error().code())) + ": " +
                 configured.error().message();
      }
      auto sent = control_.send(answer);
      if (!sent) break;
      if (configured && state_.configuration.serve && !serving) {
        // Whoever connected before waits in the kernel's queue.
        connections_.spawn("accept", accept_connections());
        serving = true;
      }
    }
    processes_.kill_all();
    context_.stop();
  }

 private:
  base::Result<> configure(const std::string& message) {
    SANDLOT_TRY(SandboxConfiguration next, decode_configuration(message));
    const SandboxConfiguration& known = state_.configuration;
    bool named = known.sandbox_id == next.sandbox_id && known.template_id == next.template_id &&
                 known.build_id == next.build_id;
    if (!named) SANDLOT_CHECK(write_identity(options_.identity_root, next));
    state_.configuration = std::move(next);
    bool httpbin = known.serve && known.httpbin && !httpbin_.started();
    if (!httpbin) return {};
    SANDLOT_TRY(auto listener, open_listener(httpbin::kPort));
    return httpbin_.start(std::move(listener));
  }

  asio::awaitable<void> reap_children() {
    signalfd_siginfo info{};
    for (;;) {
      // Children may have ended before the descriptor existed.
      processes_.reap();
      auto buffer = asio::buffer(&info, sizeof(info));
      auto [error, count] = co_await signals_.async_read_some(buffer, base::kUse);
      if (error) co_return;
    }
  }

  asio::awaitable<void> accept_connections() {
    for (;;) {
      auto [error, socket] = co_await acceptor_.async_accept(base::kUse);
      if (error == asio::error::operation_aborted) co_return;
      if (error) {  // out of descriptors: let some be closed
        co_await base::sleep_for(std::chrono::milliseconds(10));
        continue;
      }
      connections_.spawn("connection", serve(http::make_tcp_stream(std::move(socket))));
    }
  }

  asio::awaitable<void> serve(std::unique_ptr<http::ByteStream> stream) {
    RunningTimer idle(stream->executor());
    http::ByteStream& connection = *stream;
    wait_for_request(idle, connection);
    http::Handler handler = [this, &idle](const http::RequestHead& head,
                                          http::ServerConnection& from) {
      return handle(idle, head, from);
    };
    co_await http::serve_connection(connection, handler);
  }

  asio::awaitable<void> handle(RunningTimer& idle,
                               const http::RequestHead& head,
                               http::ServerConnection& connection) {
    idle.cancel();
    co_await server_.handle(head, connection);
    wait_for_request(idle, connection.stream());
  }

  // Few wake-ups: there may be thousands of idle connections.
  void wait_for_request(RunningTimer& idle, http::ByteStream& stream) {
    auto limit = options_.idle_limit;
    idle.start(
        limit, [&stream] { stream.close(); }, limit / kIdleSteps);
  }

  asio::io_context& context_;
  ControlChannel& control_;
  const AgentOptions& options_;
  asio::posix::stream_descriptor signals_;
  tcp::acceptor acceptor_;
  SandboxState state_;
  ProcessTable processes_;
  EnvdServer server_;
  httpbin::Server httpbin_;
  base::TaskGroup connections_;
};

}  // namespace

int run_agent(int control_fd, const AgentOptions& options) {
  ::umask(022);
  // A sandbox's agent was given it, opened when it still could be.
  base::UniqueFd oom_score(options.oom_score_fd >= 0
                               ? options.oom_score_fd
                               : ::open("/proc/self/oom_score_adj", O_RDWR | O_CLOEXEC));
  raise_descriptor_limit();
  if (options.init) {
    ::setsid();
    ::prctl(PR_SET_DUMPABLE, 0);
  }
  asio::io_context context(1);
  ControlChannel control(context.get_executor(), control_fd);
  auto signals = take_signals(options.init);
  auto listener = options.listen_fd >= 0
                      ? base::Result<base::UniqueFd>(base::UniqueFd(options.listen_fd))
                      : open_listener(options.port);
  if (!signals || !listener) {
    const base::Error& error = signals ? listener.error() : signals.error();
    [[maybe_unused]] auto sent = control.send("error: " + error.message());
    return 1;
  }
  Agent agent(context, control, options, std::move(*signals), std::move(*listener),
              std::move(oom_score));
  if (!control.send("ready")) return 1;
  base::TaskGroup main(context.get_executor());
  main.spawn("agent", agent.run());
  context.run();
  return 0;
}

int agent_main(int control_fd, int oom_score_fd) {
  AgentOptions options;
  options.oom_score_fd = oom_score_fd;
  return run_agent(control_fd, options);
}

}  // namespace fakeapi::envd
