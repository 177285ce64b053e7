#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <string>

#include <nlohmann/json.hpp>

#include "emulator/base/json.h"
#include "emulator/base/log.h"
#include "fakeapi/cloud/api_error.h"
#include "fakeapi/cloud/bodies.h"
#include "fakeapi/cloud/limits.h"
#include "fakeapi/cloud/network_options.h"
#include "fakeapi/cloud/secret_rules.h"

namespace fakeapi::cloud {

using base::Errc;
using base::Result;
using nlohmann::json;

namespace {

constexpr std::string_view kE2bOnlyOptions = "egressProxy and httpsPorts are not enforced yet";
constexpr std::int64_t kMaxInt32 = std::numeric_limits<std::int32_t>::max();

base::Error schema_error(const std::string& path, std::string_view reason) {
  return {Errc::kInvalidArgument, "validation error: request body has an error: Error at \"" +
                                      path + "\": " + std::string(reason)};
}

// The members of one JSON object, read by name and type. The first error is kept and returned by
// status(), so that a parse function reads as a list of its fields. Absent members are nullopt;
// null is an error unless drop_null() said otherwise, as in the cloud's schema.
class Fields {
 public:
  explicit Fields(json object, std::string path = "")
      : object_(std::move(object)), path_(std::move(path)) {
    if (!object_.is_object()) refuse("", "value must be an object");
  }

  Result<> status() const {
    if (error_) return base::Failure(*error_);
    return {};
  }

  bool is_null(const char* name) const {
    auto found = object_.is_object() ? object_.find(name) : object_.end();
    return found != object_.end() && found->is_null();
  }
  void drop_null(const char* name) {
    if (is_null(name)) object_.erase(name);
  }

  std::optional<bool> boolean(const char* name) {
    const json* value = member(name, &json::is_boolean, "value must be a boolean");
    if (value == nullptr) return std::nullopt;
    return value->get<bool>();
  }

  std::optional<std::string> text(const char* name) {
    const json* value = member(name, &json::is_string, "value must be a string");
    if (value == nullptr) return std::nullopt;
    return value->get<std::string>();
  }

  std::optional<std::string> required_text(const char* name) {
    require(name);
    return text(name);
  }

  // Whole numbers from 0 to `maximum`; 62.0 is whole.
  std::optional<std::int64_t> integer(const char* name, std::int64_t maximum = kMaxInt32) {
    const json* value = member(name, &json::is_number, "value must be an integer");
    if (value == nullptr) return std::nullopt;
    auto number = value->get<double>();
    if (std::trunc(number) != number) return refuse(name, "value must be an integer");
    if (number < 0) return refuse(name, "number must be at least 0");
    if (number > static_cast<double>(maximum)) {
      return refuse(name, "number must be at most " + std::to_string(maximum));
    }
    return static_cast<std::int64_t>(number);
  }

  void require(const char* name) {
    if (object_.is_object() && !object_.contains(name)) {
      refuse(name, "property \"" + std::string(name) + "\" is missing");
    }
  }

  std::optional<StringMap> string_map(const char* name) {
    const json* value = object(name);
    if (value == nullptr) return std::nullopt;
    StringMap map;
    for (const auto& [key, item] : value->items()) {
      if (!item.is_string()) {
        refuse(std::string(name) + "/" + key, type_reason(item, "value must be a string"));
        return std::nullopt;
      }
      map.emplace(key, item.get<std::string>());
    }
    return map;
  }

  std::optional<std::vector<std::string>> string_list(const char* name) {
    const json* value = list(name);
    if (value == nullptr) return std::nullopt;
    std::vector<std::string> items;
    for (const json& item : *value) {
      if (!item.is_string()) {
        refuse(std::string(name) + "/" + std::to_string(items.size()),
               type_reason(item, "value must be a string"));
        return std::nullopt;
      }
      items.push_back(item.get<std::string>());
    }
    return items;
  }

  const json* object(const char* name) {
    return member(name, &json::is_object, "value must be an object");
  }
  const json* list(const char* name) {
    return member(name, &json::is_array, "value must be an array");
  }

  // A Fields of a member object, with paths that begin here; nullopt when absent.
  std::optional<Fields> nested(const char* name) {
    const json* value = object(name);
    if (value == nullptr) return std::nullopt;
    return Fields(*value, path_ + "/" + name);
  }
  // A Fields of what is inside a member; adopt() it.
  Fields inside(const json& value, const std::string& place) const {
    return Fields(value, path_ + "/" + place);
  }
  // Takes over a nested object's error.
  void adopt(const Fields& inner) {
    if (!error_ && inner.error_) error_ = inner.error_;
  }

