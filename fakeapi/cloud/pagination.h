// Pages of a sorted list that stay right while entries come and go: a token names the last entry
// seen (its time and id), not a position. Pure. Used by the sandbox list and the template list.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "emulator/base/clock.h"
#include "emulator/base/result.h"
#include "fakeapi/cloud/sandbox_service.h"

namespace fakeapi::cloud {

enum class Order { kNewestFirst, kOldestFirst };

// The last entry of the page before; entries with the same time are ordered by id.
struct Cursor {
  base::TimePoint time;
  std::string id;
};

struct PageRequest {
  std::size_t limit = 100;
  Order order = Order::kNewestFirst;
  std::optional<Cursor> after;
};

inline constexpr std::size_t kMaxPage = 100;

// A page size: 1 or more, and at most kMaxPage (more is answered with kMaxPage entries).
// kInvalidArgument.
base::Result<std::size_t> parse_limit(std::string_view text);

// Tokens are opaque to clients and need no escaping in a URL.
std::string make_token(const Cursor& cursor, Order order);
// kInvalidArgument "Invalid next token": not one of ours, or made for the other order (it would
// serve entries twice).
base::Result<Cursor> parse_token(std::string_view token, Order order);

struct SandboxPage {
  std::vector<SandboxInfo> items;
  std::string next_token;  // "" = last page
};

// Sorts, skips to the cursor and cuts. `sandboxes` are those that match the filter, in any order.
SandboxPage make_page(std::vector<SandboxInfo> sandboxes, const PageRequest& request);

}  // namespace fakeapi::cloud
