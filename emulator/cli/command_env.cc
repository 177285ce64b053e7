#include <unistd.h>

#include <iostream>

#include "emulator/cli/client_environment.h"
#include "emulator/cli/commands.h"
#include "emulator/cli/endpoint.h"
#include "emulator/cli/name_check.h"

namespace emulator::cli {

int run_env(const config::CommandLine& line) {
  auto endpoint = find_endpoint(line.options.run_dir, asked_port(line));
  if (!endpoint) {
    std::cerr << "sandlot env: " << endpoint.error().message() << std::endl;
    return endpoint.error().code() == base::Errc::kConflict ? config::kUsage : config::kNotReady;
  }
  Addressing addressing = line.no_dns ? Addressing::kUrls : Addressing::kNames;
  if (addressing == Addressing::kNames && !names_resolve(endpoint->domain)) {
    addressing = Addressing::kUrls;
    std::cerr
        << "sandlot env: names under " << endpoint->domain
        << " do not resolve on this machine; printing the --no-dns set (public URLs will not "
           "resolve)."
        << " To mend it: apt-get install -y libnss-myhostname, or run clients under 'sandlot exec'"
        << std::endl;
  }
  // The emulator runs as root; a data directory that only root may enter hides the bundle from
  // other users.
  if (!endpoint->bundle_file.empty() && ::access(endpoint->bundle_file.c_str(), R_OK) != 0) {
    std::cerr << "sandlot env: " << endpoint->bundle_file
              << " cannot be read as this user: https will not verify" << std::endl;
  }
  auto text = format_variables(client_environment(*endpoint, addressing), line.format);
  if (!text) {
    std::cerr << "sandlot env: " << text.error().message() << std::endl;
    return config::kUsage;
  }
  std::cout << *text << std::flush;
  return config::kOk;
}

}  // namespace emulator::cli
