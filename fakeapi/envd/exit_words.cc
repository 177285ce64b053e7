#include "fakeapi/envd/exit_words.h"

#include <signal.h>
#include <sys/wait.h>

#include <array>
#include <cstring>
#include <string_view>

namespace fakeapi::envd {

namespace {

// Go's syscall package, linux/amd64, by signal number.
constexpr std::array<std::string_view, 32> kSignals = {
    "",
    "hangup",
    "interrupt",
    "quit",
    "illegal instruction",
    "trace/breakpoint trap",
    "aborted",
    "bus error",
    "floating point exception",
    "killed",
    "user defined signal 1",
    "segmentation fault",
    "user defined signal 2",
    "broken pipe",
    "alarm clock",
    "terminated",
    "stack fault",
    "child exited",
    "continued",
    "stopped (signal)",
    "stopped",
    "stopped (tty input)",
    "stopped (tty output)",
    "urgent I/O condition",
    "CPU time limit exceeded",
    "file size limit exceeded",
    "virtual timer expired",
    "profiling timer expired",
    "window changed",
    "I/O possible",
    "power failure",
    "bad system call",
};

std::string signal_words(int number) {
  if (number > 0 && static_cast<std::size_t>(number) < kSignals.size()) {
    return std::string(kSignals[static_cast<std::size_t>(number)]);
  }
  return "signal " + std::to_string(number);
}

}  // namespace

ExitReport exit_report(int wait_status) {
  ExitReport report;
  if (WIFEXITED(wait_status)) {
    report.exit_code = WEXITSTATUS(wait_status);
    report.exited = true;
    report.status = "exit status " + std::to_string(report.exit_code);
    return report;
  }
  report.exit_code = -1;
  report.status = "signal: " + signal_words(WTERMSIG(wait_status));
  if (WCOREDUMP(wait_status)) report.status += " (core dumped)";
  return report;
}

std::string errno_words(int error_number) {
  const char* text = ::strerrordesc_np(error_number);
  if (text == nullptr) return "errno " + std::to_string(error_number);
  std::string words = text;
  if (!words.empty() && words[0] >= 'A' && words[0] <= 'Z') {
    words[0] = static_cast<char>(words[0] - 'A' + 'a');
  }
  return words;
}

}  // namespace fakeapi::envd
