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
  question.speaks = usual_at(question.port);
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

// What is answered about one question.
struct Answer {
  Case verdict;
  std::uint16_t port = 0;  // as the sandbox dials it
  std::string_view protocol;
  std::string server_name;
  netfilter::Trace trace;
  std::vector<netfilter::Ipv4> dials;
};

// Of several addresses, where a client ends up. It goes on to the next one if it cannot connect,
// which is what internal ranges do to it; a policy lets it connect, and then closes.
netfilter::Ipv4 chosen(const std::vector<netfilter::Ipv4>& named, netfilter::Trace& trace) {
  for (const netfilter::Ipv4& address : named) {
    if (!netfilter::is_always_denied(address)) return address;
    trace.push_back({"internal: " + netfilter::to_string(address) + ", one of several", false});
  }
  trace.clear();
  return named.front();
}

asio::awaitable<Answer> answer_tcp(netfilter::egress::Flow flow,
                                   Lookups::Resolve resolve,
                                   netfilter::Trace trace,
                                   const Lookups* lookups) {
  auto forecast = co_await lookups->foretell(std::move(flow), resolve, &trace);
  const netfilter::egress::Flow& seen = forecast.flow;
  Answer answer;
  answer.verdict.destination = netfilter::egress::destination_of(seen);
  answer.verdict.decision = std::move(forecast.decision);
  answer.verdict.is_changed = forecast.is_changed;
  answer.port = seen.port;
  answer.protocol = class_of(netfilter::Protocol::kTcp, seen.kind);
  answer.server_name = seen.name;
  answer.trace = std::move(trace);
  answer.dials = std::move(forecast.targets);
  if (answer.verdict.decision.allowed || seen.name.empty()) co_return answer;
  auto lookup = resolve(seen.name);
  auto leads_to = co_await std::move(lookup);
  if (leads_to) answer.verdict.leads_to = std::move(*leads_to);
  std::erase_if(answer.verdict.leads_to, lookups->is_internal);
  co_return answer;
}

Answer answer_datagram(const Question& question,
                       const netfilter::Ipv4& address,
                       const netfilter::Policy& policy,
                       const Lookups& lookups) {
  Answer answer;
  netfilter::Destination& destination = answer.verdict.destination;
  destination.address = address;
  destination.port = question.port;
  destination.protocol = question.protocol;
  answer.verdict.decision = lookups.judge(policy, destination, &answer.trace);
  answer.port = question.port;
  answer.protocol = class_of(question.protocol, {});
  return answer;
}

Json answer_json(const Answer& answer, const netfilter::Policy& policy) {
  Json body;
  const netfilter::Destination& destination = answer.verdict.destination;
  body["protocol"] = answer.protocol;
  body["destinationIP"] = netfilter::to_string(destination.address);
  body["destinationPort"] = answer.port;
  body["serverName"] = answer.server_name;
  body.update(verdict_json(answer.verdict.decision));
  body["trace"] = trace_json(answer.trace);
  body["dials"] = Json::array();
  for (const netfilter::Ipv4& address : answer.dials) {
    body["dials"].push_back(netfilter::to_string(address) + ":" + std::to_string(answer.port));
  }
  body["change"] = change_for(policy, answer.verdict);
  return body;
}

asio::awaitable<http::Response> explain(std::string id, std::string text, Lookups* lookups) {
  auto policy = lookups->policy_of(id);
  if (!policy) co_return error_response(404, "sandbox \"" + id + "\" not found");
  auto question = question_of(text);
  if (!question) co_return error_response(400, question.error().message());
  Lookups::Resolve resolve = lookups->resolver();
  std::vector<netfilter::Ipv4> named;
  if (question->address) {
    named.push_back(*question->address);
  } else {
    auto lookup = resolve(question->host);
    auto resolved = co_await std::move(lookup);
    if (resolved) named = std::move(*resolved);
  }
  if (named.empty()) {
    co_return error_response(
        400, "'" + question->host + "' has no address; give one: {ip, port, serverName}");
  }
  Answer answer;
  if (question->protocol == netfilter::Protocol::kTcp) {
    netfilter::Trace trace;
    netfilter::egress::Flow flow;
    flow.sandbox.id = id;
    flow.kind = question->speaks;
    flow.address = chosen(named, trace);
    flow.port = question->port;
    flow.name = question->shown_name;
    answer = co_await answer_tcp(std::move(flow), resolve, std::move(trace), lookups);
  } else {
    answer = answer_datagram(*question, named.front(), *policy, *lookups);
  }
  // Names were looked up: the lists may be others by now, as they are for the verdict.
  if (auto now = lookups->policy_of(id)) policy = std::move(now);
  Json body;
  body["sandboxID"] = id;
  body.update(answer_json(answer, *policy));
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
