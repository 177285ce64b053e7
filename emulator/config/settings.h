// The one table of settings: flag, variable, key, default, help; how each text becomes a member of
// Options; and which ones are known but not built yet. Used by command_line.cc and `config show`.
// Reads neither files nor the environment.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "emulator/base/result.h"
#include "emulator/config/options.h"

namespace emulator::config {

struct Setting {
  std::string_view name;          // "data-dir": --data-dir, SANDLOT_DATA_DIR, key data-dir
  std::string_view value_name;    // for the help: PORT, DIR, ...
  std::string_view default_text;  // as `config show` prints it
  std::string_view help;
  bool repeatable =
      false;  // several values; the variable and a string in the file separate them by commas
  bool secret = false;  // `config show` prints *** for it
  // Checks the texts and stores them; null for a setting that is known but not built yet.
  base::Result<> (*apply)(Options&, const std::vector<std::string>&) = nullptr;
};

std::span<const Setting> settings();
// By name; also with "_" for "-". Null when unknown.
const Setting* find_setting(std::string_view name);
std::string variable_of(const Setting& setting);  // "SANDLOT_DATA_DIR"

// Where a value came from, strongest first.
enum class Origin { kFlag, kEnvironment, kFile, kDefault };
std::string_view to_string(Origin origin);

struct SettingValue {
  const Setting* setting = nullptr;
  std::vector<std::string> texts;
  Origin origin = Origin::kDefault;
  std::string source;  // "--port", "SANDLOT_PORT", "/etc/sandlot/sandlot.toml"
};

// "$XDG_STATE_HOME/sandlot", else "/var/lib/sandlot".
std::filesystem::path default_data_dir(const char* xdg_state_home);

}  // namespace emulator::config
