#include "fakeapi/cloud/templates.h"

#include <algorithm>

namespace fakeapi::cloud {

using base::Errc;

std::string plain_name(std::string_view text) {
  constexpr std::string_view kSpaces = " \t\r\n\v\f";
  auto begin = std::min(text.find_first_not_of(kSpaces), text.size());
  text.remove_prefix(begin);
  std::string plain(text.substr(0, text.find_last_not_of(kSpaces) + 1));
  for (char& c : plain) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return plain;
}

base::Result<TemplateSummary> find_template(std::span<const TemplateSummary> templates,
                                            std::string_view reference) {
  auto colon = reference.find(':');
  std::string name = plain_name(reference.substr(0, colon));
  std::string tag = "default";
  if (colon != std::string_view::npos) tag = plain_name(reference.substr(colon + 1));
  auto found = std::find_if(templates.begin(), templates.end(), [&](const TemplateSummary& item) {
    return item.template_id == name ||
           std::find(item.names.begin(), item.names.end(), name) != item.names.end();
  });
  std::string quoted = "template '" + name + "'";
  if (found == templates.end()) return base::fail(Errc::kNotFound, quoted + " not found");
  if (tag != "default") {
    return base::fail(Errc::kNotFound, quoted + " with tag '" + tag + "' not found");
  }
  return *found;
}

}  // namespace fakeapi::cloud
