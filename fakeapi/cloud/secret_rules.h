// What a secret may be called, where it may go, what it may be, and which environment variables may
// hold it. Pure. Texts: those of Novita's SDK, which checks the same before it asks. E2B's routes
// answer every such error with one fixed sentence (secrets_handler).
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "emulator/base/result.h"

namespace fakeapi::cloud {

inline constexpr std::string_view kSecretIdPrefix = "sec_";

// Novita's: 1 to 128 letters, digits, '.', '_', '-', the first a letter or digit.
// kInvalidArgument.
base::Result<> check_secret_name(std::string_view name);
// E2B's, in its canonical form: trimmed, lower case, 1 to 128 letters, digits, '_', '-', and not
// like an id. kInvalidArgument.
base::Result<std::string> canonical_secret_name(std::string_view name);

// Host names or "*.name" in lower case, each once, in their order. kInvalidArgument when there is
// none, or one is no such thing.
base::Result<std::vector<std::string>> normalise_secret_hosts(
    const std::vector<std::string>& hosts);

// Not empty, at most 16 KiB, and without the control characters that no header may have.
// kInvalidArgument; the message does not show it.
base::Result<> check_secret_value(std::string_view value);

// `secrets` of a create: {variable: name}. kInvalidArgument for a bad variable, a bad name, a
// variable that `variables` has as well.
base::Result<> check_secret_variables(const std::map<std::string, std::string>& secrets,
                                      const std::map<std::string, std::string>& variables);

}  // namespace fakeapi::cloud
