#include "tests/integration/emulator_process.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <fstream>
#include <thread>

#include <gtest/gtest.h>

#include "emulator/base/posix.h"

#include <spawn.h>

extern char** environ;  // NOLINT(readability-redundant-declaration)

namespace tests::integration {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

namespace {

base::UniqueFd connect_to(int port) {
  base::UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  timeval limit{40, 0};
  ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  if (::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) return {};
  return fd;
}

std::string lower(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

// Undoes chunked coding; nullopt when the final chunk is missing.
std::optional<std::string> unchunk(std::string_view wire) {
  std::string body;
  for (;;) {
    auto line = wire.find("\r\n");
    if (line == std::string_view::npos) return std::nullopt;
    std::size_t size = std::strtoul(std::string(wire.substr(0, line)).c_str(), nullptr, 16);
    wire.remove_prefix(line + 2);
    if (size == 0) return body;
    if (wire.size() < size + 2) return std::nullopt;
    body += wire.substr(0, size);
    wire.remove_prefix(size + 2);
  }
}

constexpr std::string_view kBase64 =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

std::string base64_decode(std::string_view text) {
  std::string out;
  unsigned bits = 0;
  int have = 0;
  for (char c : text) {
    auto value = kBase64.find(c);
    if (value == std::string_view::npos) break;
    bits = bits << 6U | static_cast<unsigned>(value);
    have += 6;
    if (have >= 8) {
      have -= 8;
      out.push_back(static_cast<char>(bits >> static_cast<unsigned>(have) & 0xffU));
    }
  }
  return out;
}

std::string base64_encode(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); i += 3) {
    unsigned bits = 0;
    for (std::size_t k = 0; k < 3; ++k) {
      bits = bits << 8U | (i + k < text.size() ? static_cast<unsigned char>(text[i + k]) : 0U);
    }
    for (std::size_t k = 0; k < 4; ++k) {
      out.push_back(i + k > text.size() ? '=' : kBase64[bits >> (18 - 6 * k) & 63U]);
    }
  }
  return out;
}

}  // namespace

HttpAnswer request(int port,
                   std::string_view method,
                   std::string_view path,
                   std::string_view body,
                   std::string_view host,
                   const std::vector<std::pair<std::string, std::string>>& headers) {
  HttpAnswer answer;
  base::UniqueFd fd = connect_to(port);
  if (!fd) return answer;
  std::string wire =
      std::string(method) + " " + std::string(path) + " HTTP/1.1\r\nHost: " + std::string(host) +
      "\r\nConnection: close\r\nContent-Length: " + std::to_string(body.size()) + "\r\n";
  for (const auto& [name, value] : headers) wire += name + ": " + value + "\r\n";
  wire += "\r\n";
  wire += body;
  if (!base::write_all(fd.get(), wire)) return answer;
  std::string text;
  std::array<char, 65536> chunk{};
  for (;;) {
    auto count = ::read(fd.get(), chunk.data(), chunk.size());
    if (count <= 0) break;
    text.append(chunk.data(), static_cast<std::size_t>(count));
  }
  auto end = text.find("\r\n\r\n");
  if (end == std::string::npos || text.size() < 12) return answer;
  std::string head = lower(text.substr(0, end + 2));
  answer.status = std::atoi(text.c_str() + 9);
  answer.body = text.substr(end + 4);
  if (head.find("transfer-encoding: chunked") != std::string::npos) {
    auto whole = unchunk(answer.body);
    answer.truncated = !whole;
    if (whole) answer.body = *whole;
  } else if (auto at = head.find("content-length: "); at != std::string::npos) {
    answer.truncated = answer.body.size() < std::strtoul(head.c_str() + at + 16, nullptr, 10);
  }
  return answer;
}

std::string emulator_binary() {
  // NOLINTNEXTLINE(concurrency-mt-unsafe): nobody here sets variables
  const char* other = std::getenv("SANDLOT_TEST_BINARY");
  return other != nullptr ? other : SANDLOT_BINARY;
}

base::ToolOutput sandlot(const fs::path& dir, const std::vector<std::string>& words) {
  base::ToolSpec spec;
  spec.argv = {emulator_binary()};
  spec.argv.insert(spec.argv.end(), words.begin(), words.end());
  spec.argv.insert(spec.argv.end(), {"--data-dir", dir / "data", "--run-dir", dir / "run"});
  auto output = base::run_tool(spec);
  EXPECT_TRUE(output);
  return output.value_or(base::ToolOutput{});
}

