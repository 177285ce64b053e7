// Request bodies of the control plane as plain values: one parse function each, JSON stays in
// bodies_json.cc. Used by the handlers. Errors: kInvalidArgument "validation error: ..." (wrong
// type or value), "Error when parsing request: ..." (not JSON); kUnimplemented for options that are
// not built yet, after every check of the whole body. Keys that the cloud does not know are
// ignored, as it does (contract-novita 2.1, 3.1, 7.3).
#pragma once

#include <chrono>
#include <optional>
#include <span>
#include <string_view>

#include "emulator/base/result.h"
#include "fakeapi/cloud/sandbox_service.h"

namespace fakeapi::cloud {

// What Sandlot does with a key it knows. Tests compare the SDKs' bodies with these lists, so that a
// dropped key cannot hide among the unknown ones.
enum class KeyUse {
  kUsed,
  kNotBuilt,  // 501 as soon as it asks for something
  kNoEffect,  // nothing to do on the server, in the cloud neither
};
struct BodyKey {
  std::string_view name;
  KeyUse use;
};
std::span<const BodyKey> new_sandbox_keys();
std::span<const BodyKey> connect_keys();  // resume too
std::span<const BodyKey> network_keys();
std::span<const BodyKey> network_update_keys();

// POST /sandboxes. The timeout is capped (limits.h).
base::Result<NewSandbox> parse_new_sandbox(std::string_view body, const PublicUrls& urls);

struct ConnectBody {
  std::chrono::seconds timeout{300};
  std::optional<bool> secure;      // must say what the sandbox already is
  std::optional<bool> auto_pause;  // resume only
  bool keep_memory = true;         // false: a paused one starts anew from its files
  // What is to change; allowPublicTraffic of the body's top level wins. Not checked as a whole:
  // what it does not say is the sandbox's.
  std::optional<NetworkOptions> network;
};
// POST .../connect and .../resume, v1 and v2.
base::Result<ConnectBody> parse_connect(std::string_view body);

struct NetworkUpdate {
  NetworkOptions network;
  std::optional<bool> allow_internet_access;
};
// PUT .../network: the lists at the top level, and the switch in either spelling.
base::Result<NetworkUpdate> parse_network_update(std::string_view body, const PublicUrls& urls);

// POST .../timeout {"timeout": seconds}.
base::Result<std::chrono::seconds> parse_timeout(std::string_view body);
// POST .../refreshes {"duration"?: seconds}; an empty body is {}.
base::Result<std::chrono::seconds> parse_refresh(std::string_view body);
// POST .../hotplug-memory {"requested_size_mib": MiB}, a multiple of 2.
base::Result<int> parse_hotplug_memory(std::string_view body);
// POST .../pause: nothing, {} or {"memory": bool}; `sync` of old SDKs has no effect
// (contract-novita 1.8). Whether the memory is kept.
base::Result<bool> parse_pause(std::string_view body);

}  // namespace fakeapi::cloud