  std::nullopt_t refuse(const std::string& name, std::string_view reason) {
    if (!error_) error_ = schema_error(path_ + "/" + name, reason);
    return std::nullopt;
  }

  // Names of members that are not in `known`.
  std::string unknown(std::span<const BodyKey> known) const {
    std::string names;
    if (!object_.is_object()) return names;
    for (const auto& item : object_.items()) {
      const std::string& key = item.key();
      bool is_known = std::any_of(known.begin(), known.end(),
                                  [&](const BodyKey& entry) { return entry.name == key; });
      if (!is_known) names += (names.empty() ? "" : ",") + key;
    }
    return names;
  }

 private:
  static std::string_view type_reason(const json& value, std::string_view reason) {
    return value.is_null() ? "Value is not nullable" : reason;
  }

  const json* member(const char* name,
                     bool (json::*is_type)() const noexcept,
                     std::string_view reason) {
    if (!object_.is_object()) return nullptr;
    auto found = object_.find(name);
    if (found == object_.end()) return nullptr;
    if (((*found).*is_type)()) return &*found;
    refuse(name, type_reason(*found, reason));
    return nullptr;
  }

  json object_;
  std::string path_;
  std::optional<base::Error> error_;
};

// The body as JSON. nlohmann reports by exception; this is the edge that catches it (style 3,
// errors).
Result<Fields> read_fields(std::string_view body) {
  if (body.find_first_not_of(" \t\r\n") == std::string_view::npos) {
    return base::fail(Errc::kInvalidArgument,
                      "validation error: request body has an error: value is required but missing");
  }
  if (base::nested_too_deep(body)) {
    return base::fail(Errc::kInvalidArgument, "Error when parsing request: it is nested too deep");
  }
  try {
    return Fields(json::parse(body));
  } catch (const json::exception& error) {
    // "[json.exception.parse_error.101] parse error at line 1, column 2: ...": without the tag.
    std::string_view reason = error.what();
    auto tag = reason.find("] ");
    if (tag != std::string_view::npos) reason.remove_prefix(tag + 2);
    constexpr std::size_t kLongestReason = 300;  // it quotes the input
    return base::fail(Errc::kInvalidArgument, "Error when parsing request: " +
                                                  std::string(reason.substr(0, kLongestReason)));
  }
}

// Pauses and refreshes may come without a body.
Result<Fields> read_optional_fields(std::string_view body) {
  if (body.find_first_not_of(" \t\r\n") == std::string_view::npos) return Fields(json::object());
  return read_fields(body);
}

void report_unknown(const Fields& fields, std::span<const BodyKey> known, std::string_view what) {
  std::string names = fields.unknown(known);
  if (!names.empty()) {
    base::log::debug("api.unknown_keys", {{"body", std::string(what)}, {"keys", names}});
  }
}

std::optional<NetworkRules> read_rules(Fields& fields) {
  const json* hosts = fields.object("rules");
  if (hosts == nullptr) return std::nullopt;
  NetworkRules rules;
  for (const auto& [host, list] : hosts->items()) {
    if (!list.is_array()) return fields.refuse("rules/" + host, "value must be an array");
    std::vector<NetworkRule>& of_host = rules[host];
    for (const json& item : list) {
      Fields rule = fields.inside(item, "rules/" + host + "/" + std::to_string(of_host.size()));
      NetworkRule& read = of_host.emplace_back();
      if (auto transform = rule.nested("transform")) {
        read.transform.emplace().headers = transform->string_map("headers");
        rule.adopt(*transform);
      }
      fields.adopt(rule);
    }
  }
  return rules;
}

// The members of `network` that PUT .../network has too. `options` is filled as far as it goes.
void read_egress(Fields& fields, NetworkOptions& options) {
  options.allow_out = fields.string_list("allowOut");
  options.deny_out = fields.string_list("denyOut");
  options.rules = read_rules(fields);
  fields.drop_null("egressProxy");
  options.has_egress_proxy = fields.object("egressProxy") != nullptr;
  const json* ports = fields.list("httpsPorts");
  options.has_https_ports = ports != nullptr && !ports->empty();
}

// nullopt when there is none; the caller checks and decides what to do with it.
std::optional<NetworkOptions> read_network(Fields& fields) {
  auto network = fields.nested("network");
  if (!network) return std::nullopt;
  NetworkOptions options;
  read_egress(*network, options);
  options.allow_public_traffic = network->boolean("allowPublicTraffic");
  options.mask_request_host = network->text("maskRequestHost");
  fields.adopt(*network);
  report_unknown(*network, network_keys(), "network");
  return options;
}

// Both spellings; if either says no, it is no, and null says no (NET-2, NET-6).
std::optional<bool> read_internet_access(Fields& fields) {
  std::optional<bool> access;
  for (const char* name : {"allow_internet_access", "allowInternetAccess"}) {
    std::optional<bool> value;
    if (fields.is_null(name)) {
      fields.drop_null(name);
      value = false;
    } else {
      value = fields.boolean(name);
    }
    if (value) access = *value && access.value_or(true);
  }
  return access;
}

// The kernel would cut or misread such a variable; the cloud's schema does not say.
void check_environment(Fields& fields, const StringMap& variables) {
  for (const auto& [name, value] : variables) {
    bool bad_name =
        name.empty() || name.find_first_of(std::string_view("=\0", 2)) != std::string::npos;
    if (bad_name || value.find('\0') != std::string::npos) {
      fields.refuse("envVars/" + name,
                    "an environment variable's name is not empty and has no '=', "
                    "and neither name nor value has a zero byte");
    }
  }
}

// Options of create whose support has its own issue: 501 as soon as one asks for something.
struct NotBuiltYet {
  bool network = false;
  bool node = false;
  bool identity = false;