TempDir::TempDir() {
  std::string pattern = "/var/tmp/sandlot-test-XXXXXX";
  const char* made = ::mkdtemp(pattern.data());
  EXPECT_NE(made, nullptr);
  path_ = pattern;
}

TempDir::~TempDir() {
  // What a kill left is the test's to collect: by the next start, or by gc.
  for (const std::string& left : kernel_leftovers(path_)) ADD_FAILURE() << "left behind: " << left;
  std::error_code error;
  fs::remove_all(path_, error);
  EXPECT_FALSE(error) << path_ << ": " << error.message();
}

EmulatorProcess::EmulatorProcess(const fs::path& dir, Options options) : dir_(dir) {
  start(options);
}

void EmulatorProcess::start(const Options& options) {
  const fs::path& dir = dir_;
  std::vector<std::string> arguments = options.prefix;
  arguments.insert(arguments.end(),
                   {emulator_binary(), "serve", "--port", "0", "--data-dir", dir / "data",
                    "--run-dir", dir / "run", "--internet", "none", "--log-level", "debug"});
  for (const std::string& flag : options.flags) arguments.push_back(flag);
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  std::vector<std::string> variables;
  for (char** item = environ; *item != nullptr; ++item) {
    std::string_view name(*item);
    name = name.substr(0, name.find('='));
    if (!options.environment.contains(std::string(name))) variables.emplace_back(*item);
  }
  for (const auto& [name, value] : options.environment) variables.push_back(name + "=" + value);
  std::vector<char*> envp;
  for (std::string& variable : variables) envp.push_back(variable.data());
  envp.push_back(nullptr);

  auto pipe = base::make_pipe();
  ASSERT_TRUE(pipe) << pipe.error().message();
  auto log_file = base::open_file(dir / "log", O_WRONLY | O_CREAT | O_APPEND);
  ASSERT_TRUE(log_file);
  posix_spawn_file_actions_t actions{};
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, pipe->second.get(), 1);
  ::posix_spawn_file_actions_adddup2(&actions, log_file->get(), 2);
  int spawned = ::posix_spawnp(&pid_, argv[0], &actions, nullptr, argv.data(), envp.data());
  ::posix_spawn_file_actions_destroy(&actions);
  ASSERT_EQ(spawned, 0);
  pipe->second.reset();

  std::string line;
  auto deadline = std::chrono::steady_clock::now() + 30s;
  ::fcntl(pipe->first.get(), F_SETFL, O_NONBLOCK);
  while (line.find('\n') == std::string::npos && std::chrono::steady_clock::now() < deadline) {
    std::array<char, 4096> chunk{};
    auto count = ::read(pipe->first.get(), chunk.data(), chunk.size());
    if (count > 0) line.append(chunk.data(), static_cast<std::size_t>(count));
    if (count == 0) break;
    if (count < 0) std::this_thread::sleep_for(1ms);
  }
  Json ready = Json::parse(line, nullptr, false);
  if (ready.is_object() && ready.value("event", "") == "ready") port_ = ready.value("port", 0);
}

EmulatorProcess::~EmulatorProcess() {
  if (pid_ > 0) stop();
}

std::string EmulatorProcess::log() const {
  return base::read_file(dir_ / "log").value_or("");
}

