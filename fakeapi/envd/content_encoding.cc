#include "fakeapi/envd/content_encoding.h"

#include <cstdlib>
#include <string>

#include "fakeapi/http/message.h"

namespace fakeapi::envd {

namespace {

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// The q parameter in thousandths; 1000 without one, 0 for nonsense.
int quality(std::string_view parameters) {
  auto at = parameters.find("q=");
  if (at == std::string_view::npos) at = parameters.find("Q=");
  if (at == std::string_view::npos) return 1000;
  std::string_view text = trim(parameters.substr(at + 2));
  text = text.substr(0, text.find(';'));
  if (text.empty() || text[0] < '0' || text[0] > '1') return 0;
  int value = (text[0] - '0') * 1000;
  int unit = 100;
  for (std::size_t i = 2; i < text.size() && i < 5 && text[i] >= '0' && text[i] <= '9';
       ++i, unit /= 10) {
    value += (text[i] - '0') * unit;
  }
  return value > 1000 ? 1000 : value;
}

}  // namespace

std::optional<EncodingChoice> choose_encoding(std::optional<std::string_view> header) {
  EncodingChoice choice;
  if (!header || trim(*header).empty()) return choice;
  std::optional<int> gzip;
  std::optional<int> identity;
  std::optional<int> any;
  std::string_view rest = *header;
  while (!rest.empty()) {
    auto comma = rest.find(',');
    std::string_view item = trim(rest.substr(0, comma));
    rest.remove_prefix(comma == std::string_view::npos ? rest.size() : comma + 1);
    auto semicolon = item.find(';');
    std::string_view name = trim(item.substr(0, semicolon));
    int q = semicolon == std::string_view::npos ? 1000 : quality(item.substr(semicolon));
    if (http::iequals(name, "gzip")) gzip = q;
    if (http::iequals(name, "identity")) identity = q;
    if (name == "*") any = q;
  }
  choice.identity_allowed = identity ? *identity > 0 : !any || *any > 0;
  int gzip_quality = gzip.value_or(0);
  // "*" means identity, unless identity is what it refuses.
  if (!gzip && any && *any > 0 && !choice.identity_allowed) gzip_quality = *any;
  choice.gzip =
      gzip_quality > 0 && (!choice.identity_allowed || gzip_quality >= identity.value_or(0));
  if (!choice.gzip && !choice.identity_allowed) return std::nullopt;
  return choice;
}

}  // namespace fakeapi::envd
