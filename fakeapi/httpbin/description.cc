#include "fakeapi/httpbin/description.h"

#include <nlohmann/json.hpp>

#include "emulator/base/json.h"

namespace fakeapi::httpbin {

using nlohmann::json;

namespace {

std::string text_of(const json& value) {
  // Bodies and headers need not be UTF-8.
  return value.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

json headers_of(const http::RequestHead& head) {
  json headers = json::object();
  for (const auto& [name, value] : head.headers) headers[canonical_name(name)].push_back(value);
  if (!headers.contains("Host")) headers["Host"].push_back(std::string(head.host()));
  return headers;
}

json lists_of(const std::vector<std::pair<std::string, std::string>>& pairs) {
  json lists = json::object();
  for (const auto& [name, value] : pairs) lists[name].push_back(value);
  return lists;
}

}  // namespace

std::string canonical_name(std::string_view name) {
  std::string out(name);
  bool begins = true;
  for (char& c : out) {
    bool lower = c >= 'a' && c <= 'z';
    bool upper = c >= 'A' && c <= 'Z';
    if (begins && lower) c = static_cast<char>(c - 'a' + 'A');
    if (!begins && upper) c = static_cast<char>(c - 'A' + 'a');
    begins = c == '-';
  }
  return out;
}

std::string headers_json(const http::RequestHead& head) {
  return text_of({{"headers", headers_of(head)}});
}

std::string request_json(const http::RequestHead& head, std::string_view body) {
  json value = {{"args", lists_of(http::parse_query(head.query()))},
                {"headers", headers_of(head)},
                {"method", head.method},
                {"origin", "127.0.0.1"},
                {"url", "http://" + std::string(head.host()) + head.origin_form()}};
  if (head.method == "GET" || head.method == "HEAD") return text_of(value);
  std::string type(head.headers.get("Content-Type"));
  bool is_form = type.starts_with("application/x-www-form-urlencoded");
  value["data"] = is_form ? std::string_view() : body;
  value["form"] = is_form ? lists_of(http::parse_query(body)) : json::object();
  value["files"] = json::object();
  json parsed = type.find("json") == std::string::npos ? json() : base::parse_json<json>(body);
  value["json"] = parsed.is_discarded() ? json() : std::move(parsed);
  return text_of(value);
}

std::string cookies_json(const http::RequestHead& head) {
  json cookies = json::object();
  for (std::string_view rest : head.headers.all("Cookie")) {
    while (!rest.empty()) {
      auto end = rest.find(';');
      std::string_view part = rest.substr(0, end);
      while (part.starts_with(' ')) part.remove_prefix(1);
      auto equals = part.find('=');
      if (equals != std::string_view::npos)
        cookies[std::string(part.substr(0, equals))] = part.substr(equals + 1);
      rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
    }
  }
  return text_of({{"cookies", cookies}});
}

std::string arguments_json(const http::RequestHead& head) {
  return text_of(lists_of(http::parse_query(head.query())));
}

std::string pair_json(std::string_view key, std::string_view value) {
  return text_of({{std::string(key), std::string(value)}});
}

std::string decode_base64(std::string_view text) {
  constexpr std::string_view kStandard =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  unsigned bits = 0;
  int held = 0;
  while (text.ends_with('=')) text.remove_suffix(1);
  for (char c : text) {
    if (c == '-') c = '+';
    if (c == '_') c = '/';
    auto digit = kStandard.find(c);
    if (digit == std::string_view::npos) return {};
    bits = (bits << 6U) | static_cast<unsigned>(digit);
    held += 6;
    if (held < 8) continue;
    held -= 8;
    out += static_cast<char>((bits >> static_cast<unsigned>(held)) & 0xffU);
  }
  return out;
}

}  // namespace fakeapi::httpbin
