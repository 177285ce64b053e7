#include "emulator/prometheus.h"

#include <array>
#include <cstdio>

namespace emulator {

namespace {

void head(std::string& text, const char* name, const char* type, const char* help) {
  text += std::string("# HELP ") + name + " " + help + "\n# TYPE " + name + " " + type + "\n";
}

std::string seconds_text(double seconds) {
  std::array<char, 64> buffer{};
  std::snprintf(buffer.data(), buffer.size(), "%.6f", seconds);
  return buffer.data();
}

}  // namespace

std::string method_label(const std::string& method) {
  for (const char* known : {"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"}) {
    if (method == known) return method;
  }
  return "other";
}

std::string prometheus_text(const control::StateReport& state, const Totals& totals) {
  std::string text;
  std::map<std::string, std::size_t> by_state = {{"running", 0}, {"paused", 0}};
  for (const auto& [id, word] : state.sandboxes) ++by_state[word];
  head(text, "sandlot_sandboxes", "gauge", "Sandboxes that exist now.");
  for (const auto& [word, count] : by_state) {
    text += "sandlot_sandboxes{state=\"" + word + "\"} " + std::to_string(count) + "\n";
  }
  head(text, "sandlot_objects", "gauge", "Things that the emulator has in the kernel and on disk.");
  for (const auto& [kind, count] : state.counts) {
    text += "sandlot_objects{kind=\"" + kind + "\"} " + std::to_string(count) + "\n";
  }
  head(text, "sandlot_events_total", "counter", "What happened to sandboxes.");
  for (const auto& [key, count] : totals.events) {
    text += "sandlot_events_total{event=\"" + key.first + "\",state=\"" +
            (key.second ? "success" : "failed") + "\"} " + std::to_string(count) + "\n";
  }
  std::uint64_t count = 0;
  head(text, "sandlot_requests_total", "counter", "Answered API requests; code 0: no answer.");
  for (const auto& [key, number] : totals.requests) {
    count += number;
    text += "sandlot_requests_total{method=\"" + key.first + "\",code=\"" +
            std::to_string(key.second) + "\"} " + std::to_string(number) + "\n";
  }
  head(text, "sandlot_request_duration_seconds", "summary", "How long API requests took.");
  text += "sandlot_request_duration_seconds_sum " + seconds_text(totals.request_seconds) + "\n";
  text += "sandlot_request_duration_seconds_count " + std::to_string(count) + "\n";
  head(text, "sandlot_faults_total", "counter", "Requests that an injected fault answered or cut.");
  text += "sandlot_faults_total " + std::to_string(totals.faults) + "\n";
  return text;
}

}  // namespace emulator
