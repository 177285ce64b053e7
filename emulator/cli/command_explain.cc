#include <iostream>

#include <nlohmann/json.hpp>

#include "emulator/cli/commands.h"
#include "emulator/cli/endpoint.h"
#include "emulator/cli/http_probe.h"

namespace emulator::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr auto kLimit = std::chrono::seconds(10);

// A path segment: everything but letters and digits in percent form.
std::string escaped(const std::string& text) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isalnum(byte) != 0) {
      out += c;
    } else {
      out.append("%").append(1, kHex[byte >> 4U]).append(1, kHex[byte & 0x0fU]);
    }
  }
  return out;
}

std::string text_of(const Json& body, const char* key) {
  return body.contains(key) && body[key].is_string() ? body[key].get<std::string>() : "";
}

// Whatever answers on that port may not be Sandlot: nothing in its body is taken for granted.
Json list_of(const Json& body, const char* key) {
  return body.contains(key) && body[key].is_array() ? body[key] : Json::array();
}

void print(const Json& body, const std::string& destination) {
  std::cout << text_of(body, "decision") << ": " << destination << " (" << text_of(body, "protocol")
            << " " << text_of(body, "destinationIP");
  const Json port = body.contains("destinationPort") ? body["destinationPort"] : Json(0);
  if (port.is_number_unsigned() && port != 0) std::cout << ":" << port;
  const std::string name = text_of(body, "serverName");
  if (!name.empty()) std::cout << ", shows the name " << name;
  std::cout << ")\nrule: " << text_of(body, "rule") << "\n";
  for (const Json& step : list_of(body, "trace")) {
    const bool matched = step.contains("matched") && step["matched"] == true;
    std::cout << (matched ? "  -> " : "     ") << text_of(step, "rule") << "\n";
  }
  for (const Json& target : list_of(body, "dials"))
    if (target.is_string()) std::cout << "dials: " << target.get<std::string>() << "\n";
  if (const Json dns = body.contains("dns") ? body["dns"] : Json();
      text_of(dns, "decision") == "blocked") {
    std::cout << "the sandbox cannot look the name up: " << text_of(dns, "rule")
              << " denies 8.8.8.8\n";
  }
  std::cout << text_of(body, "change") << std::endl;
}

}  // namespace

int run_explain(const config::CommandLine& line) {
  auto endpoint = find_endpoint(line.options.run_dir, asked_port(line));
  if (!endpoint) {
    std::cerr << "sandlot explain: " << endpoint.error().message() << std::endl;
    return endpoint.error().code() == base::Errc::kConflict ? config::kUsage : config::kNotReady;
  }
  const std::string& destination = line.arguments[1];
  const Json question = {{"url", destination}};
  auto answer = http_post(endpoint->host, endpoint->port,
                          "/_sandlot/sandboxes/" + escaped(line.arguments[0]) + "/explain",
                          question.dump(-1, ' ', false, Json::error_handler_t::replace), kLimit);
  if (!answer) {
    std::cerr << "sandlot explain: " << answer.error().message() << std::endl;
    return config::kFailure;
  }
  const Json body = Json::parse(answer->body, nullptr, false);
  if (answer->status != 200 || !body.is_object()) {
    std::string reason = body.is_object() ? text_of(body, "message") : "";
    if (reason.empty()) reason = "the emulator answers " + std::to_string(answer->status);
    std::cerr << "sandlot explain: " << reason << std::endl;
    return answer->status == 400 ? config::kUsage : config::kFailure;
  }
  if (line.json) {
    std::cout << body.dump(2) << std::endl;
  } else {
    print(body, destination);
  }
  return config::kOk;
}

}  // namespace emulator::cli
