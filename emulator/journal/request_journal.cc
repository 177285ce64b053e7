#include "emulator/journal/request_journal.h"

#include <algorithm>

#include <boost/asio/this_coro.hpp>

#include "emulator/base/async.h"
#include "emulator/base/scope_exit.h"
#include "emulator/journal/redaction.h"

namespace emulator::journal {

namespace asio = boost::asio;
namespace http = fakeapi::http;

namespace {

// The beginning of what passes, as much as the journal could show.
struct Tap final : http::ConnectionObserver {
  struct Body {
    std::string begin;
    std::size_t size = 0;
    void add(std::string_view piece) {
      size += piece.size();
      if (size <= kLargestBody) begin.append(piece);
    }
  };
  void request_body(std::string_view piece) override { request.add(piece); }
  void response(int code) override { status = code; }
  void response_body(std::string_view piece) override { answer.add(piece); }
  int status = 0;
  Body request;
  Body answer;
};

// The value of "sandboxID" in a create's answer; it is at the top, and ours.
std::string_view made_sandbox(std::string_view body) {
  constexpr std::string_view kKey = "\"sandboxID\":\"";
  auto at = body.find(kKey);
  if (at == std::string_view::npos) return {};
  std::string_view rest = body.substr(at + kKey.size());
  return rest.substr(0, rest.find('"'));
}

std::size_t weight(const Entry& entry) {
  std::size_t bytes =
      sizeof(Entry) + entry.path.size() + entry.request_body.size() + entry.response_body.size();
  for (const auto& [name, value] : entry.headers) bytes += 64 + name.size() + value.size();
  return bytes;
}

}  // namespace

std::string_view sandbox_of_path(std::string_view path) {
  for (std::string_view prefix : {"/sandboxes/", "/v2/sandboxes/"}) {
    if (!path.starts_with(prefix)) continue;
    std::string_view rest = path.substr(prefix.size());
    std::string_view id = rest.substr(0, std::min(rest.find('/'), rest.find('?')));
    bool named = !id.empty() && id != "quota" && id != "events" && id != "metrics";
    return named ? id : std::string_view();
  }
  return {};
}

RequestJournal::RequestJournal(const asio::any_io_executor& executor, const base::Clock& clock)
    : clock_(clock), added_(executor, asio::steady_timer::time_point::max()) {}

http::Handler RequestJournal::record(http::Handler handler) {
  return [this, handler = std::move(handler)](const http::RequestHead& head,
                                              http::ServerConnection& connection) {
    return observe(handler, head, connection);
  };
}

asio::awaitable<void> RequestJournal::observe(const http::Handler& handler,
                                              const http::RequestHead& head,
                                              http::ServerConnection& connection) {
  Entry entry;
  entry.time = clock_.now();
  auto started = std::chrono::steady_clock::now();
  Tap tap;
  connection.observe(&tap);
  base::ScopeExit done([&] { connection.observe(nullptr); });
  co_await handler(head, connection);
  entry.duration = std::chrono::duration_cast<std::chrono::microseconds>(
      std::chrono::steady_clock::now() - started);
  entry.method = head.method;
  entry.path = redact_target(head.target);
  entry.status = tap.status;
  entry.sandbox = sandbox_of_path(head.path());
  if (entry.sandbox.empty() && tap.status == 201) entry.sandbox = made_sandbox(tap.answer.begin);
  for (const auto& [name, value] : head.headers) {
    entry.headers.emplace_back(name, is_secret_name(name) ? std::string(kRedacted) : value);
  }
  entry.request_body = redact_body(tap.request.begin, tap.request.size);
  entry.response_body = redact_body(tap.answer.begin, tap.answer.size);
  add(std::move(entry));
}

void RequestJournal::add(Entry entry) {
  entry.number = next_++;
  bytes_ += weight(entry);
  entries_.push_back(std::move(entry));
  while (entries_.size() > kEntries || (bytes_ > kBytes && entries_.size() > 1)) {
    bytes_ -= weight(entries_.front());
    entries_.pop_front();
  }
  added_.cancel();
}

asio::awaitable<bool> RequestJournal::wait_for(std::uint64_t number) {
  while (next_ <= number) {
    co_await added_.async_wait(base::kUse);
    auto state = co_await asio::this_coro::cancellation_state;
    if (state.cancelled() != asio::cancellation_type::none) co_return false;
  }
  co_return true;
}

std::size_t RequestJournal::clear() {
  std::size_t count = entries_.size();
  entries_.clear();
  bytes_ = 0;
  return count;
}

}  // namespace emulator::journal
