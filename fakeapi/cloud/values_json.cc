#include "fakeapi/cloud/values_json.h"

#include <nlohmann/json.hpp>

#include "emulator/base/json.h"

namespace fakeapi::cloud {

using base::Errc;
using base::Result;
using json = nlohmann::ordered_json;

base::Failure refuse(std::string_view path, std::string_view reason) {
  return base::fail(Errc::kInvalidArgument,
                    "validation error: request body has an error: Error at \"/" +
                        std::string(path) + "\": " + std::string(reason));
}

// What the parser would say quotes the body.
Result<json> read_object(std::string_view body) {
  json value = base::parse_json<json>(body);
  if (value.is_discarded()) {
    return base::fail(Errc::kInvalidArgument, "Error when parsing request: it is not JSON");
  }
  if (!value.is_object()) return refuse("", "value must be an object");
  return value;
}

Result<std::string> text(const json& object, const char* name) {
  auto found = object.find(name);
  if (found == object.end())
    return refuse(name, "property \"" + std::string(name) + "\" is missing");
  if (!found->is_string()) return refuse(name, "value must be a string");
  return found->get<std::string>();
}

std::string text_of(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

}  // namespace fakeapi::cloud