int EmulatorProcess::wait_for_exit() {
  int status = 0;
  auto deadline = std::chrono::steady_clock::now() + 30s;
  while (::waitpid(pid_, &status, WNOHANG) == 0) {
    if (std::chrono::steady_clock::now() > deadline) {
      ADD_FAILURE() << "the emulator does not end\n" << log();
      ::kill(pid_, SIGKILL);
      ::waitpid(pid_, &status, 0);
      break;
    }
    std::this_thread::sleep_for(1ms);
  }
  pid_ = -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int EmulatorProcess::stop() {
  ::kill(pid_, SIGTERM);
  return wait_for_exit();
}

void EmulatorProcess::kill_hard() {
  ::kill(pid_, SIGKILL);
  wait_for_exit();
}

HttpAnswer EmulatorProcess::api(std::string_view method,
                                std::string_view path,
                                const Json& body) const {
  std::string text = body.is_null() ? "" : body.dump();
  return request(port_, method, path, text, "localhost",
                 {{"X-API-KEY", "e2b_0000"}, {"Content-Type", "application/json"}});
}

std::string EmulatorProcess::create(const Json& extra, HttpAnswer* answer) const {
  Json body = {{"templateID", "base"}, {"timeout", 300}};
  body.update(extra);
  HttpAnswer got = api("POST", "/sandboxes", body);
  if (answer != nullptr) *answer = got;
  if (got.status != 201) return "";
  Json info = got.json();
  adopt(info);
  return info.value("sandboxID", "");
}

void EmulatorProcess::adopt(const Json& info) const {
  std::lock_guard lock(mutex_);
  tokens_[info.value("sandboxID", "")] = info.value("envdAccessToken", "");
}

EmulatorProcess::Ran EmulatorProcess::run(const std::string& sandbox,
                                          const std::string& command,
                                          const std::string& user) const {
  Json start = {{"process", {{"cmd", "/bin/bash"}, {"args", {"-l", "-c", command}}}},
                {"stdin", false}};
  std::string message = start.dump();
  std::string frame(5, '\0');
  for (int i = 0; i < 4; ++i) {
    frame[static_cast<std::size_t>(4 - i)] = static_cast<char>(message.size() >> (8 * i) & 0xff);
  }
  std::string token;
  {
    std::lock_guard lock(mutex_);
    token = tokens_[sandbox];
  }
  HttpAnswer answer = request(port_, "POST", "/process.Process/Start", frame + message,
                              "49983-" + sandbox + ".localhost",
                              {{"X-Access-Token", token},
                               {"Content-Type", "application/connect+json"},
                               {"Connect-Timeout-Ms", "60000"},
                               {"Authorization", "Basic " + base64_encode(user + ":")}});
  Ran ran;
  std::string_view rest = answer.body;
  while (rest.size() >= 5) {
    std::size_t size = 0;
    for (std::size_t i = 1; i < 5; ++i) size = size << 8U | static_cast<unsigned char>(rest[i]);
    if (rest.size() < 5 + size) break;
    Json event = Json::parse(rest.substr(5, size), nullptr, false).value("event", Json::object());
    rest.remove_prefix(5 + size);
    if (event.contains("data")) {
      ran.out += base64_decode(event["data"].value("stdout", ""));
      ran.err += base64_decode(event["data"].value("stderr", ""));
    }
    if (event.contains("end")) {
      ran.ended = true;
      ran.exit_code = event["end"].value("exitCode", 0);
    }
  }
  if (!ran.ended)
    ran.err += "[status " + std::to_string(answer.status) + "] " + answer.body.substr(0, 400);
  return ran;
}

std::vector<std::string> kernel_leftovers(const fs::path& dir) {
  std::vector<std::string> found;
  std::error_code ignored;
  for (const char* tree : {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"}) {
    std::vector<fs::path> hierarchies = {tree};
    for (const auto& entry : fs::directory_iterator(tree, ignored))
      hierarchies.push_back(entry.path());
    for (const fs::path& hierarchy : hierarchies) {
      for (const auto& instance : fs::directory_iterator(hierarchy / "sandlot", ignored)) {
        if (!instance.is_directory(ignored)) continue;
        // Only ours: other emulators may run beside the tests.
        if (fs::exists(dir / "run" / instance.path().filename(), ignored) ||
            fs::exists(dir / "data" / "sandboxes" / instance.path().filename(), ignored)) {
          found.push_back("cgroup " + instance.path().string());
        }
      }
    }
  }
  std::ifstream mounts("/proc/self/mountinfo");
  for (std::string line; std::getline(mounts, line);) {
    if (line.find(dir.string()) != std::string::npos) found.push_back("mount " + line);
  }
  for (const auto& process : fs::directory_iterator("/proc", ignored)) {
    auto text = base::read_file(process.path() / "cmdline");
    if (text && text->find(dir.string()) != std::string::npos) {
      found.push_back("process " + process.path().filename().string());
    }
  }
  return found;
}

std::vector<std::string> leftovers(const fs::path& dir) {
  std::vector<std::string> found = kernel_leftovers(dir);
  std::error_code ignored;
  for (const char* place : {"run", "data/sandboxes", "data/trash"}) {
    for (const auto& entry : fs::recursive_directory_iterator(dir / place, ignored)) {
      if (!entry.is_directory(ignored)) continue;
      found.push_back("directory " + entry.path().string());
    }
  }
  return found;
}

}  // namespace tests::integration
