// Finding templates by what a client calls them. Pure. Used by the alias route and the list filter;
// create hands its reference to the service unchanged.
#pragma once

#include <span>
#include <string_view>

#include "emulator/base/result.h"
#include "fakeapi/cloud/sandbox_service.h"

namespace fakeapi::cloud {

// By id, or by name with or without the tag "default" ("base", "base:default"). kNotFound with the
// cloud's sentence ("template 'x' not found").
base::Result<TemplateSummary> find_template(std::span<const TemplateSummary> templates,
                                            std::string_view reference);

}  // namespace fakeapi::cloud
