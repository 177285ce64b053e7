#include "emulator/base/log.h"

#include <memory>

#include <nlohmann/json.hpp>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

namespace base::log {

namespace {

struct State {
  std::shared_ptr<spdlog::logger> logger = spdlog::stderr_logger_mt("sandlot");
  Format format = Format::kHuman;
};

State& state() {
  static State instance;
  return instance;
}

spdlog::level::level_enum spdlog_level(Level level) {
  switch (level) {
    case Level::kDebug:
      return spdlog::level::debug;
    case Level::kInfo:
      return spdlog::level::info;
    case Level::kWarn:
      return spdlog::level::warn;
    case Level::kError:
      return spdlog::level::err;
  }
  return spdlog::level::info;
}

std::string human_line(std::string_view event, Fields fields) {
  std::string line(event);
  for (const auto& [key, value] : fields) {
    line.append(" ").append(key).append("=");
    bool plain = !value.empty() && value.find_first_of(" \"\n\t") == std::string::npos;
    line += plain ? value
                  : nlohmann::json(value).dump(-1, ' ', false,
                                               nlohmann::json::error_handler_t::replace);
  }
  return line;
}

std::string json_body(std::string_view event, Fields fields) {
  nlohmann::ordered_json body;
  body["event"] = event;
  for (const auto& [key, value] : fields) body[std::string(key)] = value;
  std::string text = body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  return text.substr(1);  // the pattern writes the opening brace, time and level
}

}  // namespace

void configure(Level level, Format format) {
  State& current = state();
  current.format = format;
  current.logger->set_level(spdlog_level(level));
  current.logger->flush_on(spdlog::level::trace);
  current.logger->set_pattern(format == Format::kJson
                                  ? R"({"time":"%Y-%m-%dT%H:%M:%S.%eZ","level":"%l",%v)"
                                  : "%Y-%m-%dT%H:%M:%S.%eZ %-5l %v",
                              spdlog::pattern_time_type::utc);
}

void write(Level level, std::string_view event, Fields fields) {
  State& current = state();
  auto target = spdlog_level(level);
  if (!current.logger->should_log(target)) return;
  current.logger->log(target, current.format == Format::kJson ? json_body(event, fields)
                                                              : human_line(event, fields));
}

}  // namespace base::log
