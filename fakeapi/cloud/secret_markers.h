// "${e2b.secrets.NAME}" in the header values of `network.rules`: E2B's Secret.fill(). Pure; who
// puts the value there is emulator/sandboxes. "${e2b.identity.tokens.NAME}" is recognised, so that
// a broken one is refused, and stays as it is. Source: e2b infra,
// shared/pkg/networktransform/placeholders.go.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "emulator/base/result.h"

namespace fakeapi::cloud {

struct SecretMarker {
  std::string name;  // canonical (secret_rules.h)
  std::size_t begin = 0;
  std::size_t end = 0;  // behind the '}'
};

// How many secrets the rules of one host may name.
inline constexpr std::size_t kMaxSecretsOfHost = 32;

// From left to right. kInvalidArgument, without the value, when one has no end or no proper name.
base::Result<std::vector<SecretMarker>> find_secret_markers(std::string_view value);

}  // namespace fakeapi::cloud
