#include "emulator/fakenet/control_routes.h"

#include <charconv>

#include <nlohmann/json.hpp>

namespace emulator::fakenet {

namespace asio = boost::asio;
namespace http = fakeapi::http;
using Json = nlohmann::ordered_json;
using control::ControlRoute;
using control::error_response;

namespace {

http::Response json_response(int status, const Json& body) {
  return control::json_response(status, body.dump(-1, ' ', false, Json::error_handler_t::replace));
}

// What of the canary was asked for. Everything that is empty matches.
struct Filter {
  std::optional<std::uint8_t> protocol;
  std::optional<Ipv4> address;
  std::optional<std::uint16_t> port;

  bool matches(const FarEnd& to) const {
    return (!protocol || *protocol == to.protocol) && (!address || *address == to.address) &&
           (!port || *port == to.port);
  }
};

// nullopt: a value that cannot be meant (a typing error must not look like "nothing arrived").
std::optional<Filter> filter_of(std::string_view query) {
  Filter filter;
  for (const auto& [key, value] : http::parse_query(query)) {
    if (key == "protocol") {
      filter.protocol = protocol_of(value);
      if (!filter.protocol) return std::nullopt;
    } else if (key == "address") {
      filter.address = netfilter::parse_ipv4(value);
      if (!filter.address) return std::nullopt;
    } else if (key == "port") {
      std::uint16_t port = 0;
      auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), port);
      if (error != std::errc() || end != value.data() + value.size()) return std::nullopt;
      filter.port = port;
    } else {
      return std::nullopt;
    }
  }
  return filter;
}

Json to_json(const FarEnd& to) {
  Json json;
  json["protocol"] = protocol_name(to.protocol);
  json["address"] = netfilter::to_string(to.address);
  json["port"] = to.port;
  return json;
}

Json canary_json(const Canary& canary, const Filter& filter) {
  Json body;
  Json counters = Json::array();
  Json events = Json::array();
  Counter total;
  for (const auto& [to, count] : canary.counters()) {
    if (!filter.matches(to)) continue;
    Json item = to_json(to);
    if (to.protocol == kTcp) {
      item["syns"] = count.packets;
      item["accepts"] = count.accepts;
    } else {
      item[to.protocol == kUdp ? "datagrams" : "packets"] = count.packets;
    }
    item["bytes"] = count.bytes;
    counters.push_back(std::move(item));
    total.packets += count.packets;
    total.accepts += count.accepts;
    total.bytes += count.bytes;
  }
  for (const Event& event : canary.events()) {
    if (!filter.matches(event.to)) continue;
    Json item;
    item["time"] = base::format_rfc3339(event.time);
    item["kind"] = event.kind;
    item.update(to_json(event.to));
    if (event.source_port != 0) item["sourcePort"] = event.source_port;
    if (event.bytes != 0) item["bytes"] = event.bytes;
    if (!event.text.empty()) item["text"] = event.text;
    events.push_back(std::move(item));
  }
  body["packets"] = total.packets;  // SYNs, datagrams and others
  body["accepts"] = total.accepts;
  body["bytes"] = total.bytes;
  body["counters"] = std::move(counters);
  body["events"] = std::move(events);
  body["eventsDropped"] = canary.events_dropped();
  body["lost"] = canary.lost();
  return body;
}

Json ports_json(const Host& host) {
  Json ports = Json::object();
  for (const auto& [port, service] : host.tcp)
    ports[std::to_string(port)] = to_string(service.kind);
  for (const auto& [port, service] : host.udp)
    ports["udp/" + std::to_string(port)] = to_string(service.kind);
  return ports;
}

Json hosts_json(const Hosts& hosts) {
  Json body;
  body["hosts"] = Json::array();
  for (const Host& host : hosts.all()) {
    Json item;
    item["names"] = host.names;
    item["addresses"] = Json::array();
    for (const Ipv4& address : host.addresses)
      item["addresses"].push_back(netfilter::to_string(address));
    item["ports"] = ports_json(host);
    body["hosts"].push_back(std::move(item));
  }
  body["dns"] = Json::object();
  for (const Record& record : hosts.records()) {
    Json answers = Json::array();
    for (const auto& answer : record.answers) {
      Json addresses = Json::array();
      for (const Ipv4& address : answer) addresses.push_back(netfilter::to_string(address));
      answers.push_back(std::move(addresses));
    }
    body["dns"][record.name] = std::move(answers);
  }
  return body;
}

http::Response canary_response(FakeInternet& internet, const http::RequestHead& head) {
  auto filter = filter_of(head.query());
  if (!filter)
    return error_response(400,
                          "the filters are: address (IPv4), port (number), protocol (tcp, udp, "
                          "icmp, or ip-47 for the protocol 47)");
  return json_response(200, canary_json(internet.canary(), *filter));
}

http::Response clear_response(FakeInternet& internet, const http::RequestHead& head) {
  if (!head.query().empty()) return error_response(400, "everything is forgotten, without filters");
  internet.clear_canary();
  return json_response(200, Json{{"cleared", true}});
}

http::Response hosts_response(FakeInternet& internet, const http::RequestHead&) {
  return json_response(200, hosts_json(internet.hosts()));
}

http::Response certificate_response(FakeInternet& internet, const http::RequestHead&) {
  http::Response response;
  response.headers.add("Content-Type", "application/x-pem-file");
  response.body = internet.authority().pem();
  return response;
}

using Respond = http::Response (*)(FakeInternet&, const http::RequestHead&);

asio::awaitable<void> handle(http::RoutedRequest request, FakeInternet* internet, Respond respond) {
  auto response = internet != nullptr
                      ? respond(*internet, request.head)
                      : error_response(404,
                                       "there is no fake internet: start the emulator with "
                                       "--internet fake");
  co_await request.connection.send(std::move(response));
}

}  // namespace

std::vector<ControlRoute> control_routes(FakeInternet* internet) {
  std::vector<ControlRoute> routes;
  auto add = [&](const char* method, const char* name, Respond respond) {
    auto handler = [internet, respond](http::RoutedRequest request) {
      return handle(std::move(request), internet, respond);
    };
    routes.push_back({method, std::string("/_sandlot/fakenet/") + name, handler});
  };
  add("GET", "canary", &canary_response);
  add("DELETE", "canary", &clear_response);
  add("GET", "hosts", &hosts_response);
  add("GET", "ca.pem", &certificate_response);
  return routes;
}

}  // namespace emulator::fakenet
