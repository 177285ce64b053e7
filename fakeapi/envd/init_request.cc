#include "fakeapi/envd/init_request.h"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "emulator/base/json.h"
#include "fakeapi/envd/digits.h"

namespace fakeapi::envd {

using base::Errc;
using nlohmann::json;

namespace {

using Time = std::chrono::system_clock::time_point;

// RFC 3339: "2026-01-02T03:04:05.678Z" or with an offset.
std::optional<Time> parse_time(std::string_view text) {
  using namespace std::chrono;  // NOLINT(google-build-using-namespace)
  if (text.size() < 20 || text[4] != '-' || text[7] != '-' || text[13] != ':' || text[16] != ':')
    return std::nullopt;
  auto year_number = parse_digits(text.substr(0, 4));
  auto month_number = parse_digits(text.substr(5, 2));
  auto day_number = parse_digits(text.substr(8, 2));
  auto hour = parse_digits(text.substr(11, 2));
  auto minute = parse_digits(text.substr(14, 2));
  auto second = parse_digits(text.substr(17, 2));
  if (!year_number || !month_number || !day_number || !hour || !minute || !second)
    return std::nullopt;
  year_month_day date(year(*year_number), month(static_cast<unsigned>(*month_number)),
                      day(static_cast<unsigned>(*day_number)));
  if (!date.ok()) return std::nullopt;
  // What system_clock can hold in nanoseconds ends in 2262, and began in 1677.
  date = std::clamp(date.year(), year(1700), year(2200)) / date.month() / date.day();
  Time time = sys_days(date) + hours(*hour) + minutes(*minute) + seconds(*second);
  text.remove_prefix(19);
  if (text.starts_with('.')) {
    std::int64_t scale = 1000000000;
    std::int64_t fraction = 0;
    for (text.remove_prefix(1); !text.empty() && text[0] >= '0' && text[0] <= '9';
         text.remove_prefix(1)) {
      scale /= 10;
      fraction += (text[0] - '0') * scale;
    }
    time += duration_cast<Time::duration>(nanoseconds(fraction));
  }
  if (text == "Z" || text == "z") return time;
  if (text.size() != 6 || (text[0] != '+' && text[0] != '-')) return std::nullopt;
  auto offset_hours = parse_digits(text.substr(1, 2));
  auto offset_minutes = parse_digits(text.substr(4, 2));
  if (!offset_hours || !offset_minutes) return std::nullopt;
  auto offset = hours(*offset_hours) + minutes(*offset_minutes);
  return text[0] == '+' ? time - offset : time + offset;
}

std::optional<std::string> text_field(const json& object, const char* name) {
  auto found = object.find(name);
  if (found == object.end() || !found->is_string()) return std::nullopt;
  return found->get<std::string>();
}

// Whether what is there has the types it should have: a value that is misread could open a sandbox.
bool well_formed(const json& object) {
  for (const char* name : {"accessToken", "timestamp", "defaultUser", "defaultWorkdir"}) {
    auto found = object.find(name);
    if (found != object.end() && !found->is_string() && !found->is_null()) return false;
  }
  auto variables = object.find("envVars");
  if (variables == object.end() || variables->is_null()) return true;
  return variables->is_object() && std::all_of(variables->begin(), variables->end(),
                                               [](const json& value) { return value.is_string(); });
}

bool present(const json& object, const char* name) {
  auto found = object.find(name);
  return found != object.end() && !found->is_null() && !(found->is_array() && found->empty()) &&
         !(found->is_string() && found->get_ref<const std::string&>().empty());
}

}  // namespace

base::Result<InitRequest> parse_init_request(std::string_view text) {
  json body = text.empty() ? json::object() : base::parse_json<json>(text);
  if (!body.is_object()) return base::fail(Errc::kInvalidArgument, "not a JSON object");
  if (!well_formed(body)) return base::fail(Errc::kInvalidArgument, "a field has another type");
  InitRequest request;
  for (const char* name : {"volumeMounts", "hyperloopIP", "caBundle"}) {
    if (request.unsupported.empty() && present(body, name)) request.unsupported = name;
  }
  request.access_token = text_field(body, "accessToken");
  // As it is, or not at all: the daemon takes none that is written with escapes.
  if (request.access_token && text.find('"' + *request.access_token + '"') == text.npos) {
    request.escaped_token = true;
  }
  request.default_user = text_field(body, "defaultUser").value_or("");
  request.default_workdir = text_field(body, "defaultWorkdir").value_or("");
  if (auto stamp = text_field(body, "timestamp")) {
    request.timestamp = parse_time(*stamp);
    if (!request.timestamp) return base::fail(Errc::kInvalidArgument, "not a time: " + *stamp);
  }
  auto variables = body.find("envVars");
  if (variables == body.end() || !variables->is_object()) return request;
  request.env_vars.emplace();
  for (const auto& [name, value] : variables->items()) {
    (*request.env_vars)[name] = value.get<std::string>();
  }
  return request;
}

}  // namespace fakeapi::envd
