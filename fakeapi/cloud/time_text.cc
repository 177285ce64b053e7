#include "fakeapi/cloud/time_text.h"

#include <chrono>

namespace fakeapi::cloud {

namespace {

// Consumes exactly `count` digits.
std::optional<int> digits(std::string_view& text, std::size_t count) {
  if (text.size() < count) return std::nullopt;
  int value = 0;
  for (char c : text.substr(0, count)) {
    if (c < '0' || c > '9') return std::nullopt;
    value = value * 10 + (c - '0');
  }
  text.remove_prefix(count);
  return value;
}

bool take(std::string_view& text, std::string_view any_of) {
  if (text.empty() || any_of.find(text.front()) == std::string_view::npos) return false;
  text.remove_prefix(1);
  return true;
}

std::optional<std::chrono::nanoseconds> fraction(std::string_view& text) {
  if (!take(text, ".")) return std::chrono::nanoseconds(0);
  std::int64_t nanoseconds = 0;
  std::int64_t unit = 100'000'000;
  std::size_t count = 0;
  for (; !text.empty() && text.front() >= '0' && text.front() <= '9'; text.remove_prefix(1)) {
    nanoseconds += unit * (text.front() - '0');
    unit /= 10;
    ++count;
  }
  if (count == 0) return std::nullopt;
  return std::chrono::nanoseconds(nanoseconds);
}

std::optional<std::chrono::minutes> offset(std::string_view& text) {
  if (take(text, "Zz")) return std::chrono::minutes(0);
  bool negative = text.substr(0, 1) == "-";
  if (!take(text, "+- ")) return std::nullopt;
  auto hours = digits(text, 2);
  if (!hours || !take(text, ":")) return std::nullopt;
  auto minutes = digits(text, 2);
  if (!minutes || *hours > 23 || *minutes > 59) return std::nullopt;
  std::chrono::minutes value(*hours * 60 + *minutes);
  return negative ? -value : value;
}

}  // namespace

std::optional<base::TimePoint> parse_rfc3339(std::string_view text) {
  namespace chrono = std::chrono;
  auto year = digits(text, 4);
  if (!year || !take(text, "-")) return std::nullopt;
  auto month = digits(text, 2);
  if (!month || !take(text, "-")) return std::nullopt;
  auto day = digits(text, 2);
  if (!day || !take(text, "Tt ")) return std::nullopt;
  auto hour = digits(text, 2);
  if (!hour || !take(text, ":")) return std::nullopt;
  auto minute = digits(text, 2);
  if (!minute || !take(text, ":")) return std::nullopt;
  auto second = digits(text, 2);
  if (!second) return std::nullopt;
  auto part = fraction(text);
  if (!part) return std::nullopt;
  auto zone = offset(text);
  if (!zone || !text.empty()) return std::nullopt;

  chrono::year_month_day date{chrono::year(*year), chrono::month(static_cast<unsigned>(*month)),
                              chrono::day(static_cast<unsigned>(*day))};
  // What system_clock can hold in nanoseconds ends in 2262; a leap second is the next minute's
  // first.
  bool fits = date.ok() && *year >= 1678 && *year <= 2261;
  if (!fits || *hour > 23 || *minute > 59 || *second > 60) return std::nullopt;
  auto time = chrono::sys_days(date) + chrono::hours(*hour) + chrono::minutes(*minute) +
              chrono::seconds(*second) - *zone + *part;
  return chrono::time_point_cast<base::TimePoint::duration>(time);
}

}  // namespace fakeapi::cloud
