#include "fakeapi/cloud/templates.h"

#include <algorithm>

namespace fakeapi::cloud {

using base::Errc;

base::Result<TemplateSummary> find_template(std::span<const TemplateSummary> templates,
                                            std::string_view reference) {
  auto colon = reference.find(':');
  std::string_view name = reference.substr(0, colon);
  auto found = std::find_if(templates.begin(), templates.end(), [&](const TemplateSummary& item) {
    return item.template_id == name ||
           std::find(item.names.begin(), item.names.end(), name) != item.names.end();
  });
  std::string quoted = "template '" + std::string(name) + "'";
  if (found == templates.end()) return base::fail(Errc::kNotFound, quoted + " not found");
  if (colon != std::string_view::npos && reference.substr(colon + 1) != "default") {
    return base::fail(
        Errc::kNotFound,
        quoted + " with tag '" + std::string(reference.substr(colon + 1)) + "' not found");
  }
  return *found;
}

}  // namespace fakeapi::cloud
