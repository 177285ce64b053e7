#include "emulator/faults/control_routes.h"

#include <memory>

#include "emulator/faults/rule_json.h"

namespace emulator::faults {

namespace asio = boost::asio;
namespace http = fakeapi::http;
using base::Errc;
using control::ControlRoute;
using control::error_response;
using control::json_response;

namespace {

constexpr std::size_t kBodyLimit = 512U << 10U;

struct Shared {
  FaultRules& rules;
  SandboxActions actions;
};
using SharedPtr = std::shared_ptr<Shared>;

http::Response failure(const base::Error& error) {
  switch (error.code()) {
    case Errc::kInvalidArgument:
      return error_response(400, error.message());
    case Errc::kNotFound:
      return error_response(404, error.message());
    case Errc::kConflict:
    case Errc::kResourceExhausted:
      return error_response(409, error.message());
    case Errc::kTooLarge:
      return error_response(413, error.message());
    case Errc::kUnimplemented:
      return error_response(501, error.message());
    default:
      return error_response(500, error.message());
  }
}

http::Response removed_response(std::size_t count) {
  return json_response(200, "{\"removed\":" + std::to_string(count) + "}");
}

base::Result<http::Response> add_rule(FaultRules& rules, const std::string& body) {
  SANDLOT_TRY(Rule rule, parse_rule(body));
  SANDLOT_TRY(Rule made, rules.add(std::move(rule)));
  return json_response(201, rule_json(made));
}

asio::awaitable<void> add(http::RoutedRequest request, SharedPtr shared) {
  auto body = co_await request.connection.read_full_body(kBodyLimit);
  base::Result<http::Response> answer = base::Failure(base::Error(Errc::kInternal, ""));
  if (body) answer = add_rule(shared->rules, *body);
  auto response = !body    ? failure(body.error())
                  : answer ? std::move(*answer)
                           : failure(answer.error());
  co_await request.connection.send(std::move(response));
}

base::Task<http::Response> hurt(SharedPtr shared, std::string id, std::string body) {
  SANDLOT_CO_TRY(SandboxFault fault, parse_sandbox_fault(body));
  if (!shared->actions.exists(id)) {
    co_return base::fail(Errc::kNotFound, "sandbox \"" + id + "\" not found");
  }
  if (fault.type == "latency") {
    Rule rule;
    rule.sandbox = id;
    rule.times = fault.times;
    rule.effect.latency = fault.latency;
    rule.of_sandbox_fault = fault.type;
    SANDLOT_CO_TRY(Rule made, shared->rules.add(std::move(rule)));
    co_return json_response(201, rule_json(made));
  }
  if (fault.type == "kill_daemon") {
    SANDLOT_CO_CHECK(shared->actions.kill_daemon(id));
  } else if (fault.type == "reset_peer") {
    SANDLOT_CO_CHECK(shared->actions.reset_peers(id));
  } else {
    SANDLOT_CO_CHECK(co_await shared->actions.freeze(id, true));
  }
  co_return json_response(200, "{\"type\":\"" + fault.type + "\"}");
}

base::Task<http::Response> heal(SharedPtr shared, std::string id) {
  std::size_t removed = shared->rules.remove_of_sandbox(id);
  SANDLOT_CO_CHECK(co_await shared->actions.freeze(id, false));
  co_return removed_response(removed);
}

asio::awaitable<void> change_sandbox(http::RoutedRequest request, SharedPtr shared) {
  std::string id = request.path.find("id")->second;
  auto body = co_await request.connection.read_full_body(kBodyLimit);
  http::Response response;
  if (!body) {
    response = failure(body.error());
  } else {
    auto doing =
        request.head.method == "DELETE" ? heal(shared, id) : hurt(shared, id, std::move(*body));
    auto done = co_await std::move(doing);
    response = done ? std::move(*done) : failure(done.error());
  }
  co_await request.connection.send(std::move(response));
}

asio::awaitable<void> send(http::ServerConnection& connection, http::Response response) {
  co_await connection.send(std::move(response));
}

}  // namespace

std::vector<ControlRoute> control_routes(FaultRules& rules, SandboxActions actions) {
  auto shared = std::make_shared<Shared>(Shared{rules, std::move(actions)});
  auto list = [shared](http::RoutedRequest request) {
    auto all = shared->rules.all();
    return send(request.connection, json_response(200, rules_json(all)));
  };
  auto clear = [shared](http::RoutedRequest request) {
    return send(request.connection, removed_response(shared->rules.clear()));
  };
  auto remove = [shared](http::RoutedRequest request) {
    std::string id = request.path.find("id")->second;
    bool found = shared->rules.remove(id);
    return send(request.connection,
                found ? removed_response(1) : error_response(404, "no fault '" + id + "'"));
  };
  auto make = [shared](http::RoutedRequest request) { return add(std::move(request), shared); };
  auto change = [shared](http::RoutedRequest request) {
    return change_sandbox(std::move(request), shared);
  };
  return {{"GET", "/_sandlot/faults", list},
          {"POST", "/_sandlot/faults", make},
          {"DELETE", "/_sandlot/faults", clear},
          {"DELETE", "/_sandlot/faults/{id}", remove},
          {"POST", "/_sandlot/sandboxes/{id}/faults", change},
          {"DELETE", "/_sandlot/sandboxes/{id}/faults", change}};
}

}  // namespace emulator::faults
