// Bodies of the secret routes, both ways and in both families' shapes; JSON stays in
// secret_bodies_json.cc. Used by the secrets handler. Errors: kInvalidArgument; no message shows
// anything of a body but names and hosts.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "emulator/base/result.h"
#include "fakeapi/cloud/secret_service.h"

namespace fakeapi::cloud {

// Novita: POST /secrets {"name", "value", "hosts", "description"?}.
base::Result<NewSecret> parse_new_binding(std::string_view body);
// Novita: PUT /secrets/{name} {"value", "hosts", "description"?}.
base::Result<SecretChange> parse_binding_change(std::string_view body);
// E2B: POST /secrets {"name", "value", "metadata"?}; the name becomes canonical.
base::Result<NewSecret> parse_new_secret(std::string_view body);
// E2B: POST /secrets/{secretID} {"value", "metadata"?}.
base::Result<SecretChange> parse_secret_change(std::string_view body);

// Novita's binding, and {"secrets": [...]} of them.
std::string binding_json(const SecretInfo& secret);
std::string binding_list_json(std::span<const SecretInfo> secrets);
std::string deleted_json(std::string_view name);
// E2B's Secret, and an array of them.
std::string secret_json(const SecretInfo& secret);
std::string secret_list_json(std::span<const SecretInfo> secrets);

}  // namespace fakeapi::cloud
