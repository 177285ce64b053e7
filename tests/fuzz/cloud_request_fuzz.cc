// Bodies and queries of the REST API.
#include "fakeapi/cloud/bodies.h"
#include "fakeapi/cloud/filter.h"
#include "fakeapi/cloud/pagination.h"
#include "fakeapi/cloud/time_text.h"
#include "tests/fuzz/target.h"

namespace cloud = fakeapi::cloud;
using tests::fuzz::require;

// Byte 0: which parser.
FUZZ_TARGET(cloud_request) {
  tests::fuzz::Input in(input);
  std::uint8_t which = in.byte();
  std::string_view text = in.rest();
  switch (which % 8U) {
    case 0:
      (void)cloud::parse_new_sandbox(text, {});
      break;
    case 1:
      (void)cloud::parse_connect(text);
      break;
    case 2:
      if (auto timeout = cloud::parse_timeout(text))
        require(timeout->count() >= 0, "a timeout is not negative");
      break;
    case 3:
      (void)cloud::parse_refresh(text);
      break;
    case 4:
      (void)cloud::parse_pause(text);
      break;
    case 5:
      if (auto query = cloud::parse_list_query(text)) {
        require(query->page.limit >= 1 && query->page.limit <= cloud::kMaxPage,
                "a page has a size");
      }
      break;
    case 6:
      for (auto order : {cloud::Order::kNewestFirst, cloud::Order::kOldestFirst}) {
        auto cursor = cloud::parse_token(text, order);
        if (!cursor) continue;
        auto again = cloud::parse_token(cloud::make_token(*cursor, order), order);
        require(again && again->id == cursor->id && again->time == cursor->time,
                "a token that is accepted is one of ours");
      }
      break;
    default:
      (void)cloud::parse_rfc3339(text);
      break;
  }
}
