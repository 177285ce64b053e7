#include "fakeapi/envd/http_date.h"

#include <array>
#include <chrono>
#include <cstdio>

#include "fakeapi/envd/digits.h"

namespace fakeapi::envd {

namespace {

constexpr std::array<const char*, 7> kDays = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
constexpr std::array<const char*, 12> kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                 "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

}  // namespace

std::string format_http_date(std::int64_t unix_seconds) {
  using namespace std::chrono;  // NOLINT(google-build-using-namespace)
  sys_seconds time{seconds(unix_seconds)};
  auto day = floor<days>(time);
  year_month_day date(day);
  hh_mm_ss clock(time - day);
  std::array<char, 64> text{};
  int size = std::snprintf(text.data(), text.size(), "%s, %02u %s %04d %02d:%02d:%02d GMT",
                           kDays.at(weekday(day).c_encoding()), static_cast<unsigned>(date.day()),
                           kMonths.at(static_cast<unsigned>(date.month()) - 1),
                           static_cast<int>(date.year()), static_cast<int>(clock.hours().count()),
                           static_cast<int>(clock.minutes().count()),
                           static_cast<int>(clock.seconds().count()));
  return {text.data(), static_cast<std::size_t>(size)};
}

std::optional<std::int64_t> parse_http_date(std::string_view text) {
  using namespace std::chrono;  // NOLINT(google-build-using-namespace)
  // "Sun, 06 Nov 1994 08:49:37 GMT"
  bool shaped = text.size() == 29 && text.substr(3, 2) == ", " && text[7] == ' ' &&
                text[11] == ' ' && text[16] == ' ' && text[19] == ':' && text[22] == ':' &&
                text.substr(25) == " GMT";
  if (!shaped) return std::nullopt;
  unsigned month = 0;
  while (month < kMonths.size() && text.substr(8, 3) != kMonths.at(month)) ++month;
  auto day_number = parse_digits(text.substr(5, 2));
  auto year_number = parse_digits(text.substr(12, 4));
  auto hour = parse_digits(text.substr(17, 2));
  auto minute = parse_digits(text.substr(20, 2));
  auto second = parse_digits(text.substr(23, 2));
  if (month == kMonths.size() || !day_number || !year_number || !hour || !minute || !second) {
    return std::nullopt;
  }
  year_month_day date(year(*year_number), std::chrono::month(month + 1),
                      day(static_cast<unsigned>(*day_number)));
  if (!date.ok() || *hour > 23 || *minute > 59 || *second > 59) return std::nullopt;
  sys_seconds time = sys_days(date) + hours(*hour) + minutes(*minute) + seconds(*second);
  return time.time_since_epoch().count();
}

}  // namespace fakeapi::envd
