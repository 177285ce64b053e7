#include "fakeapi/cloud/pagination.h"

#include <algorithm>
#include <charconv>
#include <iterator>

namespace fakeapi::cloud {

using base::Errc;

namespace {

template <class Number>
std::optional<Number> whole_number(std::string_view text) {
  Number value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

base::Failure invalid_token() {
  return base::fail(Errc::kInvalidArgument, "Invalid next token");
}

// True when (time, id) comes after the cursor. Ids ascend in both orders, as in the cloud.
bool comes_after(const SandboxInfo& sandbox, const Cursor& cursor, Order order) {
  if (sandbox.started_at == cursor.time) return sandbox.sandbox_id > cursor.id;
  return order == Order::kNewestFirst ? sandbox.started_at < cursor.time
                                      : sandbox.started_at > cursor.time;
}

}  // namespace

base::Result<std::size_t> parse_limit(std::string_view text) {
  auto value = whole_number<std::int64_t>(text);
  if (!value) return base::fail(Errc::kInvalidArgument, "value must be an integer");
  if (*value < 1) return base::fail(Errc::kInvalidArgument, "number must be at least 1");
  return std::min(static_cast<std::size_t>(*value), kMaxPage);
}

// "d.<nanoseconds since the epoch>.<id>", 'a' for oldest first.
std::string make_token(const Cursor& cursor, Order order) {
  auto since_epoch =
      std::chrono::duration_cast<std::chrono::nanoseconds>(cursor.time.time_since_epoch());
  return std::string(order == Order::kNewestFirst ? "d." : "a.") +
         std::to_string(since_epoch.count()) + "." + cursor.id;
}

base::Result<Cursor> parse_token(std::string_view token, Order order) {
  std::string_view prefix = order == Order::kNewestFirst ? "d." : "a.";
  if (token.substr(0, prefix.size()) != prefix) return invalid_token();
  token.remove_prefix(prefix.size());
  auto dot = token.find('.');
  if (dot == std::string_view::npos || dot + 1 == token.size()) return invalid_token();
  auto since_epoch = whole_number<std::int64_t>(token.substr(0, dot));
  if (!since_epoch) return invalid_token();
  Cursor cursor;
  cursor.time = base::TimePoint(std::chrono::duration_cast<base::TimePoint::duration>(
      std::chrono::nanoseconds(*since_epoch)));
  cursor.id = std::string(token.substr(dot + 1));
  return cursor;
}

SandboxPage make_page(std::vector<SandboxInfo> sandboxes, const PageRequest& request) {
  if (request.after) {
    std::erase_if(sandboxes, [&](const SandboxInfo& sandbox) {
      return !comes_after(sandbox, *request.after, request.order);
    });
  }
  std::sort(sandboxes.begin(), sandboxes.end(), [&](const SandboxInfo& a, const SandboxInfo& b) {
    if (a.started_at == b.started_at) return a.sandbox_id < b.sandbox_id;
    return request.order == Order::kNewestFirst ? a.started_at > b.started_at
                                                : a.started_at < b.started_at;
  });
  SandboxPage page;
  if (sandboxes.size() > request.limit) {
    const SandboxInfo& last = sandboxes[request.limit - 1];
    page.next_token = make_token({last.started_at, last.sandbox_id}, request.order);
    sandboxes.erase(std::next(sandboxes.begin(), static_cast<std::ptrdiff_t>(request.limit)),
                    sandboxes.end());
  }
  page.items = std::move(sandboxes);
  return page;
}

}  // namespace fakeapi::cloud
