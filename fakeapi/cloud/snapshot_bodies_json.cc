#include <cmath>
#include <limits>

#include <nlohmann/json.hpp>

#include "emulator/base/json.h"
#include "fakeapi/cloud/bodies.h"
#include "fakeapi/cloud/limits.h"
#include "fakeapi/cloud/snapshot_bodies.h"

namespace fakeapi::cloud {

using base::Errc;
using base::Result;
using nlohmann::json;

namespace {

// The scalar members of a small body; the first error is kept. null counts as absent.
class Body {
 public:
  explicit Body(std::string_view text) {
    if (text.find_first_not_of(" \t\r\n") == std::string_view::npos) text = "{}";
    object_ = base::parse_json<json>(text);
    if (object_.is_discarded()) {
      error_ = base::Error(Errc::kInvalidArgument, "Error when parsing request: invalid JSON");
    } else if (!object_.is_object()) {
      refuse("", "value must be an object");
    }
  }

  Result<> status() const {
    if (error_) return base::Failure(*error_);
    return {};
  }

  std::optional<bool> boolean(const char* name) {
    const json* value = member(name);
    if (value == nullptr) return std::nullopt;
    if (value->is_boolean()) return value->get<bool>();
    return refuse(name, "value must be a boolean");
  }

  std::optional<std::string> text(const char* name) {
    const json* value = member(name);
    if (value == nullptr) return std::nullopt;
    if (value->is_string()) return value->get<std::string>();
    return refuse(name, "value must be a string");
  }

  std::optional<int> integer(const char* name, int least, int most) {
    const json* value = member(name);
    if (value == nullptr) return std::nullopt;
    double number = value->is_number() ? value->get<double>() : 0.5;
    if (std::trunc(number) != number) return refuse(name, "value must be an integer");
    if (number < least) return refuse(name, "number must be at least " + std::to_string(least));
    if (number > most) return refuse(name, "number must be at most " + std::to_string(most));
    return static_cast<int>(number);
  }

  std::optional<std::chrono::seconds> seconds(const char* name) {
    auto value = integer(name, 0, std::numeric_limits<std::int32_t>::max());
    if (!value) return std::nullopt;
    return std::chrono::seconds(*value);
  }

 private:
  const json* member(const char* name) const {
    if (error_) return nullptr;
    auto found = object_.find(name);
    return found == object_.end() || found->is_null() ? nullptr : &*found;
  }
  std::nullopt_t refuse(const std::string& name, std::string_view reason) {
    error_ = base::Error(Errc::kInvalidArgument,
                         "validation error: request body has an error: Error at \"/" + name +
                             "\": " + std::string(reason));
    return std::nullopt;
  }

  json object_;
  std::optional<base::Error> error_;
};

Result<std::string> parse_text(std::string_view text, const char* name) {
  Body body(text);
  std::string value = body.text(name).value_or("");
  SANDLOT_CHECK(body.status());
  return value;
}

}  // namespace

Result<std::string> parse_snapshot_name(std::string_view body) {
  return parse_text(body, "name");
}

Result<std::string> parse_commit_alias(std::string_view body) {
  return parse_text(body, "alias");
}

Result<CloneRequest> parse_clone(std::string_view text) {
  Body body(text);
  CloneRequest request;
  request.count = body.integer("count", 1, kMostClones).value_or(1);
  request.strict = body.boolean("strict").value_or(false);
  request.timeout = body.seconds("timeout");
  body.text("nodeID");
  SANDLOT_CHECK(body.status());
  return request;
}

Result<CloneRequest> parse_fork(std::string_view text) {
  Body body(text);
  CloneRequest request;
  request.count = body.integer("count", 1, kMostClones).value_or(1);
  request.timeout = body.seconds("timeout").value_or(std::chrono::seconds(15));
  request.fork = true;
  SANDLOT_CHECK(body.status());
  SANDLOT_CHECK(check_new_life(*request.timeout));
  return request;
}

Result<ResetBody> parse_reset(std::string_view text) {
  Body body(text);
  ResetBody request;
  request.resume = body.boolean("resume").value_or(true);
  request.timeout = body.seconds("timeout");
  SANDLOT_CHECK(body.status());
  // The rest is what connect can change.
  constexpr std::string_view kBlank = " \t\r\n";
  if (text.find_first_not_of(kBlank) == std::string_view::npos) return request;
  SANDLOT_TRY(ConnectBody change, parse_connect(text));
  request.secure = change.secure;
  request.network = std::move(change.network);
  return request;
}

}  // namespace fakeapi::cloud
