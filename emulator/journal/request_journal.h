// The last calls of the cloud's API, in one bounded ring per emulator: who asked for what, and what
// was answered, without secrets (redaction.h). Wraps the cloud's handler; also told of the answers
// that injected faults gave. Read by control_routes.h. On one loop, no locks.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>

#include "emulator/base/clock.h"
#include "fakeapi/http/connection.h"

namespace emulator::journal {

struct Entry {
  std::uint64_t number = 0;  // of all that were ever recorded, from 1
  base::TimePoint time;      // when the request came
  std::string method;
  std::string path;  // with its query
  int status = 0;    // 0: no answer
  std::chrono::microseconds duration{};
  std::string sandbox;  // in the path, or made by the call; "" = none
  std::vector<std::pair<std::string, std::string>> headers;
  std::string request_body;
  std::string response_body;
  std::string fault;  // the rule that answered, or cut it off; "" = none
};

// "i123" of "/sandboxes/i123/pause" and of "/v2/sandboxes/i123"; "" for every other path.
std::string_view sandbox_of_path(std::string_view path);

class RequestJournal {
 public:
  static constexpr std::size_t kEntries = 1000;
  static constexpr std::size_t kBytes = 8U << 20U;  // of all entries together

  // `clock` outlives the journal.
  RequestJournal(const boost::asio::any_io_executor& executor, const base::Clock& clock);

  // The same handler, with a memory. The journal outlives it.
  fakeapi::http::Handler record(fakeapi::http::Handler handler);
  // Sets `number`.
  void add(Entry entry);

  const std::deque<Entry>& entries() const { return entries_; }
  // The number that the next entry will have.
  std::uint64_t next() const { return next_; }
  // Until there may be an entry with this number. False: cancelled.
  boost::asio::awaitable<bool> wait_for(std::uint64_t number);
  // Forgets all; how many there were.
  std::size_t clear();

 private:
  boost::asio::awaitable<void> observe(const fakeapi::http::Handler& handler,
                                       const fakeapi::http::RequestHead& head,
                                       fakeapi::http::ServerConnection& connection);

  const base::Clock& clock_;
  std::deque<Entry> entries_;
  std::size_t bytes_ = 0;
  std::uint64_t next_ = 1;
  boost::asio::steady_timer added_;  // cancelled by each add()
};

}  // namespace emulator::journal
