#include "emulator/config/command_line.h"

#include <algorithm>
#include <fstream>
#include <map>
#include <memory>

#include <CLI/CLI.hpp>

#include "emulator/config/units.h"

namespace emulator::config {
namespace {

using Texts = std::vector<std::string>;
template <class T>
using Read = tl::expected<T, Refusal>;

tl::unexpected<Refusal> refuse(int exit_code, std::string message) {
  return tl::unexpected<Refusal>(Refusal{exit_code, std::move(message)});
}

constexpr std::string_view kLater[] = {"trust", "template", "sandbox"};

// "; did you mean X?" or nothing.
std::string suggestion(std::string_view wrong,
                       const std::vector<std::string_view>& known,
                       std::string_view prefix) {
  const std::string_view near = nearest(wrong, known);
  if (near.empty()) return "";
  return "; did you mean '" + std::string(prefix) + std::string(near) + "'?";
}

std::vector<std::string_view> setting_names() {
  std::vector<std::string_view> names;
  for (const Setting& setting : settings()) {
    if (setting.apply != nullptr) names.push_back(setting.name);
  }
  return names;
}

Texts split_commas(const std::string& text) {
  Texts parts;
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t end = std::min(text.find(',', at), text.size());
    std::string part = text.substr(at, end - at);
    part.erase(0, part.find_first_not_of(' '));
    part.erase(part.find_last_not_of(' ') + 1);
    if (!part.empty()) parts.push_back(std::move(part));
    at = end + 1;
  }
  return parts;
}

// ---- The command line.

// CLI11's objects refer to the storage below: neither may move.
struct Parser {
  CLI::App app{"A local emulator of the Novita Agent Sandbox cloud (E2B-compatible).", "sandlot"};
  std::map<const Setting*, Texts> flags;
  std::string config_file;
  std::string timeout;
  bool version = false;
  CommandLine result;

