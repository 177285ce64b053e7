// What the *_json.cc files share: reading the values of a request's object, with the cloud's words
// for what is wrong, and writing an answer.
#pragma once

#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

#include "emulator/base/result.h"

namespace fakeapi::cloud {

// kInvalidArgument, in the words of the cloud's schema check. `path` as in "hosts/0"; "": the body.
base::Failure refuse(std::string_view path, std::string_view reason);
// The body, which must be a JSON object. Its text is in no error: it may hold secrets.
base::Result<nlohmann::ordered_json> read_object(std::string_view body);
// A member that must be there and be a string.
base::Result<std::string> text(const nlohmann::ordered_json& object, const char* name);
// The text of an answer; what is not UTF-8 is replaced.
std::string text_of(const nlohmann::ordered_json& value);

}  // namespace fakeapi::cloud
