// What the journal keeps of requests that really went through it, and how one follows it.
#include "emulator/journal/request_journal.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "emulator/base/task_group.h"
#include "emulator/journal/control_routes.h"
#include "tests/support/memory_stream.h"
#include "tests/support/run_task.h"

namespace emulator::journal {
namespace {

namespace asio = boost::asio;
namespace http = fakeapi::http;
using nlohmann::json;

asio::awaitable<void> answer_create(const http::RequestHead&, http::ServerConnection& connection) {
  auto body = co_await connection.read_full_body(1U << 20U);
  http::Response response;
  response.status = 201;
  response.body = R"({"sandboxID":"i7","envdAccessToken":"s3cret"})";
  co_await connection.send(std::move(response));
}

class Journal : public ::testing::Test {
 protected:
  // Sends bytes to a handler, returns what comes back before it ends or falls silent.
  std::string exchange(const http::Handler& handler, std::string request) {
    return tests::run_task(context_, converse(handler, std::move(request)));
  }
  asio::awaitable<std::string> converse(http::Handler handler, std::string request) {
    auto [near, far] = tests::make_memory_streams(context_.get_executor());
    base::TaskGroup group(context_.get_executor());
    group.spawn("server", http::serve_connection(*far, handler));
    (void)co_await near->write_all(request, {});
    std::array<char, 65536> buffer{};
    auto count = co_await near->read_some(buffer);
    near->close();
    co_await group.join();
    co_return std::string(buffer.data(), count.value_or(0));
  }
  json listed(const std::string& query = "") {
    auto routes = control_routes(journal_);
    http::Handler handler = [&](const http::RequestHead& head, http::ServerConnection& connection) {
      http::RoutedRequest request{head, {}, connection};
      return routes[0].handler(std::move(request));
    };
    std::string answer = exchange(handler, "GET /_sandlot/requests" + query +
                                               " HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    status_ = std::atoi(answer.substr(9, 3).c_str());
    return json::parse(answer.substr(answer.find("\r\n\r\n") + 4), nullptr, false);
  }
  void create() {
    exchange(journal_.record(answer_create),
             "POST /sandboxes?token=s3cret HTTP/1.1\r\nHost: a\r\nX-API-Key: s3cret\r\n"
             "Transfer-Encoding: chunked\r\n\r\n"
             "10\r\n{\"envVars\":{\"A\":\r\nb\r\n\"s3cret\"}} \r\n0\r\n\r\n");
  }

  asio::io_context context_;
  base::SystemClock clock_;
  RequestJournal journal_{context_.get_executor(), clock_};
  int status_ = 0;
};

TEST_F(Journal, ShowsACallWithoutItsSecrets) {
  create();
  json all = listed();
  ASSERT_EQ(all.size(), 1U);
  const json& entry = all[0];
  EXPECT_EQ(entry["method"], "POST");
  EXPECT_EQ(entry["path"], "/sandboxes?token=***");
  EXPECT_EQ(entry["status"], 201);
  EXPECT_EQ(entry["sandboxID"], "i7");
  EXPECT_EQ(entry["headers"]["X-API-Key"], "***");
  EXPECT_EQ(entry["headers"]["Host"], "a");
  EXPECT_EQ(entry["requestBody"], R"({"envVars":{"A":"***"}})");
  EXPECT_EQ(all.dump().find("s3cret"), std::string::npos);
}

TEST_F(Journal, IsBoundedAndForgetsTheOldestFirst) {
  for (std::size_t i = 0; i < RequestJournal::kEntries + 5; ++i) journal_.add(Entry());
  EXPECT_EQ(journal_.entries().size(), RequestJournal::kEntries);
  EXPECT_EQ(journal_.entries().front().number, 6U);
  EXPECT_EQ(listed("?limit=2")[0]["number"], RequestJournal::kEntries + 4);
  EXPECT_EQ(journal_.clear(), RequestJournal::kEntries);
  EXPECT_EQ(listed().size(), 0U);
  for (std::string query : {"?limit=-1", "?limit=x", "?follow=maybe", "?Limit=1"}) {
    listed(query);
    EXPECT_EQ(status_, 400) << query;
  }
}

TEST_F(Journal, ManyLargeEntriesDoNotFillTheMemory) {
  for (int i = 0; i < 100; ++i) {
    Entry entry;
    entry.headers.emplace_back("Name", std::string(1U << 20U, 'x'));
    journal_.add(std::move(entry));
  }
  EXPECT_LE(journal_.entries().size(), 8U);
}

asio::awaitable<std::string> follow(asio::io_context& context, RequestJournal& journal) {
  auto [near, far] = tests::make_memory_streams(context.get_executor());
  auto routes = control_routes(journal);
  http::Handler handler = [&](const http::RequestHead& head, http::ServerConnection& connection) {
    http::RoutedRequest request{head, {}, connection};
    return routes[0].handler(std::move(request));
  };
  base::TaskGroup group(context.get_executor());
  group.spawn("server", http::serve_connection(*far, handler));
  (void)co_await near->write_all("GET /_sandlot/requests?follow=true HTTP/1.1\r\nHost: a\r\n\r\n",
                                 {});
  std::string seen;
  std::array<char, 65536> buffer{};
  for (int round = 0; seen.find("\"third\"") == std::string::npos && round < 20; ++round) {
    auto count = co_await near->read_some(buffer);
    seen.append(buffer.data(), count.value_or(0));
    Entry entry;
    entry.method = round == 0 ? "second" : "third";
    journal.add(std::move(entry));
  }
  near->close();
  co_await group.join();
  co_return seen;
}

TEST_F(Journal, CanBeFollowed) {
  Entry entry;
  entry.method = "first";
  journal_.add(std::move(entry));
  std::string seen = tests::run_task(context_, follow(context_, journal_));
  EXPECT_NE(seen.find("\"first\""), std::string::npos);
  EXPECT_NE(seen.find("\"second\""), std::string::npos);
  EXPECT_NE(seen.find("\"third\""), std::string::npos);
}

TEST(JournalPaths, NameTheirSandbox) {
  EXPECT_EQ(sandbox_of_path("/sandboxes/i1/pause"), "i1");
  EXPECT_EQ(sandbox_of_path("/v2/sandboxes/i1/logs"), "i1");
  EXPECT_EQ(sandbox_of_path("/sandboxes/i1"), "i1");
  for (const char* path : {"/sandboxes", "/sandboxes/", "/sandboxes/events", "/templates/x"}) {
    EXPECT_EQ(sandbox_of_path(path), "") << path;
  }
}

}  // namespace
}  // namespace emulator::journal
