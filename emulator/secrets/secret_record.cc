#include "emulator/secrets/secret_record.h"

#include <nlohmann/json.hpp>

namespace emulator::secrets {

using nlohmann::json;

std::int64_t milliseconds(base::TimePoint time) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count();
}

std::string body_column(const Secret& secret) {
  json body = {
      {"id", secret.info.secret_id},    {"value", secret.value},
      {"hosts", secret.info.hosts},     {"placeholder", secret.info.placeholder},
      {"description", nullptr},         {"metadata", secret.info.metadata},
      {"version", secret.info.version}, {"createdAt", milliseconds(secret.info.created_at)}};
  if (secret.info.description) body["description"] = *secret.info.description;
  return body.dump();
}

base::Result<Secret> secret_of(const std::string& name,
                               const std::string& body,
                               std::int64_t updated_at_ms) {
  // nlohmann reports by exception, and quotes what it read; this is the edge that catches it.
  try {
    json value = json::parse(body);
    Secret secret;
    secret.info.name = name;
    secret.info.secret_id = value.at("id").get<std::string>();
    secret.value = value.at("value").get<std::string>();
    secret.info.hosts = value.at("hosts").get<std::vector<std::string>>();
    secret.info.placeholder = value.at("placeholder").get<std::string>();
    if (value.at("description").is_string()) {
      secret.info.description = value.at("description").get<std::string>();
    }
    secret.info.metadata = value.at("metadata").get<fakeapi::cloud::SecretMetadata>();
    secret.info.version = value.at("version").get<std::int64_t>();
    secret.info.created_at =
        base::TimePoint(std::chrono::milliseconds(value.at("createdAt").get<std::int64_t>()));
    secret.info.updated_at = base::TimePoint(std::chrono::milliseconds(updated_at_ms));
    return secret;
  } catch (const json::exception&) {
    return base::fail(base::Errc::kInternal, "secret '" + name + "' cannot be read");
  }
}

}  // namespace emulator::secrets