  Result<> status() const {
    if (network) return refuse("network", kE2bOnlyOptions);
    if (node) return refuse("choosing a node with nodeID");
    if (identity) return refuse("workload identity with iam");
    return {};
  }

 private:
  static base::Failure refuse(std::string_view what, std::string_view reason = {}) {
    return base::Failure(not_built(what, reason));
  }
};

std::vector<VolumeMount> read_volume_mounts(Fields& fields) {
  std::vector<VolumeMount> mounts;
  const json* list = fields.list("volumeMounts");
  for (std::size_t i = 0; list != nullptr && i < list->size(); ++i) {
    Fields mount((*list)[i], "/volumeMounts/" + std::to_string(i));
    VolumeMount wanted;
    wanted.name = mount.required_text("name").value_or("");
    wanted.path = mount.required_text("path").value_or("");
    fields.adopt(mount);
    mounts.push_back(std::move(wanted));
  }
  return mounts;
}

NotBuiltYet read_not_built(Fields& fields) {
  NotBuiltYet options;
  options.node = !fields.text("nodeID").value_or("").empty();
  if (auto identity = fields.nested("iam")) {
    const json* tokens = identity->object("tokens");
    options.identity = tokens != nullptr && !tokens->empty();
    fields.adopt(*identity);
  }
  fields.drop_null("mcp");
  fields.object("mcp");
  return options;
}

}  // namespace

Result<NewSandbox> parse_new_sandbox(std::string_view body, const PublicUrls& urls) {
  SANDLOT_TRY(Fields fields, read_fields(body));
  NewSandbox request;
  request.template_id = fields.required_text("templateID").value_or("");
  request.metadata = fields.string_map("metadata");
  request.env_vars = fields.string_map("envVars").value_or(StringMap());
  check_environment(fields, request.env_vars);
  std::chrono::seconds timeout(fields.integer("timeout").value_or(kDefaultTimeout.count()));
  request.timeout = cap_timeout(timeout, request.metadata);
  request.secure = fields.boolean("secure").value_or(true);
  request.auto_pause = fields.boolean("autoPause").value_or(false);
  request.auto_pause_memory = fields.boolean("autoPauseMemory").value_or(true);
  if (auto auto_resume = fields.nested("autoResume")) {
    auto_resume->require("enabled");
    request.auto_resume = auto_resume->boolean("enabled").value_or(false);
    fields.adopt(*auto_resume);
  }
  request.allow_internet_access = read_internet_access(fields);
  request.network = read_network(fields);
  request.volume_mounts = read_volume_mounts(fields);
  request.secrets = fields.string_map("secrets").value_or(StringMap());
  NotBuiltYet not_built_yet = read_not_built(fields);
  not_built_yet.network = request.network && request.network->asks_for_what_is_not_built();
  SANDLOT_CHECK(fields.status());
  SANDLOT_CHECK(idle_timeout(request.metadata));
  SANDLOT_CHECK(check_secret_variables(request.secrets, request.env_vars));
  report_unknown(fields, new_sandbox_keys(), "create");
  SANDLOT_CHECK(check_new_life(request.timeout));
  if (request.template_id.empty()) {
    return base::fail(Errc::kInvalidArgument,
                      "Invalid template reference: template ID cannot be empty");
  }
  if (!request.auto_pause_memory && !request.auto_pause) {
    return base::fail(Errc::kInvalidArgument,
                      "autoPauseMemory=false only applies when autoPause is true.");
  }
  if (!request.auto_pause_memory && request.auto_resume) {
    return base::fail(
        Errc::kInvalidArgument,
        "autoPauseMemory=false (filesystem-only auto-pause) cannot be combined with "
        "autoResume: a filesystem-only snapshot cannot be auto-resumed by traffic and "
        "must be resumed explicitly.");
  }
  if (request.network) {
    SANDLOT_CHECK(validate(*request.network, urls));
    SANDLOT_CHECK(validate_secure(*request.network, request.secure));
  }
  SANDLOT_CHECK(not_built_yet.status());
  return request;
}

Result<ConnectBody> parse_connect(std::string_view body) {
  SANDLOT_TRY(Fields fields, read_fields(body));
  ConnectBody request;
  request.timeout =
      std::chrono::seconds(fields.integer("timeout").value_or(kDefaultTimeout.count()));
  request.secure = fields.boolean("secure");
  request.auto_pause = fields.boolean("autoPause");
  request.keep_memory = fields.boolean("memory").value_or(true);
  request.network = read_network(fields);
  if (auto public_traffic = fields.boolean("allowPublicTraffic")) {
    if (!request.network) request.network.emplace();
    request.network->allow_public_traffic = public_traffic;
  }
  SANDLOT_CHECK(fields.status());
  report_unknown(fields, connect_keys(), "connect");
  if (request.network && request.network->asks_for_what_is_not_built()) {
    return base::Failure(not_built("network", kE2bOnlyOptions));
  }
  if (request.network && !request.network->says_something()) request.network.reset();
  return request;
}

Result<NetworkUpdate> parse_network_update(std::string_view body, const PublicUrls& urls) {
  SANDLOT_TRY(Fields fields, read_fields(body));
  NetworkUpdate update;
  read_egress(fields, update.network);
  update.allow_internet_access = read_internet_access(fields);
  SANDLOT_CHECK(fields.status());
  report_unknown(fields, network_update_keys(), "network update");
  SANDLOT_CHECK(validate(update.network, urls));
  if (update.network.asks_for_what_is_not_built()) {
    return base::Failure(not_built("network", kE2bOnlyOptions));
  }
  return update;
}

Result<std::chrono::seconds> parse_timeout(std::string_view body) {
  SANDLOT_TRY(Fields fields, read_fields(body));
  fields.require("timeout");
  auto timeout = fields.integer("timeout");
  SANDLOT_CHECK(fields.status());
  return std::chrono::seconds(timeout.value_or(0));
}

Result<std::chrono::seconds> parse_refresh(std::string_view body) {
  SANDLOT_TRY(Fields fields, read_optional_fields(body));
  constexpr std::int64_t kLongestRefresh = 3600;
  constexpr std::int64_t kShortestRefresh = 15;  // shorter ones are lifted to it, as in the cloud
  auto duration = fields.integer("duration", kLongestRefresh);
  SANDLOT_CHECK(fields.status());
  return std::chrono::seconds(std::max(duration.value_or(kShortestRefresh), kShortestRefresh));
}

Result<int> parse_hotplug_memory(std::string_view body) {
  SANDLOT_TRY(Fields fields, read_optional_fields(body));
  fields.require("requested_size_mib");
  auto size = fields.integer("requested_size_mib");
  SANDLOT_CHECK(fields.status());
  if (*size % kMemoryBlockMb != 0) {
    return base::Failure(schema_error("/requested_size_mib", "number must be a multiple of 2"));
  }
  return static_cast<int>(*size);
}

Result<bool> parse_pause(std::string_view body) {
  SANDLOT_TRY(Fields fields, read_optional_fields(body));
  bool keep_memory = fields.boolean("memory").value_or(true);
  fields.boolean("sync");
  SANDLOT_CHECK(fields.status());
  return keep_memory;
}

}  // namespace fakeapi::cloud
