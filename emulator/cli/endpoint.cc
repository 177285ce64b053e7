#include "emulator/cli/endpoint.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <iostream>
#include <vector>

#include <nlohmann/json.hpp>

#include "emulator/base/ids.h"
#include "emulator/base/posix.h"
#include "emulator/cli/client_environment.h"
#include "namespaces/instance.h"

namespace emulator::cli {
namespace {

using Json = nlohmann::json;

Json port_or_null(const std::optional<std::uint16_t>& port) {
  return port ? Json(*port) : Json(nullptr);
}

Json to_json(const Endpoint& endpoint) {
  return Json{{"instance", endpoint.instance},
              {"pid", endpoint.pid},
              {"startTime", endpoint.start_time},
              {"bootID", endpoint.boot_id},
              {"host", endpoint.host},
              {"port", endpoint.port},
              {"httpsPort", port_or_null(endpoint.https_port)},
              {"domain", endpoint.domain},
              {"apiKey", endpoint.api_key},
              {"caFile", endpoint.ca_file},
              {"bundleFile", endpoint.bundle_file},
              {"dnsHost", endpoint.dns_host},
              {"dnsPort", port_or_null(endpoint.dns_port)}};
}

std::string text_at(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

std::uint64_t number_at(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_number_unsigned() ? found->get<std::uint64_t>() : 0;
}

std::optional<std::uint16_t> port_at(const Json& object, const char* key) {
  const std::uint64_t port = number_at(object, key);
  if (port == 0 || port > 65535) return std::nullopt;
  return static_cast<std::uint16_t>(port);
}

// The address of the list that a client on this machine can dial.
std::string reachable(const std::vector<std::string>& hosts) {
  for (const char* any : {"127.0.0.1", "0.0.0.0", "::1", "::"}) {
    if (std::find(hosts.begin(), hosts.end(), any) == hosts.end()) continue;
    return std::string_view(any).find(':') == std::string_view::npos ? "127.0.0.1" : "::1";
  }
  return hosts.empty() ? "127.0.0.1" : hosts.front();
}

}  // namespace

Endpoint make_endpoint(const config::Options& options, std::string instance) {
  Endpoint endpoint;
  endpoint.instance = std::move(instance);
  if (auto record = namespaces::record_of_this_process()) {
    endpoint.pid = record->pid;
    endpoint.start_time = record->start_time;
    endpoint.boot_id = record->boot_id;
  }
  endpoint.host = reachable(options.hosts);
  endpoint.port = options.port;
  endpoint.https_port = options.https_port;
  endpoint.domain = options.domain;
  if (!options.api_keys.empty()) endpoint.api_key = options.api_keys.front();
  endpoint.dns_host = options.dns_host;
  endpoint.dns_port = options.dns_port;
  return endpoint;
}

base::Result<> write_endpoint(const std::filesystem::path& instance_dir, const Endpoint& endpoint) {
  const std::filesystem::path file = instance_dir / "endpoint.json";
  const std::filesystem::path fresh = instance_dir / (".endpoint-" + base::random_id(6));
  SANDLOT_CHECK(base::write_file(fresh, to_json(endpoint).dump(2) + "\n"));
  if (::chmod(fresh.c_str(), 0644) != 0 || ::rename(fresh.c_str(), file.c_str()) != 0) {
    const base::Error error = base::os_error("write " + file.string());
    ::unlink(fresh.c_str());
    return base::fail(error);
  }
  if (::chmod(instance_dir.c_str(), 0711) != 0)
    return base::fail_errno("chmod " + instance_dir.string());
  return {};
}

base::Result<Endpoint> read_endpoint(const std::filesystem::path& file) {
  SANDLOT_TRY(auto text, base::read_file(file, 1U << 20U));
  const Json object = Json::parse(text, nullptr, false);
  Endpoint endpoint;
  if (object.is_object()) {
    endpoint.instance = text_at(object, "instance");
    endpoint.pid = static_cast<pid_t>(number_at(object, "pid"));
    endpoint.start_time = number_at(object, "startTime");
    endpoint.boot_id = text_at(object, "bootID");
    endpoint.host = text_at(object, "host");
    endpoint.port = port_at(object, "port").value_or(0);
    endpoint.https_port = port_at(object, "httpsPort");
    endpoint.domain = text_at(object, "domain");
    endpoint.api_key = text_at(object, "apiKey");
    endpoint.ca_file = text_at(object, "caFile");
    endpoint.bundle_file = text_at(object, "bundleFile");
    endpoint.dns_host = text_at(object, "dnsHost");
    endpoint.dns_port = port_at(object, "dnsPort");
  }
  if (endpoint.pid <= 0 || endpoint.port == 0 || endpoint.domain.empty()) {
    return base::fail(base::Errc::kInvalidArgument, file.string() + " is not an endpoint file");
  }
  return endpoint;
}

bool is_alive(const Endpoint& endpoint) {
  namespaces::InstanceRecord record;
  record.pid = endpoint.pid;
  record.start_time = endpoint.start_time;
  record.boot_id = endpoint.boot_id;
  return namespaces::is_alive(record);
}

base::Result<Endpoint> find_endpoint(const std::filesystem::path& run_dir,
                                     std::optional<std::uint16_t> port) {
  std::vector<Endpoint> alive;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(run_dir, error)) {
    auto endpoint = read_endpoint(entry.path() / "endpoint.json");
    if (endpoint && is_alive(*endpoint)) alive.push_back(std::move(*endpoint));
  }
  if (alive.empty()) {
    return base::fail(base::Errc::kNotFound, "no emulator is running (nothing alive under " +
                                                 run_dir.string() + "); start one: sandlot serve");
  }
  std::string ports;
  for (const Endpoint& endpoint : alive) {
    if (port && endpoint.port == *port) return endpoint;
    ports += (ports.empty() ? "" : ", ") + std::to_string(endpoint.port);
  }
  if (port) {
    return base::fail(base::Errc::kNotFound, "no emulator is running on port " +
                                                 std::to_string(*port) + "; running: " + ports);
  }
  if (alive.size() == 1) return alive.front();
  for (const Endpoint& endpoint : alive) {
    if (endpoint.port == config::kDefaultPort) return endpoint;
  }
  return base::fail(base::Errc::kConflict,
                    "several emulators are running; choose one with --port: " + ports);
}

void announce_ready(const Endpoint& endpoint) {
  const Variables variables = client_environment(endpoint, Addressing::kNames);
  const std::string authority = endpoint.domain + ":" + std::to_string(endpoint.port);
  if (::isatty(STDOUT_FILENO) == 0) {
    Json line = to_json(endpoint);
    line["event"] = "ready";
    line["apiURL"] = "https://api." + authority;
    Json environment = Json::object();
    for (const auto& [name, value] : variables) environment[name] = value;
    line["env"] = std::move(environment);
    std::cout << line.dump() << std::endl;
    return;
  }
  std::cout << "Sandlot is ready (instance " << endpoint.instance << ").\n"
            << "  API          https://api." << authority << "  (http://" << authority << ")\n"
            << "  public URLs  https://<port>-<sandbox id>." << authority << "\n";
  if (endpoint.https_port) std::cout << "  TLS only     port " << *endpoint.https_port << "\n";
  if (endpoint.dns_port)
    std::cout << "  DNS          " << endpoint.dns_host << " port " << *endpoint.dns_port << "\n";
  std::cout << "\nIn the shell of a client:  eval \"$(sandlot env)\"\n\n"
            << format_variables(variables, "sh").value_or("") << std::endl;
}

}  // namespace emulator::cli
