#include "emulator/events/pending_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "emulator/base/log.h"
#include "emulator/base/posix.h"

namespace emulator::events {

namespace cloud = fakeapi::cloud;
namespace fs = std::filesystem;
using base::Result;
using Json = nlohmann::ordered_json;

namespace {

std::string line_of(const cloud::SandboxEvent& event) {
  auto ms = std::chrono::floor<std::chrono::milliseconds>(event.time).time_since_epoch().count();
  Json json = {
      {"time", ms},          {"sandbox", event.sandbox_id}, {"template", event.template_id},
      {"name", event.name},  {"success", event.success},    {"status", event.status_code},
      {"error", event.error}};
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::optional<cloud::SandboxEvent> event_of(std::string_view line) {
  Json json = Json::parse(line, nullptr, false);
  if (!json.is_object()) return std::nullopt;  // the last line of a crash of the machine
  auto text = [&json](const char* key) {
    auto found = json.find(key);
    return found != json.end() && found->is_string() ? found->get<std::string>() : std::string();
  };
  auto number = [&json](const char* key) {
    auto found = json.find(key);
    return found != json.end() && found->is_number_integer() ? found->get<std::int64_t>() : 0;
  };
  cloud::SandboxEvent event;
  event.time = base::TimePoint(std::chrono::milliseconds(number("time")));
  event.sandbox_id = text("sandbox");
  event.template_id = text("template");
  event.name = text("name");
  event.success = json.value("success", Json(true)) == true;
  event.status_code = static_cast<int>(number("status"));
  event.error = text("error");
  return event;
}

// Of an emulator that is gone; false: somebody holds it, or it cannot be read.
bool take_over(const fs::path& path, std::vector<cloud::SandboxEvent>& left) {
  base::UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd || ::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) return false;
  auto text = base::read_file(path);
  if (!text) return false;
  std::string_view rest = *text;
  while (!rest.empty()) {
    std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
    if (auto event = event_of(line)) left.push_back(std::move(*event));
  }
  return true;
}

}  // namespace

Result<PendingFile> PendingFile::open(const fs::path& directory,
                                      const std::string& instance,
                                      Others& others) {
  SANDLOT_CHECK(base::make_directories(directory, 0700));
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(directory, ignored)) {
    if (entry.path().extension() != ".jsonl") continue;
    if (take_over(entry.path(), others.left)) {
      others.abandoned.push_back(entry.path());
    } else {
      others.alive = true;
    }
  }
  fs::path path = directory / (instance + ".jsonl");
  base::UniqueFd fd(
      ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600));
  if (!fd) return base::fail_errno("open " + path.string());
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) return base::fail_errno("lock " + path.string());
  return PendingFile(std::move(path), std::move(fd));
}

PendingFile::~PendingFile() {
  if (fd_ && size_ == 0) ::unlink(path_.c_str());
}

Result<> PendingFile::append(const cloud::SandboxEvent& event) {
  std::string line = line_of(event);
  ssize_t written = ::write(fd_.get(), line.data(), line.size());
  if (written < 0) return base::fail_errno("write " + path_.string());
  size_ += static_cast<std::size_t>(written);
  return {};
}

Result<> PendingFile::empty() {
  if (::ftruncate(fd_.get(), 0) != 0) return base::fail_errno("truncate " + path_.string());
  size_ = 0;
  return {};
}

}  // namespace emulator::events
