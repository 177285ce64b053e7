#include "emulator/journal/redaction.h"

#include <algorithm>
#include <array>

#include <nlohmann/json.hpp>

#include "emulator/base/json.h"

namespace emulator::journal {

namespace {

using Json = nlohmann::ordered_json;

// Lower case, letters and digits only: "X-API-Key" and "apiKey" have one spelling.
std::string plain(std::string_view name) {
  std::string text;
  for (char c : name) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
    if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')) text += c;
  }
  return text;
}

constexpr std::array<std::string_view, 15> kSecretParts = {
    "token",          "secret",        "password",  "passwd",     "apikey",
    "accesskey",      "privatekey",    "signature", "cookie",     "credential",
    "serviceaccount", "authorization", "keyid",     "passphrase", "bearer"};
// Everything below these may be a secret, whatever it is called.
constexpr std::array<std::string_view, 10> kSecretObjects = {
    "envvars", "envs",    "env",         "mcp",     "fromimageregistry",
    "rules",   "headers", "egressproxy", "secrets", "iam"};

// "https://host/files?token=x" inside a string value.
std::string redact_text(const std::string& text) {
  bool address = text.find('?') != std::string::npos && text.find('=') != std::string::npos;
  return address ? redact_target(text) : text;
}

void redact(Json& value, bool all) {
  if (value.is_string()) {
    value = all ? Json(kRedacted) : Json(redact_text(value.get<std::string>()));
  } else if (value.is_array()) {
    for (Json& item : value) redact(item, all);
  } else if (value.is_object()) {
    for (auto& [key, item] : value.items()) {
      std::string name = plain(key);
      bool below =
          std::find(kSecretObjects.begin(), kSecretObjects.end(), name) != kSecretObjects.end() &&
          item.is_structured();
      redact(item, all || below || name == "value" || is_secret_name(key));
    }
  } else if (all && value.is_number()) {
    value = kRedacted;
  }
}

std::string size_text(std::size_t size) {
  return "(" + std::to_string(size) + " bytes)";
}

}  // namespace

bool is_secret_name(std::string_view name) {
  std::string text = plain(name);
  if (text == "key") return true;
  if (text == "nexttoken" || text == "xnexttoken") return false;
  return std::any_of(kSecretParts.begin(), kSecretParts.end(),
                     [&](std::string_view part) { return text.find(part) != std::string::npos; });
}

std::string redact_target(std::string_view target) {
  auto mark = target.find('?');
  if (mark == std::string_view::npos) return std::string(target);
  std::string text(target.substr(0, mark + 1));
  std::string_view rest = target.substr(mark + 1);
  for (bool first = true; first || !rest.empty(); first = false) {
    std::string_view pair = rest.substr(0, rest.find('&'));
    rest.remove_prefix(std::min(pair.size() + 1, rest.size()));
    if (!first) text += '&';
    auto equals = pair.find('=');
    bool secret = equals != std::string_view::npos && is_secret_name(pair.substr(0, equals));
    text += secret ? pair.substr(0, equals + 1) : pair;
    if (secret) text += kRedacted;
  }
  return text;
}

std::string redact_body(std::string_view body, std::size_t size) {
  if (size == 0) return {};
  if (size > kLargestBody || body.size() != size) return size_text(size);
  Json value = base::parse_json<Json>(body);
  if (value.is_discarded()) return size_text(size);
  redact(value, false);
  std::string text = value.dump(-1, ' ', false, Json::error_handler_t::replace);
  if (text.size() <= kShownBody) return text;
  std::size_t cut = kShownBody;
  while (cut > 0 && (static_cast<unsigned char>(text[cut]) & 0xC0U) == 0x80U)
    --cut;  // whole characters
  return text.substr(0, cut) + "...";
}

}  // namespace emulator::journal
