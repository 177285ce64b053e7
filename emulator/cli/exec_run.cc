#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <iostream>

#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/this_coro.hpp>

#include "emulator/base/async.h"
#include "emulator/base/readiness.h"
#include "emulator/cli/client_environment.h"
#include "emulator/cli/exec_child.h"
#include "emulator/config/command_line.h"

namespace emulator::cli {
namespace {

// A terminal sends these to its whole foreground group, the child included.
bool terminal_sends_it(int number) {
  return (number == SIGINT || number == SIGQUIT) && ::tcgetpgrp(STDIN_FILENO) == ::getpgrp();
}

boost::asio::awaitable<void> pass_signals(boost::asio::signal_set& signals, int pidfd) {
  while (true) {
    auto [error, number] = co_await signals.async_wait(base::kUse);
    if (error) co_return;
    if (!terminal_sends_it(number))
      (void)::syscall(SYS_pidfd_send_signal, pidfd, number, nullptr, 0);
  }
}

boost::asio::awaitable<void> ended(boost::asio::posix::stream_descriptor& pidfd) {
  (void)co_await base::until_readable(pidfd);
}

base::Result<RunningChild> start(const ExecRequest& request,
                                 const Endpoint& endpoint,
                                 const std::filesystem::path& instance_dir) {
  ExecChild child;
  child.argv = request.command;
  if (endpoint.dns_port) {
    if (*endpoint.dns_port != 53) {
      return base::fail(base::Errc::kFailedPrecondition,
                        "the embedded DNS of exec must be on port 53");
    }
    SANDLOT_TRY(child.overrides, prepare_name_resolution(instance_dir / "exec", endpoint.dns_host));
  }
  std::vector<std::string> inherited;
  for (char** entry = environ; *entry != nullptr; ++entry) inherited.emplace_back(*entry);
  const Variables variables =
      client_environment(endpoint, endpoint.dns_port ? Addressing::kNames : Addressing::kUrls);
  child.environment = child_environment(inherited, variables, endpoint);
  return start_exec_child(child);
}

}  // namespace

boost::asio::awaitable<int> run_exec_child(ExecRequest request,
                                           Endpoint endpoint,
                                           std::filesystem::path instance_dir) {
  using boost::asio::experimental::awaitable_operators::operator||;
  auto executor = co_await boost::asio::this_coro::executor;
  // Before the child exists, so that no signal falls between.
  boost::asio::signal_set signals(executor);
  for (int number : {SIGTERM, SIGHUP, SIGUSR1, SIGUSR2, SIGINT, SIGQUIT}) signals.add(number);
  auto child = start(request, endpoint, instance_dir);
  if (!child) {
    std::cerr << "sandlot exec: " << child.error().message() << std::endl;
    if (child.error().code() == base::Errc::kNotFound) co_return 127;
    co_return child.error().code() == base::Errc::kPermissionDenied ? 126 : int{config::kFailure};
  }
  const int pidfd = child->pidfd.get();
  boost::asio::posix::stream_descriptor watched(executor, ::dup(pidfd));
  co_await (pass_signals(signals, pidfd) || ended(watched));
  co_return reap_exec_child(*child);
}

}  // namespace emulator::cli