  CLI::App* command(const std::string& name, const std::string& description);
  void describe();
};

CLI::App* Parser::command(const std::string& name, const std::string& description) {
  CLI::App* sub = app.add_subcommand(name, description);
  sub->allow_extras();
  sub->add_option("--config", config_file, "read this sandlot.toml")->type_name("FILE");
  for (const Setting& setting : settings()) {
    if (setting.apply == nullptr) continue;
    sub->add_option("--" + std::string(setting.name), flags[&setting], std::string(setting.help))
        ->type_name(std::string(setting.value_name))
        ->default_str(std::string(setting.default_text))
        ->expected(1)
        ->allow_extra_args(false)
        ->take_all()
        ->group("Settings");
  }
  return sub;
}

void Parser::describe() {
  app.allow_extras();
  app.add_flag("--version", version, "print the version");
  command("serve", "run the emulator in the foreground");
  CLI::App* env = command("env", "print the variables a client of the running emulator needs");
  env->add_flag("--no-dns", result.no_dns,
                "for a machine that cannot resolve names under the domain");
  env->add_option("--format", result.format, "sh, fish, dotenv, json, github")->type_name("FORMAT");
  command("exec",
          "run a command against an emulator of its own: sandlot exec [flags] -- CMD ARG...");
  CLI::App* doctor = command("doctor", "check what the emulator needs; changes nothing");
  doctor->add_flag("--json", result.json, "machine output");
  CLI::App* ready = command("ready", "exit 0 when the emulator answers, else 6");
  ready->add_flag("--wait", result.wait, "wait until it does");
  ready->add_option("--timeout", timeout, "how long to wait")
      ->type_name("DURATION")
      ->default_str("30s");
  CLI::App* gc = command("gc", "remove what a crashed emulator left");
  gc->add_flag("--dry-run", result.dry_run, "only say what would be removed");
  CLI::App* explain = command(
      "explain",
      "say what a sandbox's policy would do with a connection: sandlot explain SANDBOX URL");
  explain->add_flag("--json", result.json, "machine output");
  CLI::App* about = command("version", "print the version");
  about->add_flag("--json", result.json, "machine output");
  CLI::App* show = command("config", "sandlot config show: every setting and where it comes from");
  show->add_flag("--json", result.json, "machine output");
}

// A refusal for the first argument that no option took.
Refusal refuse_extra(const CLI::App* sub, const std::string& extra) {
  const std::string where = "sandlot" + (sub != nullptr ? " " + sub->get_name() : std::string());
  if (!extra.starts_with("-")) {
    if (sub != nullptr && sub->get_name() == "exec") {
      return {kUsage,
              where + ": put '--' before the command: sandlot exec [flags] -- " + extra + " ..."};
    }
    return {kUsage, where + ": unexpected argument '" + extra + "'"};
  }
  const std::string flag = extra.substr(0, extra.find('='));
  const std::string_view name =
      std::string_view(flag).substr(std::min(flag.find_first_not_of('-'), flag.size()));
  if (const Setting* setting = find_setting(name);
      setting != nullptr && setting->apply == nullptr) {
    return {kUsage, where + ": " + flag + " is not built yet"};
  }
  std::vector<std::string> names;
  if (sub != nullptr) {
    for (const CLI::Option* option : sub->get_options()) {
      names.insert(names.end(), option->get_lnames().begin(), option->get_lnames().end());
    }
  }
  const std::vector<std::string_view> known(names.begin(), names.end());
  return {kUsage, where + ": unknown flag " + flag + suggestion(name, known, "--")};
}

Refusal refuse_command(const std::string& name) {
  if (std::find(std::begin(kLater), std::end(kLater), name) != std::end(kLater)) {
    return {kUsage, "sandlot " + name + " is not built yet"};
  }
  const std::vector<std::string_view> known = {"serve", "env",     "exec",   "doctor", "ready",
                                               "gc",    "version", "config", "explain"};
  return {kUsage, "sandlot: unknown command '" + name + "'" + suggestion(name, known, "sandlot ") +
                      (nearest(name, known).empty() ? "; see sandlot --help" : "")};
}

// Fills parser.result but for the settings.
Read<void> parse_arguments(Parser& parser, const Texts& arguments) {
  const auto dashes = std::find(arguments.begin(), arguments.end(), "--");
  Texts reversed(std::make_reverse_iterator(dashes), arguments.rend());  // as CLI11 wants them
  try {
    parser.app.parse(reversed);
  } catch (const CLI::CallForHelp&) {
    parser.result.help = parser.app.help();
    return {};
  } catch (const CLI::ParseError& error) {
    const auto chosen = parser.app.get_subcommands();
    return refuse(kUsage, "sandlot" + (chosen.empty() ? "" : " " + chosen.front()->get_name()) +
                              ": " + error.what());
  }
  const auto chosen = parser.app.get_subcommands();
  if (chosen.empty()) {
    if (parser.version) {
      parser.result.command = "version";
      return {};
    }
    const Texts extras = parser.app.remaining();
    if (extras.empty()) {
      parser.result.help = parser.app.help();
      return {};
    }
    if (!extras.front().starts_with("-"))
      return tl::unexpected<Refusal>(refuse_command(extras.front()));
    return tl::unexpected<Refusal>(refuse_extra(nullptr, extras.front()));
  }
  const CLI::App* sub = chosen.front();
  Texts extras = sub->remaining();
  parser.result.command = sub->get_name();
  if (parser.result.command == "config") {
    if (extras.empty() || extras.front() != "show")
      return refuse(kUsage, "sandlot config: the command is 'sandlot config show'");
    extras.erase(extras.begin());
    parser.result.command = "config show";
  }
  if (parser.result.command == "explain") {
    const auto flag = std::find_if(extras.begin(), extras.end(),
                                   [](const std::string& text) { return text.starts_with("-"); });
    if (flag == extras.end() && extras.size() != 2) {
      return refuse(kUsage, "sandlot explain: two arguments: sandlot explain SANDBOX URL");
    }
    if (flag == extras.end()) std::swap(parser.result.arguments, extras);
  }
  if (!extras.empty()) {
    const auto flag = std::find_if(extras.begin(), extras.end(),
                                   [](const std::string& text) { return text.starts_with("-"); });
    return tl::unexpected<Refusal>(
        refuse_extra(sub, flag == extras.end() ? extras.front() : *flag));
  }
  if (chosen.size() > 1) return refuse(kUsage, "sandlot: one command at a time");

  if (dashes != arguments.end()) parser.result.child.assign(dashes + 1, arguments.end());
  const bool exec = parser.result.command == "exec";
  if (exec && parser.result.child.empty())
    return refuse(kUsage,
                  "sandlot exec: what to run is missing: sandlot exec [flags] -- CMD ARG...");
  if (!exec && dashes != arguments.end())
    return refuse(kUsage, "sandlot " + parser.result.command + ": takes nothing after '--'");
  return {};
}

Read<void> check_command_flags(Parser& parser) {
  const std::string_view formats[] = {"sh", "fish", "dotenv", "json", "github"};
  if (std::find(std::begin(formats), std::end(formats), parser.result.format) ==
      std::end(formats)) {
    return refuse(kUsage, "sandlot env: --format: '" + parser.result.format +
                              "' is not one of: sh, fish, dotenv, json, github");
  }
  if (!parser.timeout.empty()) {
    auto timeout = parse_duration(parser.timeout);
    if (!timeout) return refuse(kUsage, "sandlot ready: --timeout: " + timeout.error().message());
    parser.result.timeout = *timeout;
  }
  return {};
}

// ---- The file.

struct File {
  std::string path;
  std::map<const Setting*, Texts> values;
};

Read<File> read_config_file(const std::string& path) {
  std::ifstream input(path);
  if (!input) return refuse(kConfiguration, "cannot read " + path);
  std::vector<CLI::ConfigItem> items;
  try {
    items = CLI::ConfigTOML().from_config(input);
  } catch (const CLI::Error& error) {
    return refuse(kConfiguration, path + ": " + error.what());
  }
  File file{path, {}};
  for (const CLI::ConfigItem& item : items) {
    if (!item.parents.empty()) {
      return refuse(kConfiguration, path + ": there are no sections ([" + item.parents.front() +
                                        "]); keys stand at the top");
    }
    const Setting* setting = find_setting(item.name);
    if (setting == nullptr) {
      return refuse(kConfiguration, path + ": unknown key '" + item.name + "'" +
                                        suggestion(item.name, setting_names(), ""));
    }
    if (setting->apply == nullptr)
      return refuse(kConfiguration, path + ": " + item.name + " is not built yet");
    if (item.inputs.empty())
      return refuse(kConfiguration, path + ": " + item.name + " has no value");
    if (item.inputs.size() > 1 && !setting->repeatable) {
      return refuse(kConfiguration, path + ": " + item.name + " takes one value and is set once");
    }
    Texts& texts = file.values[setting];
    texts = item.inputs.size() == 1 && setting->repeatable ? split_commas(item.inputs.front())
                                                           : item.inputs;
  }
  return file;
}

// The file to read: the one asked for, else the first that exists of the usual two.
Read<File> find_config_file(const std::string& flag, const Environment& environment) {
  if (!flag.empty()) return read_config_file(flag);
  const char* variable = environment("SANDLOT_CONFIG");
  if (variable != nullptr && *variable != '\0') return read_config_file(variable);
  for (const char* path : {"sandlot.toml", "/etc/sandlot/sandlot.toml"}) {
    std::error_code error;
    if (std::filesystem::is_regular_file(path, error)) return read_config_file(path);
  }
  return File{};
}

// ---- All together.

SettingValue strongest(const Setting& setting,
                       const Parser& parser,
                       const Environment& environment,
                       const File& file) {
  if (const auto flag = parser.flags.find(&setting);
      flag != parser.flags.end() && !flag->second.empty()) {
    return {&setting, flag->second, Origin::kFlag, "--" + std::string(setting.name)};
  }
  const std::string variable = variable_of(setting);
  const char* text = environment(variable.c_str());
  if (text != nullptr && *text != '\0') {
    return {&setting, setting.repeatable ? split_commas(text) : Texts{text}, Origin::kEnvironment,
            variable};
  }
  if (const auto found = file.values.find(&setting); found != file.values.end()) {
    return {&setting, found->second, Origin::kFile, file.path};
  }
  Texts texts;
  if (setting.name == "data-dir") {
    texts = {default_data_dir(environment("XDG_STATE_HOME")).string()};
  } else if (!setting.default_text.empty()) {
    texts = setting.repeatable ? split_commas(std::string(setting.default_text))
                               : Texts{std::string(setting.default_text)};
  }
  return {&setting, std::move(texts), Origin::kDefault, ""};
}

Refusal refuse_value(const std::string& command,
                     const SettingValue& value,
                     const base::Error& error) {
  std::string where = value.source;
  if (value.origin == Origin::kFlag) where = "sandlot " + command + ": " + value.source;
  if (value.origin == Origin::kFile) where += ": " + std::string(value.setting->name);
  return {value.origin == Origin::kFlag ? kUsage : kConfiguration, where + ": " + error.message()};
}

// A variable that looks like a misspelt one. Others are left alone: SANDLOT_* is not all ours.
void warn_about_variables(const Texts& names, std::vector<std::string>& warnings) {
  std::vector<std::string> ours = {"SANDLOT_CONFIG"};
  for (const Setting& setting : settings()) ours.push_back(variable_of(setting));
  const std::vector<std::string_view> known(ours.begin(), ours.end());
  for (const std::string& name : names) {
    if (!name.starts_with("SANDLOT_")) continue;
    if (std::find(ours.begin(), ours.end(), name) != ours.end()) continue;
    std::vector<std::string_view> tails;
    for (std::string_view item : known) tails.push_back(item.substr(8));
    const std::string_view near = nearest(std::string_view(name).substr(8), tails);
    if (!near.empty())
      warnings.push_back("ignored: " + name + "; did you mean SANDLOT_" + std::string(near) + "?");
  }
}

Read<void> fill_settings(Parser& parser, const Environment& environment) {
  auto file = find_config_file(parser.config_file, environment);
  if (!file) return tl::unexpected<Refusal>(std::move(file.error()));
  CommandLine& result = parser.result;
  const SettingValue* auth = nullptr;
  for (const Setting& setting : settings()) {
    if (setting.apply == nullptr) {
      const std::string variable = variable_of(setting);
      const char* text = environment(variable.c_str());
      if (text != nullptr && *text != '\0')
        return refuse(kConfiguration, variable + " is not built yet");
      continue;
    }
    SettingValue value = strongest(setting, parser, environment, *file);
    if (!value.texts.empty()) {
      auto applied = setting.apply(result.options, value.texts);
      if (!applied)
        return tl::unexpected<Refusal>(refuse_value(result.command, value, applied.error()));
    }
    result.values.push_back(std::move(value));
  }
  for (const SettingValue& value : result.values) {
    if (value.setting->name == "auth") auth = &value;
  }
  if (result.options.auth == Auth::kStrict && result.options.api_keys.empty()) {
    return refuse(
        auth->origin == Origin::kFlag ? kUsage : kConfiguration,
        auth->source + ": 'strict' needs at least one --api-key (SANDLOT_API_KEY, key api-key)");
  }
  return {};
}

}  // namespace

bool CommandLine::is_default(std::string_view setting) const {
  for (const SettingValue& value : values) {
    if (value.setting->name == setting) return value.origin == Origin::kDefault;
  }
  return true;
}

tl::expected<CommandLine, Refusal> read_command_line(const std::vector<std::string>& arguments,
                                                     const Environment& environment,
                                                     const std::vector<std::string>& names) {
  auto parser = std::make_unique<Parser>();
  parser->describe();
  if (auto parsed = parse_arguments(*parser, arguments); !parsed)
    return tl::unexpected<Refusal>(parsed.error());
  if (!parser->result.help.empty()) return std::move(parser->result);
  if (auto checked = check_command_flags(*parser); !checked)
    return tl::unexpected<Refusal>(checked.error());
  if (auto filled = fill_settings(*parser, environment); !filled)
    return tl::unexpected<Refusal>(filled.error());
  warn_about_variables(names, parser->result.warnings);
  return std::move(parser->result);
}

}  // namespace emulator::config
