#include "emulator/decisions/control_routes.h"

#include <nlohmann/json.hpp>

#include "emulator/decisions/explain.h"
#include "emulator/decisions/record_json.h"
#include "netfilter/domain_pattern.h"

namespace emulator::decisions {

namespace asio = boost::asio;
namespace http = fakeapi::http;
using Json = nlohmann::ordered_json;
using base::Errc;
using control::ControlRoute;
using control::error_response;
using control::json_response;

namespace {

constexpr std::size_t kBodyLimit = 64U << 10U;
constexpr std::size_t kWriteSize = 32U << 10U;  // lines are sent together up to this

// ---- The log.

struct Filter {
  std::string sandbox;  // "" = all
  std::optional<bool> allowed;
  bool follow = false;

  bool matches(const Record& record) const {
    return (sandbox.empty() || sandbox == record.sandbox) &&
           (!allowed || *allowed == record.allowed);
  }
};

std::optional<bool> flag_of(const std::string& value) {
  if (value.empty() || value == "1" || value == "true") return true;
  if (value == "0" || value == "false") return false;
  return std::nullopt;
}

// A typing error must not look like "nothing was blocked".
base::Result<Filter> filter_of(const http::RoutedRequest& request) {
  Filter filter;
  if (auto id = request.path.find("id"); id != request.path.end()) filter.sandbox = id->second;
  for (const auto& [key, value] : http::parse_query(request.head.query())) {
    if (key == "decision" && (value == "allowed" || value == "blocked")) {
      filter.allowed = value == "allowed";
    } else if (auto flag = flag_of(value); key == "follow" && flag) {
      filter.follow = *flag;
    } else {
      return base::fail(Errc::kInvalidArgument,
                        "the filters are: decision (allowed, blocked), follow (true, false)");
    }
  }
  return filter;
}

std::string list_of(const DecisionLog& log, const Filter& filter) {
  std::string body = "[";
  log.for_each([&](const Record& record) {
    if (!filter.matches(record)) return;
    if (body.size() > 1) body += ",\n";
    body += to_json_line(record);
  });
  return body + "]";
}

asio::awaitable<void> follow(http::ServerConnection& connection, DecisionLog& log, Filter filter) {
  DecisionLog::Follower follower(log);
  for (;;) {
    std::string lines;
    while (lines.size() < kWriteSize) {
      const Record* record = follower.next();
      if (record == nullptr) break;
      if (filter.matches(*record)) lines += to_json_line(*record) + "\n";
    }
    if (auto missed = follower.take_missed(); missed > 0) {
      lines.insert(0, "{\"dropped\":" + std::to_string(missed) + "}\n");
    }
    if (!lines.empty()) {
      auto written = co_await connection.write(lines);
      if (!written) co_return;
    }
    if (!co_await follower.wait()) co_return;
  }
}

asio::awaitable<void> send_log(http::RoutedRequest request, DecisionLog* log, Lookups* lookups) {
  auto filter = filter_of(request);
  if (!filter) {
    auto response = error_response(400, filter.error().message());
    co_await request.connection.send(std::move(response));
    co_return;
  }
  bool known = filter->sandbox.empty() || lookups->policy_of(filter->sandbox) != nullptr;
  // The log outlives the sandbox.
  log->for_each([&](const Record& record) { known = known || record.sandbox == filter->sandbox; });
  if (!known) {
    auto response = error_response(404, "sandbox \"" + filter->sandbox + "\" not found");
    co_await request.connection.send(std::move(response));
    co_return;
  }
  if (!filter->follow) {
    auto response = json_response(200, list_of(*log, *filter));
    response.headers.add("Sandlot-Dropped", std::to_string(log->forgotten()));
    co_await request.connection.send(std::move(response));
    co_return;
  }
  auto lines = follow(request.connection, *log, std::move(*filter));
  co_await control::stream_lines(request.connection, std::move(lines));
}

// ---- Explain.

base::Result<netfilter::Protocol> protocol_of(const std::string& text) {
  if (text == "tcp") return netfilter::Protocol::kTcp;
  if (text == "udp") return netfilter::Protocol::kUdp;
  if (text == "icmp") return netfilter::Protocol::kIcmp;
  return base::fail(Errc::kInvalidArgument, "protocol is one of: tcp, udp, icmp");
}

base::Result<Question> question_of_fields(const Json& body) {
  Question question;
  std::string ip = body.value("ip", "");
  question.address = netfilter::parse_ipv4(ip);
  if (!question.address) return base::fail(Errc::kInvalidArgument, "ip is not an IPv4 address");
  SANDLOT_TRY(question.protocol, protocol_of(body.value("protocol", "tcp")));
  bool has_port = question.protocol != netfilter::Protocol::kIcmp;
  const Json port = body.value("port", Json(0));
  if (has_port && (!port.is_number_integer() || port < 1 || port > 65535)) {
    return base::fail(Errc::kInvalidArgument, "port is a number from 1 to 65535");
  }
  if (has_port) question.port = port.get<std::uint16_t>();
  std::string shown = body.value("serverName", "");
  auto name = netfilter::normalise_name(shown);
  if (!shown.empty() && !name) {
    return base::fail(Errc::kInvalidArgument, "serverName is not a name");
  }
  if (!shown.empty()) question.shown_name = *name;
  return question;
}

base::Result<Question> question_of(const std::string& text) {
  Json body = Json::parse(text, nullptr, false);
  constexpr const char* kShape = "the body is {url} or {ip, port, serverName?, protocol?}";
  if (!body.is_object()) return base::fail(Errc::kInvalidArgument, kShape);
  for (const auto& [key, value] : body.items()) {
    bool text_field = key == "url" || key == "ip" || key == "serverName" || key == "protocol";
    if (!(text_field && value.is_string()) && key != "port") {
      return base::fail(Errc::kInvalidArgument, kShape);
    }
  }
  if (body.contains("url")) return parse_destination(body["url"].get<std::string>());
  return question_of_fields(body);
}

Json trace_json(const netfilter::Trace& trace) {
  Json steps = Json::array();
  for (const netfilter::TraceStep& step : trace) {
    steps.push_back(Json{{"rule", step.rule}, {"matched", step.matched}});
  }
  return steps;
}

Json verdict_json(const netfilter::Decision& decision) {
  Json json;
  json["decision"] = decision_word(decision.allowed);
  json["matchType"] = netfilter::to_string(decision.match);
  json["rule"] = decision.rule;
  return json;
}

// Where the sandbox's own look-up of the name would go.
Json lookup_json(const Question& question,
                 const netfilter::Policy& policy,
                 const std::vector<netfilter::Ipv4>& addresses,
                 const Lookups& lookups) {
  netfilter::Destination nameserver;
  nameserver.address = {8, 8, 8, 8};
  nameserver.port = 53;
  nameserver.protocol = netfilter::Protocol::kUdp;
  Json dns = verdict_json(lookups.judge(policy, nameserver, nullptr));
  dns["name"] = question.host;
  dns["addresses"] = Json::array();
  for (const auto& address : addresses) dns["addresses"].push_back(netfilter::to_string(address));
  return dns;
}

// What an allowed name would be dialled at; a name that leads inside only is denied after all.
Json dials_json(const Question& question,
                const netfilter::Destination& destination,
                const std::vector<netfilter::Ipv4>& named,
                const Lookups& lookups,
                netfilter::Decision& decision,
                netfilter::Trace& trace) {
  Json dials = Json::array();
  auto dial = [&](const netfilter::Ipv4& address) {
    dials.push_back(netfilter::to_string(address) + ":" + std::to_string(question.port));
  };
  if (!decision.allowed || question.protocol != netfilter::Protocol::kTcp) return dials;
  if (!decision.by_name()) {
    dial(destination.address);
    return dials;
  }
  static const netfilter::Policy kOpen;
  for (const netfilter::Ipv4& address : named) {
    netfilter::Destination target = destination;
    target.address = address;
    auto judged = lookups.judge(kOpen, target, nullptr);
    if (judged.match != netfilter::MatchType::kInternal) dial(address);
  }
  if (named.empty()) {
    trace.push_back({"the name has no address: nothing is dialled", true});
  } else if (dials.empty()) {
    decision = {false, netfilter::MatchType::kInternal, "internal"};
    trace.push_back({"internal: what the name resolves to", true});
  }
  return dials;
}

asio::awaitable<http::Response> explain(std::string id, std::string text, Lookups* lookups) {
  auto policy = lookups->policy_of(id);
  if (!policy) co_return error_response(404, "sandbox \"" + id + "\" not found");
  auto question = question_of(text);
  if (!question) co_return error_response(400, question.error().message());
  std::vector<netfilter::Ipv4> named;
  // With an address beside a name, only an allowed name would be looked up.
  std::string look_up = question->host.empty() ? question->shown_name : question->host;
  if (!look_up.empty()) {
    auto task = lookups->resolve(look_up);
    auto resolved = co_await std::move(task);
    if (resolved) named = std::move(*resolved);
  }
  if (!question->address && named.empty()) {
    co_return error_response(
        400, "'" + question->host + "' has no address; give one: {ip, port, serverName}");
  }
  netfilter::Destination destination;
  destination.address = question->address ? *question->address : named.front();
  destination.port = question->port;
  destination.protocol = question->protocol;
  destination.name = question->shown_name;
  netfilter::Trace trace;
  auto decision = lookups->judge(*policy, destination, &trace);
  Json dials = dials_json(*question, destination, named, *lookups, decision, trace);

  Json body;
  body["sandboxID"] = id;
  body["protocol"] = class_of(destination);
  body["destinationIP"] = netfilter::to_string(destination.address);
  body["destinationPort"] = destination.port;
  body["serverName"] = destination.name;
  body.update(verdict_json(decision));
  body["trace"] = trace_json(trace);
  body["dials"] = std::move(dials);
  body["change"] = change_for(*policy, destination, decision);
  if (!question->host.empty()) body["dns"] = lookup_json(*question, *policy, named, *lookups);
  co_return json_response(200, body.dump(-1, ' ', false, Json::error_handler_t::replace));
}

asio::awaitable<void> send_explanation(http::RoutedRequest request, Lookups* lookups) {
  auto body = co_await request.connection.read_full_body(kBodyLimit);
  if (!body) {
    auto response =
        error_response(body.error().code() == Errc::kTooLarge ? 413 : 400, body.error().message());
    co_await request.connection.send(std::move(response));
    co_return;
  }
  std::string id = request.path.find("id")->second;
  auto response = co_await explain(std::move(id), std::move(*body), lookups);
  co_await request.connection.send(std::move(response));
}

}  // namespace

std::vector<ControlRoute> control_routes(DecisionLog& log, Lookups lookups) {
  auto shared = std::make_shared<Lookups>(std::move(lookups));
  auto show = [&log, shared](http::RoutedRequest request) {
    return send_log(std::move(request), &log, shared.get());
  };
  auto explain_one = [shared](http::RoutedRequest request) {
    return send_explanation(std::move(request), shared.get());
  };
  return {{"GET", "/_sandlot/egress", show},
          {"GET", "/_sandlot/sandboxes/{id}/egress", show},
          {"POST", "/_sandlot/sandboxes/{id}/explain", explain_one}};
}

}  // namespace emulator::decisions
