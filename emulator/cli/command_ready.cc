#include <chrono>
#include <iostream>
#include <thread>

#include "emulator/cli/commands.h"
#include "emulator/cli/endpoint.h"
#include "emulator/cli/http_probe.h"

namespace emulator::cli {
namespace {

using Clock = std::chrono::steady_clock;

base::Result<> ask(const config::CommandLine& line) {
  auto endpoint = find_endpoint(line.options.run_dir, asked_port(line));
  if (!endpoint) return base::fail(std::move(endpoint).error());
  auto status =
      http_status(endpoint->host, endpoint->port, "/_sandlot/readyz", std::chrono::seconds(2));
  if (!status) return base::fail(std::move(status).error());
  if (*status != 200)
    return base::fail(base::Errc::kUnavailable, "readyz answers " + std::to_string(*status));
  return {};
}

}  // namespace

int run_ready(const config::CommandLine& line) {
  const Clock::time_point end = Clock::now() + line.timeout;
  while (true) {
    auto answer = ask(line);
    if (answer) return config::kOk;
    // A choice among several does not settle by waiting.
    const bool hopeless = answer.error().code() == base::Errc::kConflict;
    if (!line.wait || hopeless || Clock::now() >= end) {
      std::cerr << "sandlot ready: " << answer.error().message() << std::endl;
      return hopeless ? config::kUsage : config::kNotReady;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
}

}  // namespace emulator::cli
