#include <nlohmann/json.hpp>

#include "fakeapi/cloud/secret_bodies.h"
#include "fakeapi/cloud/secret_rules.h"
#include "fakeapi/cloud/values_json.h"

namespace fakeapi::cloud {

using base::Errc;
using base::Result;
using json = nlohmann::ordered_json;

namespace {

constexpr std::size_t kMostMetadata = 32;
constexpr std::size_t kLongestKey = 128;
constexpr std::size_t kLongestEntry = 1024;
constexpr std::size_t kLongestMetadata = 8192;  // all of it
constexpr std::size_t kLongestDescription = 1024;

Result<std::string> value_of(const json& object) {
  SANDLOT_TRY(std::string value, text(object, "value"));
  SANDLOT_CHECK(check_secret_value(value));
  return value;
}

Result<std::vector<std::string>> hosts_of(const json& object) {
  auto found = object.find("hosts");
  if (found == object.end()) return refuse("hosts", "property \"hosts\" is missing");
  if (!found->is_array()) return refuse("hosts", "value must be an array");
  std::vector<std::string> hosts;
  for (const json& host : *found) {
    if (!host.is_string()) {
      return refuse("hosts/" + std::to_string(hosts.size()), "value must be a string");
    }
    hosts.push_back(host.get<std::string>());
  }
  return normalise_secret_hosts(hosts);
}

// nullopt when the body does not speak of it; null takes it away.
Result<std::optional<std::optional<std::string>>> description_of(const json& object) {
  using Description = std::optional<std::string>;
  auto found = object.find("description");
  if (found == object.end()) return std::optional<Description>();
  if (found->is_null()) return std::optional<Description>(Description());
  if (!found->is_string()) return refuse("description", "value must be a string");
  auto words = found->get<std::string>();
  if (words.size() > kLongestDescription) {
    return refuse("description", "maximum string length is " + std::to_string(kLongestDescription));
  }
  return std::optional<Description>(std::move(words));
}

Result<std::optional<SecretMetadata>> metadata_of(const json& object) {
  auto found = object.find("metadata");
  if (found == object.end()) return std::optional<SecretMetadata>();
  if (!found->is_object()) return refuse("metadata", "value must be an object");
  SecretMetadata metadata;
  std::size_t size = 0;
  for (const auto& [key, value] : found->items()) {
    if (!value.is_string()) return refuse("metadata", "values must be strings");
    auto words = value.get<std::string>();
    if (key.size() > kLongestKey || words.size() > kLongestEntry) {
      return refuse("metadata", "a key or a value is too long");
    }
    size += key.size() + words.size();
    metadata.emplace(key, std::move(words));
  }
  if (metadata.size() > kMostMetadata || size > kLongestMetadata) {
    return refuse("metadata", "there is too much of it");
  }
  return std::optional<SecretMetadata>(std::move(metadata));
}

json binding_value(const SecretInfo& secret) {
  json value = {{"name", secret.name},
                {"hosts", secret.hosts},
                {"placeholder", secret.placeholder},
                {"description", nullptr},
                {"hasSecret", true},
                {"status", "active"},
                {"updatedAt", base::format_rfc3339(secret.updated_at)}};
  if (secret.description) value["description"] = *secret.description;
  return value;
}

json secret_value(const SecretInfo& secret) {
  return {{"secretID", secret.secret_id},
          {"name", secret.name},
          {"currentVersion", secret.version},
          {"metadata", json(secret.metadata)},
          {"createdAt", base::format_rfc3339(secret.created_at)},
          {"updatedAt", base::format_rfc3339(secret.updated_at)}};
}

}  // namespace

Result<NewSecret> parse_new_binding(std::string_view body) {
  SANDLOT_TRY(json object, read_object(body));
  NewSecret wanted;
  SANDLOT_TRY(wanted.name, text(object, "name"));
  SANDLOT_CHECK(check_secret_name(wanted.name));
  SANDLOT_TRY(wanted.value, value_of(object));
  SANDLOT_TRY(wanted.hosts, hosts_of(object));
  SANDLOT_TRY(auto description, description_of(object));
  if (description) wanted.description = std::move(*description);
  return wanted;
}

Result<SecretChange> parse_binding_change(std::string_view body) {
  SANDLOT_TRY(json object, read_object(body));
  SecretChange change;
  SANDLOT_TRY(change.value, value_of(object));
  SANDLOT_TRY(change.hosts, hosts_of(object));
  SANDLOT_TRY(change.description, description_of(object));
  return change;
}

Result<NewSecret> parse_new_secret(std::string_view body) {
  SANDLOT_TRY(json object, read_object(body));
  NewSecret wanted;
  SANDLOT_TRY(std::string name, text(object, "name"));
  SANDLOT_TRY(wanted.name, canonical_secret_name(name));
  SANDLOT_TRY(wanted.value, value_of(object));
  SANDLOT_TRY(auto metadata, metadata_of(object));
  if (metadata) wanted.metadata = std::move(*metadata);
  return wanted;
}

Result<SecretChange> parse_secret_change(std::string_view body) {
  SANDLOT_TRY(json object, read_object(body));
  SecretChange change;
  SANDLOT_TRY(change.value, value_of(object));
  SANDLOT_TRY(change.metadata, metadata_of(object));
  return change;
}

std::string binding_json(const SecretInfo& secret) {
  return text_of(binding_value(secret));
}

std::string binding_list_json(std::span<const SecretInfo> secrets) {
  json array = json::array();
  for (const SecretInfo& secret : secrets) array.push_back(binding_value(secret));
  json object;
  object["secrets"] = std::move(array);
  return text_of(object);
}

std::string deleted_json(std::string_view name) {
  json object;
  object["deleted"] = name;
  return text_of(object);
}

std::string secret_json(const SecretInfo& secret) {
  return text_of(secret_value(secret));
}

std::string secret_list_json(std::span<const SecretInfo> secrets) {
  json array = json::array();
  for (const SecretInfo& secret : secrets) array.push_back(secret_value(secret));
  return text_of(array);
}

}  // namespace fakeapi::cloud
