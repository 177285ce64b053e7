#include "emulator/config/units.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <string>

namespace emulator::config {
namespace {

// Reads digits and at most one point from the front of `text`; a negative result means there is
// none.
double take_number(std::string_view& text) {
  std::size_t length = 0;
  bool point = false;
  bool digit = false;
  while (length < text.size()) {
    const char c = text[length];
    if (c == '.' && !point) {
      point = true;
    } else if (c >= '0' && c <= '9') {
      digit = true;
    } else {
      break;
    }
    ++length;
  }
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + length, value);
  if (!digit || error != std::errc() || end != text.data() + length) return -1;
  text.remove_prefix(length);
  return value;
}

std::string_view take_letters(std::string_view& text) {
  std::size_t length = 0;
  while (length < text.size() && ((text[length] | 0x20) >= 'a' && (text[length] | 0x20) <= 'z'))
    ++length;
  const std::string_view letters = text.substr(0, length);
  text.remove_prefix(length);
  return letters;
}

double milliseconds_of(std::string_view unit, bool alone) {
  if (unit == "ms") return 1;
  if (unit == "s" || (unit.empty() && alone)) return 1e3;
  if (unit == "m" || unit == "min") return 60e3;
  if (unit == "h") return 3600e3;
  if (unit == "d") return 86400e3;
  return 0;
}

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c | 0x20);
  }
  return result;
}

double bytes_of(std::string_view unit) {
  const std::string name = lower(unit);
  if (name.empty() || name == "b") return 1;
  constexpr std::string_view kPrefixes = "kmgt";
  const std::size_t power = kPrefixes.find(name[0]);
  if (power == std::string_view::npos) return 0;
  const std::string rest = name.substr(1);
  const bool decimal = rest == "b";
  if (!decimal && !rest.empty() && rest != "ib" && rest != "i") return 0;
  return std::pow(decimal ? 1000.0 : 1024.0, static_cast<double>(power + 1));
}

base::Failure bad(std::string_view text, std::string_view wanted) {
  return base::fail(base::Errc::kInvalidArgument,
                    "'" + std::string(text) + "' is not " + std::string(wanted));
}

// Edit distance with neighbouring letters swapped counted once.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::vector<std::size_t>> cost(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
  for (std::size_t i = 0; i <= a.size(); ++i) cost[i][0] = i;
  for (std::size_t j = 0; j <= b.size(); ++j) cost[0][j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t change = a[i - 1] == b[j - 1] ? 0 : 1;
      cost[i][j] = std::min({cost[i - 1][j] + 1, cost[i][j - 1] + 1, cost[i - 1][j - 1] + change});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        cost[i][j] = std::min(cost[i][j], cost[i - 2][j - 2] + 1);
      }
    }
  }
  return cost[a.size()][b.size()];
}

}  // namespace

base::Result<std::chrono::milliseconds> parse_duration(std::string_view text) {
  constexpr std::string_view kWanted = "a duration (250ms, 30s, 5m, 1h30m)";
  std::string_view rest = text;
  double total = 0;
  if (rest.empty()) return bad(text, kWanted);
  while (!rest.empty()) {
    const bool first = rest.size() == text.size();
    const double value = take_number(rest);
    const std::string_view unit = take_letters(rest);
    const double factor = milliseconds_of(unit, first && rest.empty());
    if (value < 0 || factor == 0) return bad(text, kWanted);
    total += value * factor;
  }
  // A hundred years: beyond that it is a mistake, and nanoseconds would overflow.
  if (total > 100 * 365.0 * 86400e3) return bad(text, kWanted);
  return std::chrono::milliseconds(std::llround(total));
}

base::Result<std::uint64_t> parse_size(std::string_view text) {
  constexpr std::string_view kWanted = "a size in bytes (512, 64KiB, 10MB, 1.5GiB)";
  std::string_view rest = text;
  const double value = take_number(rest);
  const double factor = bytes_of(take_letters(rest));
  if (value < 0 || factor == 0 || !rest.empty() || value * factor > 9e18) return bad(text, kWanted);
  return static_cast<std::uint64_t>(std::llround(value * factor));
}

base::Result<std::uint16_t> parse_port(std::string_view text) {
  unsigned value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size() ||
      value > std::numeric_limits<std::uint16_t>::max()) {
    return bad(text, "a port (0 to 65535; 0 takes any free one)");
  }
  return static_cast<std::uint16_t>(value);
}

std::string_view nearest(std::string_view wrong, const std::vector<std::string_view>& known) {
  std::string_view best;
  std::size_t best_distance = wrong.size() / 3 + 1;
  for (std::string_view name : known) {
    const std::size_t d = distance(wrong, name);
    // A name that was cut short is near as well: --log for --log-level.
    const bool prefix = wrong.size() >= 3 && name.starts_with(wrong);
    if (d < best_distance || (prefix && best.empty())) {
      best = name;
      if (d < best_distance) best_distance = d;
    }
  }
  return best;
}

}  // namespace emulator::config
