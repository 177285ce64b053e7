#include "fakeapi/envd/process_service.h"

#include <signal.h>
#include <sys/stat.h>

#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/steady_timer.hpp>

#include "emulator/base/async.h"
#include "fakeapi/envd/caller.h"
#include "fakeapi/envd/keepalive.h"
#include "fakeapi/envd/process_frames.h"

namespace fakeapi::envd {

namespace asio = boost::asio;
using http::ConnectCode;
using http::ConnectError;
using http::rpc_fail;
using http::RpcContext;
using http::RpcStatus;
using http::to_status;

namespace {

// The daemon's own search path: what systemd gives its services.
constexpr const char* kPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
constexpr std::size_t kWriteBatch = 96U << 10U;  // envelopes that are written together

std::vector<std::string> environment_for(const User& user,
                                         const SandboxState& state,
                                         const ::process::ProcessConfig& config) {
  std::map<std::string, std::string> variables = {
      {"PATH", kPath}, {"HOME", user.home}, {"USER", user.name}, {"LOGNAME", user.name}};
  for (auto& [name, value] : state.global_environment()) variables[name] = value;
  for (const auto& [name, value] : config.envs()) variables[name] = value;
  std::vector<std::string> environment;
  environment.reserve(variables.size());
  for (const auto& [name, value] : variables) environment.push_back(name + "=" + value);
  return environment;
}

WindowSize window_of(const ::process::PTY& pty) {
  return {pty.size().cols(), pty.size().rows()};
}

struct StreamPlan {
  std::chrono::seconds keepalive{};
  // Start: the process's own time limit is this stream's too. Connect: the stream has its own.
  bool owner = false;
  const RunningTimer* limit = nullptr;
};

// Everything that is queued, as envelopes, up to one batch.
void collect_output(std::string& out, http::Codec codec, Subscription& from) {
  while (!from.empty() && out.size() < kWriteBatch) {
    OutputEvent event = from.pop();
    append_output_frame(out, codec, event.kind, *event.bytes);
  }
}

// Start event, output, keepalives, end: until the process has ended or the call's time is up.
asio::awaitable<RpcStatus> stream_events(std::shared_ptr<Process> process,
                                         Subscription& subscription,
                                         http::ServerStream& stream,
                                         StreamPlan plan) {
  std::string frames;
  append_start_frame(frames, stream.codec(), static_cast<std::uint32_t>(process->pid()));
  for (;;) {
    collect_output(frames, stream.codec(), subscription);
    if (!frames.empty()) {
      auto written = co_await stream.send_frames(frames);
      if (!written) co_return to_status(written);
      frames.clear();
    }
    auto next_keepalive = std::chrono::steady_clock::now() + plan.keepalive;
    while (subscription.empty()) {
      auto now = std::chrono::steady_clock::now();
      if (plan.owner ? process->timed_out() : plan.limit->expired()) {
        co_return http::rpc_deadline_exceeded();
      }
      if (process->ended()) {
        append_end_frame(frames, stream.codec(), process->report());
        co_return to_status(co_await stream.send_frames(frames));
      }
      if (now >= next_keepalive) {
        append_keepalive_frame(frames, stream.codec());
        break;
      }
      co_await subscription.wait_until(next_keepalive);
    }
  }
}

// The same, ended early by a client that leaves. The process lives on.
asio::awaitable<RpcStatus> serve_events(std::shared_ptr<Process> process,
                                        Subscription& subscription,
                                        http::ServerStream& stream,
                                        RpcContext& context,
                                        bool owner) {
  StreamPlan plan;
  plan.keepalive = keepalive_interval(context.head.headers);
  plan.owner = owner;
  RunningTimer limit(context.connection.stream().executor());
  plan.limit = &limit;
  if (!owner && context.deadline) {
    limit.start(*context.deadline - std::chrono::steady_clock::now(),
                [&subscription] { subscription.wake(); });
  }
  auto events = stream_events(std::move(process), subscription, stream, plan);
  co_return co_await http::until_client_leaves(std::move(events), context);
}

// `work`, unless the call's time is up first.
asio::awaitable<RpcStatus> before_deadline(asio::awaitable<RpcStatus> work, RpcContext& context) {
  using asio::experimental::awaitable_operators::operator||;
  asio::steady_timer timer(context.connection.stream().executor(),
                           context.deadline.value_or(SteadyTime::max()));
  auto raced = co_await (std::move(work) || timer.async_wait(base::kUse));
  if (raced.index() == 1) co_return http::rpc_deadline_exceeded();
  co_return std::get<0>(std::move(raced));
}

// Into the process, unless the client leaves or the call's time is up first.
asio::awaitable<RpcStatus> write_input(std::shared_ptr<Process> process,
                                       const ::process::ProcessInput& input,
                                       RpcContext& context) {
  if (!input.has_stdin() && !input.has_pty()) {
    co_return rpc_fail(ConnectCode::kUnimplemented, "invalid input: neither stdin nor pty is set");
  }
  auto writing = input.has_stdin() ? Process::write_stdin(std::move(process), input.stdin())
                                   : Process::write_pty(std::move(process), input.pty());
  auto limited = before_deadline(std::move(writing), context);
  co_return co_await http::until_client_leaves(std::move(limited), context);
}

// What fork/exec failures are called by the real daemon.
RpcStatus launch_error(const ::process::StartRequest& request,
                       const std::string& cwd,
                       const base::Error& error) {
  const std::string words = errno_words(error.os_errno());
  if (request.has_pty() && !error.message().starts_with("chdir")) {
    WindowSize size = window_of(request.pty());
    return rpc_fail(ConnectCode::kInvalidArgument,
                    "error starting pty with command '" + request.process().cmd() + "' in dir '" +
                        cwd + "' with '" + std::to_string(size.cols) + "' cols and '" +
                        std::to_string(size.rows) + "' rows: " + words);
  }
  return rpc_fail(
      ConnectCode::kInvalidArgument,
      "error starting process '" + request.process().cmd() + "': fork/exec /bin/sh: " + words);
}

}  // namespace

void ProcessService::add_to(http::ConnectServer& server) {
  using namespace ::process;  // NOLINT(google-build-using-namespace): the message names of one
                              // package
  server.server_stream<StartRequest>(
      "/process.Process/Start",
      [this](const auto& q, auto& s, RpcContext& c) { return start(q, s, c); });
  server.server_stream<ConnectRequest>(
      "/process.Process/Connect",
      [this](const auto& q, auto& s, RpcContext& c) { return connect(q, s, c); });
  server.unary<ListRequest, ListResponse>(
      "/process.Process/List",
      [this](const auto& q, auto& r, RpcContext& c) { return list(q, r, c); });
  server.unary<SendInputRequest, SendInputResponse>(
      "/process.Process/SendInput",
      [this](const auto& q, auto& r, RpcContext& c) { return send_input(q, r, c); });
  server.client_stream<StreamInputResponse>(
      "/process.Process/StreamInput",
      [this](auto& m, auto& r, RpcContext& c) { return stream_input(m, r, c); });
  server.unary<CloseStdinRequest, CloseStdinResponse>(
      "/process.Process/CloseStdin",
      [this](const auto& q, auto& r, RpcContext& c) { return close_stdin(q, r, c); });
  server.unary<SendSignalRequest, SendSignalResponse>(
      "/process.Process/SendSignal",
      [this](const auto& q, auto& r, RpcContext& c) { return send_signal(q, r, c); });
  server.unary<UpdateRequest, UpdateResponse>(
      "/process.Process/Update",
      [this](const auto& q, auto& r, RpcContext& c) { return update(q, r, c); });
}

ProcessService::Found ProcessService::launch_for(const ::process::StartRequest& request,
                                                 const RpcContext& context) {
  const ::process::ProcessConfig& config = request.process();
  auto target = rpc_target(config.cwd(), context.head.headers, state_);
  if (!target) return tl::unexpected<ConnectError>(target.error());
  const auto& [user, cwd] = *target;
  struct stat info {};
  if (::stat(cwd.c_str(), &info) != 0 && errno == ENOENT) {
    return rpc_fail(ConnectCode::kInvalidArgument, "cwd '" + cwd + "' does not exist");
  }
  LaunchRequest launch;
  launch.argv.push_back(config.cmd());
  launch.argv.insert(launch.argv.end(), config.args().begin(), config.args().end());
  launch.environment = environment_for(user, state_, config);
  launch.cwd = cwd;
  launch.uid = user.uid;
  launch.gid = user.gid;
  launch.groups = state_.users.groups_of(user);
  launch.stdin_pipe = !request.has_stdin() || request.stdin();
  if (request.has_pty()) launch.pty = window_of(request.pty());

  ::process::ProcessInfo process_info;
  *process_info.mutable_config() = config;
  if (request.has_tag()) process_info.set_tag(request.tag());
  auto process = table_.start(launch, std::move(process_info));
  if (!process)
    return tl::unexpected<ConnectError>(launch_error(request, cwd, process.error()).error());
  return *process;
}

asio::awaitable<RpcStatus> ProcessService::start(const ::process::StartRequest& request,
                                                 http::ServerStream& stream,
                                                 RpcContext& context) {
  Found process = launch_for(request, context);
  if (!process) co_return tl::unexpected<ConnectError>(process.error());
  std::shared_ptr<Process> running = *process;
  Subscription subscription(running->output());
  table_.run(running);
  // The process's own limit: it holds even when this client has gone by then.
  if (context.deadline)
    running->set_time_limit(*context.deadline - std::chrono::steady_clock::now());
  co_return co_await serve_events(running, subscription, stream, context, true);
}

asio::awaitable<RpcStatus> ProcessService::connect(const ::process::ConnectRequest& request,
                                                   http::ServerStream& stream,
                                                   RpcContext& context) {
  Found process = select(request.process(), true);
  if (!process) co_return tl::unexpected<ConnectError>(process.error());
  std::shared_ptr<Process> running = *process;
  Subscription subscription(running->output());
  co_return co_await serve_events(running, subscription, stream, context, false);
}

ProcessService::Found ProcessService::select(const ::process::ProcessSelector& selector,
                                             bool ended_too) {
  if (selector.has_pid()) {
    auto process = table_.find(static_cast<pid_t>(selector.pid()), ended_too);
    if (process) return process;
    return rpc_fail(ConnectCode::kNotFound,
                    "process with pid " + std::to_string(selector.pid()) + " not found");
  }
  if (selector.has_tag()) {
    auto process = table_.find_tag(selector.tag(), ended_too);
    if (process) return process;
    return rpc_fail(ConnectCode::kNotFound, "process with tag " + selector.tag() + " not found");
  }
  return rpc_fail(ConnectCode::kUnimplemented,
                  "invalid process selector: neither pid nor tag is set");
}

asio::awaitable<RpcStatus> ProcessService::list(const ::process::ListRequest& /*request*/,
                                                ::process::ListResponse& response,
                                                RpcContext& /*context*/) {
  for (const auto& process : table_.list()) *response.add_processes() = process->info();
  co_return RpcStatus();
}

asio::awaitable<RpcStatus> ProcessService::send_input(const ::process::SendInputRequest& request,
                                                      ::process::SendInputResponse& /*response*/,
                                                      RpcContext& context) {
  Found process = select(request.process());
  if (!process) co_return tl::unexpected<ConnectError>(process.error());
  co_return co_await write_input(*process, request.input(), context);
}

asio::awaitable<RpcStatus> ProcessService::stream_input(
    http::MessageReader& reader,
    ::process::StreamInputResponse& /*response*/,
    RpcContext& context) {
  ::process::StreamInputRequest message;
  std::shared_ptr<Process> process;
  for (;;) {
    auto more = co_await reader.next(message);
    if (!more) co_return tl::unexpected<ConnectError>(more.error());
    if (!*more) co_return RpcStatus();
    if (message.has_start()) {
      Found found = select(message.start().process());
      if (!found) co_return tl::unexpected<ConnectError>(found.error());
      process = *found;
      continue;
    }
    if (!message.has_data()) continue;
    if (!process) {
      co_return rpc_fail(ConnectCode::kInvalidArgument, "the first message must be a start event");
    }
    RpcStatus written = co_await write_input(process, message.data().input(), context);
    if (!written) co_return written;
  }
}

asio::awaitable<RpcStatus> ProcessService::close_stdin(const ::process::CloseStdinRequest& request,
                                                       ::process::CloseStdinResponse& /*response*/,
                                                       RpcContext& /*context*/) {
  Found process = select(request.process());
  if (!process) co_return tl::unexpected<ConnectError>(process.error());
  co_return (*process)->close_stdin();
}

asio::awaitable<RpcStatus> ProcessService::send_signal(const ::process::SendSignalRequest& request,
                                                       ::process::SendSignalResponse& /*response*/,
                                                       RpcContext& /*context*/) {
  Found process = select(request.process());
  if (!process) co_return tl::unexpected<ConnectError>(process.error());
  if (request.signal() == ::process::SIGNAL_SIGKILL) {
    RpcStatus killed = (*process)->send_signal(SIGKILL);
    // Who looks for the pid right after the answer must not find it (contract-envd 2.5).
    if (killed) co_await Process::wait_until_gone(*process);
    co_return killed;
  }
  if (request.signal() == ::process::SIGNAL_SIGTERM) co_return (*process)->send_signal(SIGTERM);
  co_return rpc_fail(ConnectCode::kUnimplemented,
                     "invalid signal: " + std::to_string(static_cast<int>(request.signal())));
}

asio::awaitable<RpcStatus> ProcessService::update(const ::process::UpdateRequest& request,
                                                  ::process::UpdateResponse& /*response*/,
                                                  RpcContext& /*context*/) {
  Found process = select(request.process());
  if (!process) co_return tl::unexpected<ConnectError>(process.error());
  if (!request.has_pty()) co_return RpcStatus();
  co_return (*process)->resize(window_of(request.pty()));
}

}  // namespace fakeapi::envd
