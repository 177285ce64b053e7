// A CloudApi over a FakeSandboxService, asked in real HTTP bytes over a memory stream: one
// connection per request, or one for several with raw().
#pragma once

#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "emulator/base/task_group.h"
#include "fakeapi/cloud/cloud_api.h"
#include "tests/cloud/fake_sandbox_service.h"
#include "tests/cloud/fake_secrets.h"
#include "tests/cloud/fake_volumes.h"
#include "tests/support/memory_stream.h"
#include "tests/support/run_task.h"

namespace tests {

namespace http = fakeapi::http;
using nlohmann::json;

struct CloudAnswer {
  int status = 0;
  http::Headers headers;
  std::string body;

  // The body as JSON; fails the test when it is not.
  json parsed() const {
    json value = json::parse(body, nullptr, false);
    EXPECT_FALSE(value.is_discarded()) << body;
    return value;
  }
  std::string message() const { return parsed().value("message", ""); }
};

class CloudTest : public ::testing::Test {
 protected:
  using HeaderList = std::initializer_list<http::Headers::Item>;

  CloudTest() { configure(cloud::CloudOptions()); }

  void configure(cloud::CloudOptions options) {
    if (options.public_domain.empty()) options.public_domain = "localhost:7463";
    options.volumes = &volumes_;
    options.volume_files = &volumes_;
    options.secrets = &secrets_;
    api_ = std::make_unique<cloud::CloudApi>(service_, clock_, std::move(options));
  }

  CloudAnswer ask(std::string method,
                  std::string target,
                  std::string body = "",
                  HeaderList headers = {}) {
    http::RequestHead head;
    head.method = std::move(method);
    head.target = std::move(target);
    head.headers = http::Headers(headers);
    if (!head.headers.has("Host")) head.headers.add("Host", "127.0.0.1:7463");
    if (!body.empty()) {
      head.headers.add("Content-Type", "application/json");
      if (!head.headers.has("Transfer-Encoding")) {
        head.headers.add("Content-Length", std::to_string(body.size()));
      }
    }
    return exchange(http::serialize(head) + body, head.method);
  }
  CloudAnswer get(std::string target, HeaderList headers = {}) {
    return ask("GET", std::move(target), "", headers);
  }
  CloudAnswer post(std::string target, std::string body = "", HeaderList headers = {}) {
    return ask("POST", std::move(target), std::move(body), headers);
  }

  // Creates a sandbox by the API and returns its id.
  std::string create(std::string body = R"({"templateID":"base"})") {
    CloudAnswer answer = post("/sandboxes", std::move(body));
    EXPECT_EQ(answer.status, 201) << answer.body;
    return answer.parsed().value("sandboxID", "");
  }

  // Sends bytes as they are; the first response.
  CloudAnswer exchange(std::string bytes, std::string method = "GET") {
    CloudAnswer answer = run_task(context_, converse(std::move(bytes), std::move(method)));
    return answer;
  }

  // Every row of errors must look like this (contract-novita 2.0).
  static void expect_error(const CloudAnswer& answer, int status) {
    EXPECT_EQ(answer.status, status) << answer.body;
    EXPECT_EQ(answer.headers.get("Content-Type"), "application/json");
    json body = answer.parsed();
    ASSERT_TRUE(body.is_object());
    EXPECT_EQ(body.value("code", 0), status) << answer.body;
    EXPECT_FALSE(body.value("message", "").empty()) << answer.body;
  }

  boost::asio::awaitable<CloudAnswer> converse(std::string bytes, std::string method) {
    auto [near, far] = make_memory_streams(context_.get_executor(), stream_options_);
    base::TaskGroup group(context_.get_executor());
    http::Handler handler = [this](const http::RequestHead& head,
                                   http::ServerConnection& connection) {
      return api_->handle(head, connection);
    };
    group.spawn("server", http::serve_connection(*far, handler));
    CloudAnswer answer;
    auto sent = co_await near->write_all(bytes);
    EXPECT_TRUE(sent.has_value());
    http::ClientConnection client(*near);
    auto head = co_await client.read_head(method);
    EXPECT_TRUE(head.has_value());
    if (head) {
      auto body = co_await client.read_full_body(64U << 20U);
      EXPECT_TRUE(body.has_value());
      answer.status = head->status;
      answer.headers = head->headers;
      answer.body = body.value_or("");
    }
    near->close();
    co_await group.join();
    co_return answer;
  }

  boost::asio::io_context context_;
  MemoryStreamOptions stream_options_;
  ManualClock clock_;
  FakeSandboxService service_{clock_};
  FakeVolumes volumes_;
  FakeSecrets secrets_;
  std::unique_ptr<cloud::CloudApi> api_;
};

}  // namespace tests
