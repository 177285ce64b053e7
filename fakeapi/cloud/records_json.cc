#include "fakeapi/cloud/records_json.h"

#include <nlohmann/json.hpp>

#include "fakeapi/cloud/values_json.h"

namespace fakeapi::cloud {

namespace {

using json = nlohmann::ordered_json;

json event_value(const SandboxEvent& event, const std::map<std::string, std::string>& names) {
  auto seconds = std::chrono::floor<std::chrono::seconds>(event.time).time_since_epoch().count();
  auto name = names.find(event.template_id);
  return {{"eventID", std::to_string(event.number)},
          {"recordAt", seconds},
          {"templateID", event.template_id},
          {"templateName", name == names.end() ? std::string() : name->second},
          {"sandboxID", event.sandbox_id},
          {"eventName", event.name},
          {"state", event.success ? kSuccess : kFailed},
          {"errorMsg", event.error},
          {"statusCode", event.status_code}};
}

json entry_value(const LogEntry& entry) {
  json fields = json::object();
  for (const auto& [key, value] : entry.fields) fields[key] = value;
  return {{"timestamp", base::format_rfc3339(entry.time)},
          {"level", to_string(entry.level)},
          {"message", entry.message},
          {"fields", std::move(fields)}};
}

json entry_array(std::span<const LogEntry> entries) {
  json array = json::array();
  for (const LogEntry& entry : entries) array.push_back(entry_value(entry));
  return array;
}

}  // namespace

std::string events_json(const EventPage& page,
                        const EventQuery& query,
                        const std::map<std::string, std::string>& names) {
  json body;
  body["items"] = json::array();
  for (const SandboxEvent& event : page.items) body["items"].push_back(event_value(event, names));
  body["total"] = page.total;
  body["hasMore"] = query.offset + page.items.size() < page.total;
  return text_of(body);
}

std::string logs_json(std::span<const LogEntry> entries) {
  json body;
  body["logs"] = json::array();
  for (const LogEntry& entry : entries) {
    // One line is the whole entry, as the cloud's collector has it.
    json line = entry_value(entry);
    body["logs"].push_back({{"timestamp", line["timestamp"]}, {"line", text_of(line)}});
  }
  body["logEntries"] = entry_array(entries);
  return text_of(body);
}

std::string logs_v2_json(std::span<const LogEntry> entries) {
  json body;
  body["logs"] = entry_array(entries);
  return text_of(body);
}

}  // namespace fakeapi::cloud
