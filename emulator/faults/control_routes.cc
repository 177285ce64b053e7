#include "emulator/faults/control_routes.h"

#include <string>

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

// Of requests under way: both outlive them.
struct Parts {
  FaultRules& rules;
  SandboxFaults& faults;
};

http::Response failure(const base::Error& error) {
  switch (error.code()) {
    case Errc::kInvalidArgument:
      return error_response(400, error.message());
    case Errc::kNotFound:
      return error_response(404, error.message());
    case Errc::kConflict:
    case Errc::kFailedPrecondition:
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

using Answer = base::Result<http::Response>;

http::Response removed_response(std::size_t count) {
  return json_response(200, "{\"removed\":" + std::to_string(count) + "}");
}

asio::awaitable<void> send(http::ServerConnection& connection, Answer answer) {
  auto response = answer ? std::move(*answer) : failure(answer.error());
  co_await connection.send(std::move(response));
}

Answer all_faults(Parts parts) {
  auto rules = parts.rules.all();
  auto faults = parts.faults.list();
  return json_response(200, faults_json(rules, faults));
}

Answer add_rule(FaultRules& rules, const std::string& body) {
  SANDLOT_TRY(Rule rule, parse_rule(body));
  SANDLOT_TRY(Rule made, rules.add(std::move(rule)));
  return json_response(201, rule_json(made));
}

asio::awaitable<void> add(http::RoutedRequest request, Parts parts) {
  auto body = co_await request.connection.read_full_body(kBodyLimit);
  Answer answer = base::Failure(base::Error(Errc::kInternal, ""));
  answer = body ? add_rule(parts.rules, *body) : Answer(base::Failure(body.error()));
  co_await send(request.connection, std::move(answer));
}

base::Task<http::Response> end_all(Parts parts) {
  SANDLOT_CO_TRY(std::size_t ended, co_await parts.faults.heal_all());
  co_return removed_response(ended + parts.rules.clear());
}

base::Task<http::Response> end_one(Parts parts, std::string id) {
  SANDLOT_CO_TRY(bool ended, co_await parts.faults.remove(id));
  if (ended || parts.rules.remove(id)) co_return removed_response(1);
  co_return base::fail(Errc::kNotFound, "no fault '" + id + "'");
}

Answer faults_of(Parts parts, const std::string& id) {
  if (!parts.faults.exists(id)) {
    return base::fail(Errc::kNotFound, "sandbox \"" + id + "\" not found");
  }
  auto faults = parts.faults.list(id);
  return json_response(200, faults_json({}, faults));
}

base::Task<http::Response> hurt(Parts parts, std::string id, std::string body) {
  SANDLOT_CO_TRY(SandboxFault fault, parse_sandbox_fault(body));
  auto type = fault.type;
  SANDLOT_CO_TRY(auto standing, co_await parts.faults.inflict(std::move(id), std::move(fault)));
  if (standing) co_return json_response(201, fault_json(*standing));
  co_return json_response(200, "{\"type\":\"" + std::string(type_name(type)) + "\"}");
}

asio::awaitable<void> add_to_sandbox(http::RoutedRequest request, Parts parts, std::string id) {
  auto body = co_await request.connection.read_full_body(kBodyLimit);
  Answer answer = base::Failure(base::Error(Errc::kInternal, ""));
  if (body) {
    answer = co_await hurt(parts, std::move(id), std::move(*body));
  } else {
    answer = base::Failure(body.error());
  }
  co_await send(request.connection, std::move(answer));
}

base::Task<http::Response> heal(Parts parts, std::string id) {
  SANDLOT_CO_TRY(std::size_t ended, co_await parts.faults.heal(std::move(id)));
  co_return removed_response(ended);
}

asio::awaitable<void> send_outcome(http::RoutedRequest request, base::Task<http::Response> doing) {
  auto answer = co_await std::move(doing);
  co_await send(request.connection, std::move(answer));
}

std::string id_in(const http::RoutedRequest& request) {
  return request.path.find("id")->second;
}

}  // namespace

std::vector<ControlRoute> control_routes(FaultRules& rules, SandboxFaults& faults) {
  Parts parts{rules, faults};
  auto list = [parts](http::RoutedRequest request) {
    return send(request.connection, all_faults(parts));
  };
  auto clear = [parts](http::RoutedRequest request) {
    return send_outcome(std::move(request), end_all(parts));
  };
  auto remove = [parts](http::RoutedRequest request) {
    auto doing = end_one(parts, id_in(request));
    return send_outcome(std::move(request), std::move(doing));
  };
  auto make = [parts](http::RoutedRequest request) { return add(std::move(request), parts); };
  auto list_of = [parts](http::RoutedRequest request) {
    return send(request.connection, faults_of(parts, id_in(request)));
  };
  auto make_of = [parts](http::RoutedRequest request) {
    std::string id = id_in(request);
    return add_to_sandbox(std::move(request), parts, std::move(id));
  };
  auto clear_of = [parts](http::RoutedRequest request) {
    auto doing = heal(parts, id_in(request));
    return send_outcome(std::move(request), std::move(doing));
  };
  return {{"GET", "/_sandlot/faults", list},
          {"POST", "/_sandlot/faults", make},
          {"DELETE", "/_sandlot/faults", clear},
          {"DELETE", "/_sandlot/faults/{id}", remove},
          {"GET", "/_sandlot/sandboxes/{id}/faults", list_of},
          {"POST", "/_sandlot/sandboxes/{id}/faults", make_of},
          {"DELETE", "/_sandlot/sandboxes/{id}/faults", clear_of}};
}

}  // namespace emulator::faults
