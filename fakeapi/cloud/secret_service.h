// The port between the secret routes and the machine, as plain values: one store, seen by both
// families of SDKs. Implemented by emulator/secrets; faked in tests. A value goes in and never
// comes out. Sources: contract-novita 2.4 and 7.3, Novita's guides on secrets, E2B's published
// OpenAPI document.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "emulator/base/clock.h"
#include "emulator/base/result.h"

namespace fakeapi::cloud {

using SecretMetadata = std::map<std::string, std::string>;

struct NewSecret {
  std::string name;
  std::string value;
  std::vector<std::string> hosts;  // empty: E2B's, which only header rules use
  std::optional<std::string> description;
  SecretMetadata metadata;
};

// A new version. What is absent stays as it was.
struct SecretChange {
  std::string value;
  std::optional<std::vector<std::string>> hosts;
  std::optional<std::optional<std::string>> description;
  std::optional<SecretMetadata> metadata;
};

struct SecretInfo {
  std::string secret_id;
  std::string name;
  std::vector<std::string> hosts;
  std::string placeholder;  // what sandboxes see; the same for all versions
  std::optional<std::string> description;
  SecretMetadata metadata;
  std::int64_t version = 1;
  base::TimePoint created_at;
  base::TimePoint updated_at;
};

// Novita's clients name a secret, E2B's may give its id instead.
struct SecretKey {
  std::string text;
  bool is_id = false;
};

class SecretService {
 public:
  virtual ~SecretService() = default;
  // kAlreadyExists when the name is taken.
  virtual base::Task<SecretInfo> create(NewSecret wanted) = 0;
  // In the order of creation.
  virtual base::Task<std::vector<SecretInfo>> list() = 0;
  // kNotFound for an unknown one, here and below.
  virtual base::Task<SecretInfo> get(SecretKey key) = 0;
  virtual base::Task<SecretInfo> update(SecretKey key, SecretChange change) = 0;
  // The name of what was removed.
  virtual base::Task<std::string> remove(SecretKey key) = 0;
};

}  // namespace fakeapi::cloud
