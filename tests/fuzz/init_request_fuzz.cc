// The body of POST /init.
#include "fakeapi/envd/init_request.h"
#include "tests/fuzz/target.h"

using tests::fuzz::require;

FUZZ_TARGET(init_request) {
  auto request = fakeapi::envd::parse_init_request(input);
  if (!request || !request->timestamp) return;
  namespace chrono = std::chrono;
  auto year = chrono::year_month_day(chrono::floor<chrono::days>(*request->timestamp)).year();
  require(year >= chrono::year(1699) && year <= chrono::year(2201), "a time is in clock's range");
}
