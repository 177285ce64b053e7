#include "fakeapi/envd/sandbox_state.h"

namespace fakeapi::envd {

std::map<std::string, std::string> SandboxState::global_environment() const {
  std::map<std::string, std::string> variables = configuration.env_vars;
  variables["E2B_SANDBOX"] = "true";
  variables["E2B_SANDBOX_ID"] = configuration.sandbox_id;
  variables["E2B_TEMPLATE_ID"] = configuration.template_id;
  variables["E2B_EVENTS_ADDRESS"] = "http://192.0.2.1";
  return variables;
}

std::chrono::system_clock::time_point SandboxState::now() const {
  using std::chrono::milliseconds;
  const ClockSetting& clock = configuration.clock;
  if (clock.frozen_ms) {
    return std::chrono::system_clock::time_point(milliseconds(*clock.frozen_ms));
  }
  return std::chrono::system_clock::now() + milliseconds(clock.offset_ms);
}

}  // namespace fakeapi::envd
