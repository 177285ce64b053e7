#include "emulator/cli/doctor_report.h"

#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include <nlohmann/json.hpp>

#include "emulator/base/posix.h"

namespace emulator::cli {
namespace {

using Json = nlohmann::ordered_json;

const char* word(Verdict verdict) {
  return verdict == Verdict::kOk ? "ok" : verdict == Verdict::kWarn ? "warn" : "fail";
}

Json to_json(const Checks& checks) {
  Json list = Json::array();
  for (const Check& check : checks) {
    Json item = {{"id", check.id}, {"status", word(check.verdict)}, {"detail", check.detail}};
    if (!check.fix.empty()) item["fix"] = check.fix;
    list.push_back(std::move(item));
  }
  return list;
}

Checks from_json(const std::string& text) {
  Checks checks;
  const Json list = Json::parse(text, nullptr, false);
  if (!list.is_array()) return checks;
  for (const Json& item : list) {
    Check check;
    check.id = item.value("id", "");
    check.detail = item.value("detail", "");
    check.fix = item.value("fix", "");
    const std::string status = item.value("status", "fail");
    check.verdict = status == "ok"     ? Verdict::kOk
                    : status == "warn" ? Verdict::kWarn
                                       : Verdict::kFail;
    checks.push_back(std::move(check));
  }
  return checks;
}

[[noreturn]] void run_child(int out, const std::function<Checks()>& checks) {
  // A group of its own, so that the parent can end whatever it has started.
  ::setpgid(0, 0);
  const std::string text = to_json(checks()).dump(-1, ' ', false, Json::error_handler_t::replace);
  const bool written = base::write_all(out, text).has_value();
  ::_exit(written ? 0 : 1);
}

}  // namespace

Check ok(std::string id, std::string detail) {
  return {std::move(id), Verdict::kOk, std::move(detail), ""};
}
Check warn(std::string id, std::string detail, std::string fix) {
  return {std::move(id), Verdict::kWarn, std::move(detail), std::move(fix)};
}
Check fail(std::string id, std::string detail, std::string fix) {
  return {std::move(id), Verdict::kFail, std::move(detail), std::move(fix)};
}

std::string format_for_people(const Checks& checks, bool colour) {
  std::string text;
  std::array<int, 3> sums{};
  std::size_t width = 0;
  for (const Check& check : checks) width = std::max(width, check.id.size());
  for (const Check& check : checks) {
    ++sums.at(static_cast<std::size_t>(check.verdict));
    const char* start = !colour                           ? ""
                        : check.verdict == Verdict::kOk   ? "\x1b[32m"
                        : check.verdict == Verdict::kWarn ? "\x1b[33m"
                                                          : "\x1b[31m";
    std::string verdict = word(check.verdict);
    verdict.resize(4, ' ');
    text += start + verdict + (colour ? "\x1b[0m" : "") + "  " + check.id +
            std::string(width - check.id.size() + 2, ' ') + check.detail + "\n";
    if (!check.fix.empty()) text += std::string(width + 8, ' ') + "to mend: " + check.fix + "\n";
  }
  text +=
      "\n" + std::to_string(sums[0]) + " ok, " + std::to_string(sums[1]) + " warnings, " +
      std::to_string(sums[2]) + " failures: " +
      (sums[2] == 0 ? "sandlot serve can work here.\n" : "sandlot serve cannot work here yet.\n");
  return text;
}

std::string format_as_json(const Checks& checks) {
  const bool good = std::none_of(checks.begin(), checks.end(), [](const Check& check) {
    return check.verdict == Verdict::kFail;
  });
  const Json report = {{"ok", good}, {"checks", to_json(checks)}};
  return report.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

Checks in_child(const std::string& id,
                const std::function<Checks()>& checks,
                std::chrono::seconds limit) {
  auto pipe = base::make_pipe();
  if (!pipe) return {fail(id, "the check could not run: " + pipe.error().message(), "")};
  const pid_t pid = ::fork();
  if (pid < 0)
    return {fail(id, "the check could not run: " + base::os_error("fork").message(), "")};
  if (pid == 0) run_child(pipe->second.get(), checks);
  pipe->second.reset();
  std::string text;
  const auto end = std::chrono::steady_clock::now() + limit;
  bool late = false;
  while (true) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        end - std::chrono::steady_clock::now());
    pollfd watched{pipe->first.get(), POLLIN, 0};
    const int ready = left.count() > 0 ? ::poll(&watched, 1, static_cast<int>(left.count())) : 0;
    if (ready < 0 && errno == EINTR) continue;
    late = ready == 0;
    if (late) break;
    std::array<char, 4096> buffer{};
    auto count = base::read_some(pipe->first.get(), buffer);
    if (!count || *count == 0) break;
    text.append(buffer.data(), *count);
  }
  if (late) ::kill(-pid, SIGKILL);
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (late)
    return {fail(id, "the check did not end within " + std::to_string(limit.count()) + " s", "")};
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) return {fail(id, "the check crashed", "")};
  return from_json(text);
}

std::string shell_word(const std::string& text) {
  if (text.find_first_not_of(
          "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+=:@%") ==
          std::string::npos &&
      !text.empty()) {
    return text;
  }
  std::string word = "'";
  for (char c : text) word += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return word + "'";
}

}  // namespace emulator::cli
