#include <iomanip>
#include <iostream>

#include <nlohmann/json.hpp>

#include "emulator/cli/commands.h"

namespace emulator::cli {
namespace {

std::string shown(const config::SettingValue& value) {
  std::string text;
  for (const std::string& item : value.texts) {
    text += (text.empty() ? "" : ",") + (value.setting->secret ? std::string("***") : item);
  }
  return text;
}

}  // namespace

int run_config_show(const config::CommandLine& line) {
  if (line.json) {
    nlohmann::ordered_json object = nlohmann::ordered_json::object();
    for (const config::SettingValue& value : line.values) {
      object[std::string(value.setting->name)] = {{"value", shown(value)},
                                                  {"origin", config::to_string(value.origin)},
                                                  {"source", value.source}};
    }
    std::cout << object.dump(2) << std::endl;
    return config::kOk;
  }
  for (const config::SettingValue& value : line.values) {
    const std::string text = shown(value);
    std::cout << std::left << std::setw(15) << value.setting->name << " " << std::setw(24)
              << (text.empty() ? "-" : text) << " " << config::to_string(value.origin);
    if (!value.source.empty()) std::cout << " (" << value.source << ")";
    std::cout << "\n";
  }
  std::cout << std::flush;
  return config::kOk;
}

}  // namespace emulator::cli
