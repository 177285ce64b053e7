// Structured log lines on stderr: an event name ("noun.verb", stable) and fields. Never from code
// between clone and the agent's loop, and never from the agent (its stderr is the sandbox's
// /dev/null).
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

namespace base::log {

enum class Level { kDebug, kInfo, kWarn, kError };
enum class Format { kHuman, kJson };
using Field = std::pair<std::string_view, std::string>;
using Fields = std::initializer_list<Field>;

// Called once by main before anything logs; the default is info, human.
void configure(Level level, Format format);

void write(Level level, std::string_view event, Fields fields);

inline void debug(std::string_view event, Fields fields = {}) {
  write(Level::kDebug, event, fields);
}
inline void info(std::string_view event, Fields fields = {}) {
  write(Level::kInfo, event, fields);
}
inline void warn(std::string_view event, Fields fields = {}) {
  write(Level::kWarn, event, fields);
}
inline void error(std::string_view event, Fields fields = {}) {
  write(Level::kError, event, fields);
}

}  // namespace base::log
