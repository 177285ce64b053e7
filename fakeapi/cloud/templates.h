// Finding templates by what a client calls them. Pure. Used by the alias route and the list filter;
// create hands its reference to the service unchanged.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "emulator/base/result.h"
#include "fakeapi/cloud/sandbox_service.h"

namespace fakeapi::cloud {

// A name, an id or a part of one as the cloud keeps it: without spaces around, in lower case.
std::string plain_name(std::string_view text);

// By id, or by name with or without the tag "default" ("base", " BASE:default"). kNotFound with the
// cloud's sentence ("template 'x' not found").
base::Result<TemplateSummary> find_template(std::span<const TemplateSummary> templates,
                                            std::string_view reference);

}  // namespace fakeapi::cloud
