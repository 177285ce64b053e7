#include "tests/envd/agent_harness.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <thread>

#include <gtest/gtest.h>

#include "emulator/base/posix.h"
#include "fakeapi/envd/agent.h"
#include "fakeapi/envd/base64.h"

namespace envd_tests {

namespace {

constexpr int kTimeoutMs = 10000;

base::UniqueFd listen_on_loopback(std::uint16_t& port) {
  base::UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  EXPECT_EQ(::listen(fd.get(), 128), 0);
  socklen_t size = sizeof(address);
  ::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &size);
  port = ntohs(address.sin_port);
  return fd;
}

void write_users(const std::string& root) {
  std::filesystem::create_directories(root + "/home/user");
  std::filesystem::create_directories(root + "/root");
  ::chmod(root.c_str(), 0755);
  ::chown((root + "/home/user").c_str(), 1000, 1000);
  ::chmod((root + "/root").c_str(), 0700);
  EXPECT_TRUE(base::write_file(root + "/passwd", "root:x:0:0:root:" + root +
                                                     "/root:/bin/bash\nuser:x:1000:1000::" + root +
                                                     "/home/user:/bin/bash\n"));
  EXPECT_TRUE(base::write_file(
      root + "/group", "root:x:0:\nsudo:x:27:user\nextra:x:4242:root,user\nuser:x:1000:\n"));
}

// Returns in pid 1 of a new namespace; its parent waits for it and ends as it did.
void become_init() {
  if (::unshare(CLONE_NEWPID | CLONE_NEWNS) != 0) ::_exit(97);
  pid_t pid = ::fork();
  if (pid == 0) {
    ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr);
    if (::mount("proc", "/proc", "proc", 0, nullptr) != 0) ::_exit(98);
    return;
  }
  // Not holding the other descriptors: the control channel must close with its last real owner.
  ::close_range(3, ~0U, 0);
  int status = 0;
  ::waitpid(pid, &status, 0);
  ::_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 99);
}

}  // namespace

TemporaryDirectory::TemporaryDirectory() {
  std::string pattern = "/tmp/sandlot-envd-XXXXXX";
  EXPECT_NE(::mkdtemp(pattern.data()), nullptr);
  path_ = pattern;
}

TemporaryDirectory::~TemporaryDirectory() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

