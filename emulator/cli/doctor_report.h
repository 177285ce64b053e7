// What `sandlot doctor` found, and how it is printed. The checks themselves are in doctor_kernel,
// doctor_network and doctor_host.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <vector>

namespace emulator::cli {

// kFail: serve could not work. kWarn: it works, something is missing or not enforced.
enum class Verdict { kOk, kWarn, kFail };

struct Check {
  std::string id;  // stable, for scripts: "kernel.overlay"
  Verdict verdict = Verdict::kOk;
  std::string detail;  // one line
  std::string fix;     // the command that mends it; empty with kOk
};
using Checks = std::vector<Check>;

Check ok(std::string id, std::string detail);
Check warn(std::string id, std::string detail, std::string fix);
Check fail(std::string id, std::string detail, std::string fix);

// A line per check and the fix below it, then the sum.
std::string format_for_people(const Checks& checks, bool colour);
// {"ok": bool, "checks": [{"id", "status", "detail", "fix"}]}
std::string format_as_json(const Checks& checks);

// Runs the checks in a child process, so that what they enter or mount ends with it. A child that
// crashes or does not end within `limit` (it is killed then) is one failed check `id`. Call while
// no thread exists.
Checks in_child(const std::string& id,
                const std::function<Checks()>& checks,
                std::chrono::seconds limit = std::chrono::seconds(20));

// "/a b" -> "'/a b'": for commands that are printed.
std::string shell_word(const std::string& text);

}  // namespace emulator::cli
