#include "emulator/fakenet/toml_text.h"

#include <cmath>

#include <nlohmann/json.hpp>

// Compiled into this file alone, and without exceptions.
#define TOML_HEADER_ONLY 1
#define TOML_EXCEPTIONS 0
#define TOML_ENABLE_FORMATTERS 0
#include <toml++/toml.h>

namespace emulator::fakenet {

namespace {

using Json = nlohmann::ordered_json;

std::string place_of(const toml::source_region& source) {
  return "line " + std::to_string(source.begin.line) + ", column " +
         std::to_string(source.begin.column);
}

base::Failure wrong(const toml::node& node, const std::string& what) {
  return base::fail(base::Errc::kInvalidArgument, place_of(node.source()) + ": " + what);
}

base::Result<Json> json_of(const toml::node& node) {
  if (const auto* table = node.as_table()) {
    Json object = Json::object();
    for (const auto& [key, value] : *table) {
      SANDLOT_TRY(object[std::string(key.str())], json_of(value));
    }
    return object;
  }
  if (const auto* array = node.as_array()) {
    Json list = Json::array();
    for (const toml::node& item : *array) {
      SANDLOT_TRY(Json value, json_of(item));
      list.push_back(std::move(value));
    }
    return list;
  }
  if (const auto* text = node.as_string()) return Json(text->get());
  if (const auto* flag = node.as_boolean()) return Json(flag->get());
  if (const auto* number = node.as_integer()) {
    // The reader tells lengths of time by their being unsigned.
    return number->get() < 0 ? Json(number->get())
                             : Json(static_cast<std::uint64_t>(number->get()));
  }
  if (const auto* number = node.as_floating_point()) {
    if (std::isfinite(number->get())) return Json(number->get());
    return wrong(node, "a number must be finite");
  }
  return wrong(node, "dates and times have no meaning here; a string has");
}

}  // namespace

base::Result<std::string> json_of_toml(std::string_view toml) {
  toml::parse_result parsed = toml::parse(toml);
  if (!parsed) {
    const toml::parse_error& error = parsed.error();
    return base::fail(base::Errc::kInvalidArgument,
                      place_of(error.source()) + ": " + std::string(error.description()));
  }
  SANDLOT_TRY(Json json, json_of(parsed.table()));
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace emulator::fakenet