Client::Client(std::uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(::connect(fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
}

void Client::send_raw(std::string_view bytes) {
  while (!bytes.empty()) {
    ssize_t count = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (count <= 0) return;
    bytes.remove_prefix(static_cast<std::size_t>(count));
  }
}

void Client::send(const std::string& method,
                  const std::string& target,
                  Headers headers,
                  const std::string& body) {
  std::string text = method + " " + target + " HTTP/1.1\r\nHost: localhost\r\n";
  for (const auto& [name, value] : headers) text += name + ": " + value + "\r\n";
  if (!headers.has("Transfer-Encoding"))
    text += "Content-Length: " + std::to_string(body.size()) + "\r\n";
  send_raw(text + "\r\n" + body);
}

bool Client::fill() {
  pollfd wait{fd_.get(), POLLIN, 0};
  if (::poll(&wait, 1, kTimeoutMs) <= 0) return false;
  std::string chunk(65536, '\0');
  ssize_t count = ::recv(fd_.get(), chunk.data(), chunk.size(), 0);
  if (count <= 0) return false;
  buffer_.append(chunk, 0, static_cast<std::size_t>(count));
  return true;
}

Reply Client::read_head(bool head_request) {
  Reply reply;
  std::size_t size = 0;
  while ((size = fakeapi::http::head_size(buffer_)) == 0) {
    if (!fill()) return reply;
  }
  auto head = fakeapi::http::parse_response_head(std::string_view(buffer_).substr(0, size),
                                                 head_request ? "HEAD" : "GET");
  buffer_.erase(0, size);
  if (!head) return reply;
  if (head->status == 100) return read_head(head_request);
  reply.status = head->status;
  reply.headers = head->headers;
  scanner_ = fakeapi::http::BodyScanner(head->framing);
  return reply;
}

std::optional<std::string> Client::read_body() {
  for (;;) {
    if (scanner_.done()) return "";
    if (buffer_.empty() && !fill()) return std::nullopt;
    auto step = scanner_.next(buffer_);
    if (step.malformed) return std::nullopt;
    std::string payload = buffer_.substr(step.payload_at, step.payload_size);
    buffer_.erase(0, step.consumed);
    if (!payload.empty()) return payload;
  }
}

std::string Client::read_whole_body() {
  std::string body;
  for (;;) {
    auto piece = read_body();
    if (!piece) return body + "<broken off>";
    if (piece->empty()) return body;
    body += *piece;
  }
}

Reply Client::request(const std::string& method,
                      const std::string& target,
                      Headers headers,
                      const std::string& body) {
  send(method, target, std::move(headers), body);
  Reply reply = read_head(method == "HEAD");
  if (reply.status != 0) reply.body = read_whole_body();
  return reply;
}

bool Client::readable_within(std::chrono::milliseconds wait) const {
  pollfd waiting{fd_.get(), POLLIN, 0};
  return ::poll(&waiting, 1, static_cast<int>(wait.count())) > 0;
}

void Client::reset() {
  linger now{1, 0};
  ::setsockopt(fd_.get(), SOL_SOCKET, SO_LINGER, &now, sizeof(now));
  fd_.reset();
}

Stream::Stream(std::uint16_t port,
               const std::string& method,
               const json& request,
               Client::Headers headers)
    : client_(port) {
  headers.set("Content-Type", "application/connect+json");
  headers.set("Connect-Protocol-Version", "1");
  std::string body;
  fakeapi::http::append_frame(body, 0, request.dump());
  client_.send("POST", "/" + method, std::move(headers), body);
  status_ = client_.read_head().status;
  if (status_ != 200) return;
  // The first event tells the pid; errors end the stream here.
  auto first = next();
  started_ = first && first->contains("start");
  if (started_) pid_ = (*first)["start"].value("pid", 0U);
}

void Stream::take(const json& event) {
  if (event.contains("end")) output_.end_event = event["end"];
  if (!event.contains("data")) return;
  const json& data = event["data"];
  auto append = [&](const char* name, std::string& to) {
    if (data.contains(name))
      to += fakeapi::envd::base64_decode(data[name].get<std::string>()).value_or("<bad base64>");
  };
  append("stdout", output_.stdout_bytes);
  append("stderr", output_.stderr_bytes);
  append("pty", output_.pty_bytes);
}

std::optional<json> Stream::next() {
  for (;;) {
    auto frame = frames_.next();
    if (!frame) return std::nullopt;
    if (*frame) {
      json message = json::parse((*frame)->payload, nullptr, false);
      if (((*frame)->flags & fakeapi::http::kFrameEndStream) != 0) {
        end_ = message;
        output_.end = message;
        return std::nullopt;
      }
      json event = message.contains("event") ? message["event"] : message;
      take(event);
      return event;
    }
    auto piece = client_.read_body();
    if (!piece || piece->empty()) return std::nullopt;
    frames_.feed(*piece);
  }
}

Stream::Output Stream::finish() {
  while (next()) {
  }
  return output_;
}

bool Stream::wait_for(const std::string& text) {
  auto seen = [&] {
    return output_.stdout_bytes.find(text) != std::string::npos ||
           output_.stderr_bytes.find(text) != std::string::npos ||
           output_.pty_bytes.find(text) != std::string::npos;
  };
  while (!seen()) {
    if (!next()) return false;
  }
  return true;
}

namespace {

fakeapi::envd::SandboxConfiguration identity() {
  fakeapi::envd::SandboxConfiguration configuration;
  configuration.sandbox_id = "i0123456789abcdefghij";
  configuration.template_id = "base";
  configuration.build_id = "b1";
  return configuration;
}

}  // namespace

RunningAgent::RunningAgent(std::string access_token,
                           Role role,
                           Life life,
                           fakeapi::envd::AgentOptions options) {
  write_users(root());
  base::UniqueFd listener = listen_on_loopback(port_);
  auto ends = base::make_socketpair(SOCK_SEQPACKET);
  EXPECT_TRUE(ends);
  pid_ = ::fork();
  if (pid_ == 0) {
    ends->first.reset();
    options.listen_fd = listener.release();
    options.passwd_path = root() + "/passwd";
    options.group_path = root() + "/group";
    options.identity_root = root() + "/identity";
    options.init = role == Role::kInit;
    fakeapi::envd::warm_up();
    if (role == Role::kInit) become_init();
    ::_exit(fakeapi::envd::run_agent(ends->second.release(), options));
  }
  ends->second.reset();
  control_ = std::move(ends->first);
  auto ready = base::receive_with_fds(control_.get());
  EXPECT_EQ(ready->message, "ready");
  fakeapi::envd::SandboxConfiguration name = identity();
  name.serve = false;
  configure(name);
  if (life == Life::kClaimed) claim(std::move(access_token));
}

void RunningAgent::configure(const fakeapi::envd::SandboxConfiguration& configuration) {
  EXPECT_TRUE(base::send_with_fds(control_.get(), fakeapi::envd::encode(configuration), {}));
  auto answer = base::receive_with_fds(control_.get());
  EXPECT_EQ(answer->message, "ok");
}

void RunningAgent::claim(std::string access_token, std::string default_user) {
  fakeapi::envd::SandboxConfiguration configuration = identity();
  configuration.access_token = std::move(access_token);
  configuration.default_user = std::move(default_user);
  configuration.env_vars = {{"FROM_CREATE", "yes"}, {"E2B_SANDBOX", "forged"}};
  configuration.memory_bytes = 512LL << 20;
  configure(configuration);
}

void RunningAgent::suspend(std::chrono::milliseconds duration) const {
  ::kill(pid_, SIGSTOP);
  std::this_thread::sleep_for(duration);
  ::kill(pid_, SIGCONT);
}

int RunningAgent::stop() {
  control_.reset();
  for (int i = 0; i < 500 && pid_ > 0; ++i) {
    int status = 0;
    if (::waitpid(pid_, &status, WNOHANG) == pid_) {
      pid_ = -1;
      return WIFEXITED(status) ? WEXITSTATUS(status) : 256 + WTERMSIG(status);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return -1;
}

RunningAgent::~RunningAgent() {
  if (pid_ <= 0) return;
  EXPECT_EQ(stop(), 0) << "the agent did not end well";
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
}

std::pair<int, json> RunningAgent::call(const std::string& method,
                                        const json& request,
                                        Client::Headers headers) const {
  headers.set("Content-Type", "application/json");
  Client connection(port_);
  Reply reply = connection.request("POST", "/" + method, std::move(headers), request.dump());
  return {reply.status, json::parse(reply.body, nullptr, false)};
}

Stream RunningAgent::start(const std::string& command, json extra, Client::Headers headers) const {
  json request = {{"process", {{"cmd", "/bin/sh"}, {"args", {"-c", command}}}}, {"stdin", false}};
  request.merge_patch(extra);
  return Stream(port_, "process.Process/Start", request, std::move(headers));
}

fakeapi::http::Headers as_user(const std::string& user) {
  fakeapi::http::Headers headers;
  headers.set("Authorization", "Basic " + fakeapi::envd::base64_encode(user + ":"));
  return headers;
}

}  // namespace envd_tests
