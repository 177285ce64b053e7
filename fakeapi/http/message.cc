#include "fakeapi/http/message.h"

#include <algorithm>
#include <cctype>

namespace fakeapi::http {

namespace {

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::string decode(std::string_view text, bool plus_is_space) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size() && hex_digit(text[i + 1]) >= 0 &&
        hex_digit(text[i + 2]) >= 0) {
      out.push_back(static_cast<char>(hex_digit(text[i + 1]) * 16 + hex_digit(text[i + 2])));
      i += 2;
    } else if (text[i] == '+' && plus_is_space) {
      out.push_back(' ');
    } else {
      out.push_back(text[i]);
    }
  }
  return out;
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// What follows "scheme://" in a target in absolute form; nullopt: it has another form.
std::optional<std::string_view> behind_scheme(std::string_view target) {
  auto slash = target.find_first_of("/?");
  bool absolute = slash != std::string_view::npos && slash > 1 && target[slash - 1] == ':' &&
                  target.substr(slash).starts_with("//");
  if (!absolute) return std::nullopt;
  return target.substr(slash + 2);
}

}  // namespace

bool iequals(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](char x, char y) { return lower(x) == lower(y); });
}

bool is_token(std::string_view text) {
  constexpr std::string_view kMarks = "!#$%&'*+-.^_`|~";
  return !text.empty() && std::all_of(text.begin(), text.end(), [&](char c) {
    bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    return letter || (c >= '0' && c <= '9') || kMarks.find(c) != std::string_view::npos;
  });
}

std::optional<std::string_view> Headers::find(std::string_view name) const {
  for (const auto& [key, value] : items_) {
    if (iequals(key, name)) return value;
  }
  return std::nullopt;
}

std::vector<std::string_view> Headers::all(std::string_view name) const {
  std::vector<std::string_view> values;
  for (const auto& [key, value] : items_) {
    if (iequals(key, name)) values.emplace_back(value);
  }
  return values;
}

bool Headers::lists(std::string_view name, std::string_view token) const {
  for (const auto& [key, value] : items_) {
    if (!iequals(key, name)) continue;
    std::string_view rest = value;
    while (!rest.empty()) {
      auto comma = rest.find(',');
      if (iequals(trim(rest.substr(0, comma)), token)) return true;
      if (comma == std::string_view::npos) break;
      rest.remove_prefix(comma + 1);
    }
  }
  return false;
}

void Headers::set(std::string_view name, std::string value) {
  remove(name);
  add(std::string(name), std::move(value));
}

void Headers::remove(std::string_view name) {
  std::erase_if(items_, [&](const Item& item) { return iequals(item.first, name); });
}

std::string_view RequestHead::path() const {
  std::string_view text = target;
  if (auto rest = behind_scheme(text)) {
    text = rest->substr(std::min(rest->find_first_of("/?"), rest->size()));
    if (!text.starts_with('/')) return "/";
  }
  return text.substr(0, text.find('?'));
}

std::string_view RequestHead::query() const {
  std::string_view text = target;
  auto mark = text.find('?');
  return mark == std::string_view::npos ? std::string_view() : text.substr(mark + 1);
}

std::string RequestHead::origin_form() const {
  std::string_view text = target;
  auto mark = text.find('?');
  std::string form(path());
  if (mark != std::string_view::npos) form += text.substr(mark);
  return form;
}

std::string_view RequestHead::host() const {
  if (auto rest = behind_scheme(target)) return rest->substr(0, rest->find_first_of("/?"));
  return headers.get("Host");
}

std::string percent_decode(std::string_view text) {
  return decode(text, false);
}
std::string form_decode(std::string_view text) {
  return decode(text, true);
}

std::vector<std::pair<std::string, std::string>> parse_query(std::string_view query) {
  std::vector<std::pair<std::string, std::string>> pairs;
  while (!query.empty()) {
    auto end = query.find('&');
    std::string_view item = query.substr(0, end);
    if (!item.empty()) {
      auto equals = item.find('=');
      std::string_view value = equals == std::string_view::npos ? "" : item.substr(equals + 1);
      pairs.emplace_back(form_decode(item.substr(0, equals)), form_decode(value));
    }
    if (end == std::string_view::npos) break;
    query.remove_prefix(end + 1);
  }
  return pairs;
}

std::optional<std::string> query_value(std::string_view query, std::string_view key) {
  for (auto& [name, value] : parse_query(query)) {
    if (name == key) return std::move(value);
  }
  return std::nullopt;
}

}  // namespace fakeapi::http
