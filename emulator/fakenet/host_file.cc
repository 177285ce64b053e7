#include "emulator/fakenet/host_file.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <set>

#include <nlohmann/json.hpp>

#include "emulator/base/posix.h"
#include "emulator/fakenet/toml_text.h"
#include "fakeapi/http/message.h"

namespace emulator::fakenet {

namespace {

using Json = nlohmann::ordered_json;
using base::Errc;
using base::Result;
using Keys = std::initializer_list<std::string_view>;

constexpr std::size_t kMaxHosts = 2000;
constexpr milliseconds kMaxDelay{10 * 60 * 1000};
constexpr std::size_t kMaxAnswer = 4000;  // addresses: no DNS message has room for more than 4078
constexpr std::size_t kLongestLabel = 63;
constexpr std::size_t kLongestName = 253;

base::Failure wrong(const std::string& where, const std::string& what) {
  return base::fail(Errc::kInvalidArgument, (where.empty() ? "the file" : where) + ": " + what);
}

Result<> expect_keys(const Json& value, const std::string& where, Keys keys) {
  if (!value.is_object()) return wrong(where, "must be an object");
  for (const auto& [key, unused] : value.items()) {
    if (std::find(keys.begin(), keys.end(), key) != keys.end()) continue;
    std::string known;
    for (std::string_view each : keys) known.append(known.empty() ? "" : ", ").append(each);
    return wrong(where, "unknown key '" + key + "'; known: " + known);
  }
  return {};
}

Result<std::string> text_of(const Json& value, const std::string& where) {
  if (!value.is_string()) return wrong(where, "must be a string");
  return value.get<std::string>();
}

Result<bool> flag_of(const Json& value, const std::string& where) {
  if (!value.is_boolean()) return wrong(where, "must be true or false");
  return value.get<bool>();
}

Result<milliseconds> delay_of(const Json& value, const std::string& where) {
  if (!value.is_number_unsigned() ||
      value.get<std::uint64_t>() > static_cast<std::uint64_t>(kMaxDelay.count()))
    return wrong(where, "must be milliseconds, 0 to 600000");
  return milliseconds(value.get<std::int64_t>());
}

bool is_label(std::string_view text) {
  constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyz0123456789-_";
  return !text.empty() && text.size() <= kLongestLabel &&
         text.find_first_not_of(kLetters) == std::string_view::npos;
}

// Lower case, without the dot at the end. Letters, digits, '-', '_' and '.'; one "*." in front.
Result<std::string> name_of(const Json& value, const std::string& where) {
  SANDLOT_TRY(std::string name, text_of(value, where));
  for (char& c : name) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  if (name.ends_with('.')) name.pop_back();
  std::string_view rest = name;
  if (rest.starts_with("*.")) rest.remove_prefix(2);
  bool good = name.size() <= kLongestName;
  for (bool last = false; good && !last;) {
    std::size_t dot = rest.find('.');
    last = dot == std::string_view::npos;
    good = is_label(rest.substr(0, dot));
    rest.remove_prefix(last ? rest.size() : dot + 1);
  }
  if (!good) return wrong(where, "'" + name + "' is no host name (\"*.\" may stand in front)");
  if (netfilter::parse_ipv4(name))
    return wrong(where, "'" + name + "' is an address, which nobody asks the DNS for");
  return name;
}

Result<Ipv4> address_of(const Json& value, const std::string& where) {
  SANDLOT_TRY(std::string text, text_of(value, where));
  auto address = netfilter::parse_ipv4(text);
  // Loopback, "this network" and multicast cannot be a host anywhere.
  if (!address || (*address)[0] == 0 || (*address)[0] == 127 || (*address)[0] >= 224)
    return wrong(where, "'" + text + "' is no IPv4 address of a host");
  return *address;
}

template <class T>
Result<std::vector<T>> list_of(const Json& value,
                               const std::string& where,
                               Result<T> (*item)(const Json&, const std::string&)) {
  if (!value.is_array()) return wrong(where, "must be a list");
  std::vector<T> list;
  for (std::size_t i = 0; i < value.size(); ++i) {
    SANDLOT_TRY(T one, item(value[i], where + "[" + std::to_string(i) + "]"));
    list.push_back(std::move(one));
  }
  return list;
}

// `object[key]`, when it is there, into `into`.
template <class T, class Into>
Result<> read(const Json& object,
              const std::string& key,
              const std::string& where,
              Into& into,
              Result<T> (*parse)(const Json&, const std::string&)) {
  if (!object.contains(key)) return {};
  SANDLOT_TRY(into, parse(object[key], where.empty() ? key : where + "." + key));
  return {};
}

template <class T>
Result<> read_list(const Json& object,
                   const std::string& key,
                   const std::string& where,
                   std::vector<T>& into,
                   Result<T> (*item)(const Json&, const std::string&)) {
  if (!object.contains(key)) return {};
  SANDLOT_TRY(into, list_of(object[key], where.empty() ? key : where + "." + key, item));
  return {};
}

// Addresses of one answer of the DNS.
Result<std::vector<Ipv4>> answer_of(const Json& value, const std::string& where) {
  SANDLOT_TRY(auto addresses, list_of(value, where, &address_of));
  if (addresses.size() > kMaxAnswer)
    return wrong(where, "more than " + std::to_string(kMaxAnswer) + " addresses");
  return addresses;
}

Result<std::string> method_of(const Json& value, const std::string& where) {
  SANDLOT_TRY(std::string method, text_of(value, where));
  bool small =
      std::any_of(method.begin(), method.end(), [](char c) { return c >= 'a' && c <= 'z'; });
  if (!fakeapi::http::is_token(method) || small)
    return wrong(where, "'" + method + "' is no method (\"GET\")");
  return method;
}

// What a path is compared with has no query, and the only thing that stands for others is a '*' at
// the end.
Result<std::string> path_of(const Json& value, const std::string& where) {
  SANDLOT_TRY(std::string path, text_of(value, where));
  if (!path.starts_with('/') && path != "*") return wrong(where, "must begin with '/'");
  bool sendable = std::all_of(path.begin(), path.end(),
                              [](char c) { return c > ' ' && c <= '~' && c != '?' && c != '#'; });
  if (!sendable)
    return wrong(where,
                 "'" + path + "' is no path of a request: no query, the rest percent-encoded");
  if (std::string_view(path).substr(0, path.size() - 1).find('*') != std::string_view::npos)
    return wrong(where, "'" + path + "': a '*' stands for the rest, at the end");
  return path;
}

Result<int> status_of(const Json& value, const std::string& where) {
  if (!value.is_number_unsigned() || value.get<std::uint64_t>() < 200 ||
      value.get<std::uint64_t>() > 599)
    return wrong(where, "must be a number from 200 to 599");
  return value.get<int>();
}

Result<> read_headers(const Json& value, const std::string& where, Route& route) {
  // Those by which the connection says where an answer ends are its own.
  constexpr std::array kOwn = {"Connection", "Content-Length", "Keep-Alive", "Transfer-Encoding"};
  if (!value.is_object()) return wrong(where, "must be an object");
  for (const auto& [name, text] : value.items()) {
    SANDLOT_TRY(std::string header, text_of(text, where + "." + name));
    bool printable = std::all_of(header.begin(), header.end(), [](char c) {
      auto byte = static_cast<unsigned char>(c);
      return (byte >= ' ' && byte != 0x7f) || c == '\t';
    });
    if (!fakeapi::http::is_token(name) || !printable)
      return wrong(where, "'" + name + "' is no header");
    bool own = std::any_of(kOwn.begin(), kOwn.end(),
                           [&](const char* each) { return fakeapi::http::iequals(each, name); });
    if (own) return wrong(where, "'" + name + "' is what the server itself says");
    route.headers.emplace_back(name, std::move(header));
  }
  return {};
}

Result<Route> route_of(const Json& value, const std::string& where) {
  SANDLOT_CHECK(expect_keys(
      value, where, {"method", "path", "status", "headers", "body", "json", "delayMs", "reset"}));
  Route route;
  SANDLOT_CHECK(read(value, "method", where, route.method, &method_of));
  SANDLOT_CHECK(read(value, "path", where, route.path, &path_of));
  SANDLOT_CHECK(read(value, "status", where, route.status, &status_of));
  if (value.contains("headers"))
    SANDLOT_CHECK(read_headers(value["headers"], where + ".headers", route));
  if (value.contains("body") && value.contains("json"))
    return wrong(where, "has both 'body' and 'json'");
  SANDLOT_CHECK(read(value, "body", where, route.body, &text_of));
  if (value.contains("json")) {
    route.body = value["json"].dump();
    bool typed = std::any_of(route.headers.begin(), route.headers.end(), [](const auto& header) {
      return fakeapi::http::iequals(header.first, "Content-Type");
    });
    if (!typed) route.headers.emplace_back("Content-Type", "application/json");
  }
  bool bodiless = route.status == 204 || route.status == 304;
  if (bodiless && route.body && !route.body->empty())
    return wrong(where, "an answer " + std::to_string(route.status) + " has no body");
  SANDLOT_CHECK(read(value, "delayMs", where, route.delay, &delay_of));
  SANDLOT_CHECK(read(value, "reset", where, route.reset, &flag_of));
  return route;
}

Result<Service> service_of(const Json& value, const std::string& where, bool udp) {
  Service service;
  Json object = value.is_string() ? Json{{"type", value}} : value;
  SANDLOT_CHECK(expect_keys(object, where, {"type", "text", "atEnd", "delayMs"}));
  if (!object.contains("type")) return wrong(where, "has no 'type'");
  SANDLOT_TRY(std::string type, text_of(object["type"], where + ".type"));
  constexpr std::array kKinds = {ServiceKind::kHttp,   ServiceKind::kHttps, ServiceKind::kDns,
                                 ServiceKind::kBanner, ServiceKind::kEcho,  ServiceKind::kSilent,
                                 ServiceKind::kReset};
  auto kind = std::find_if(kKinds.begin(), kKinds.end(),
                           [&](ServiceKind each) { return to_string(each) == type; });
  if (kind == kKinds.end()) {
    return wrong(where,
                 "'" + type + "' is not one of: http, https, dns, banner, echo, silent, reset");
  }
  service.kind = *kind;
  bool banner = service.kind == ServiceKind::kBanner;
  bool echo = service.kind == ServiceKind::kEcho;
  if (banner != object.contains("text"))
    return wrong(where, banner ? "a banner needs 'text'" : "'text' is for a banner");
  if (object.contains("atEnd") && (!echo || udp))
    return wrong(where, "'atEnd' is for an echo over TCP");
  SANDLOT_CHECK(read(object, "text", where, service.text, &text_of));
  SANDLOT_CHECK(read(object, "atEnd", where, service.at_end, &text_of));
  SANDLOT_CHECK(read(object, "delayMs", where, service.delay, &delay_of));
  return service;
}

// What a host serves that names no ports: one of each kind that tests ask for
// (contract-network 6.2).
void add_default_ports(Host& host) {
  host.tcp.try_emplace(7, Service{ServiceKind::kEcho, "", "", milliseconds(0)});
  host.tcp.try_emplace(22, Service{ServiceKind::kBanner, "SSH-2.0-fake\r\n", "", milliseconds(0)});
  for (std::uint16_t port : std::array<std::uint16_t, 3>{80, 8080, 11371})
    host.tcp.try_emplace(port, Service{});
  for (std::uint16_t port : std::array<std::uint16_t, 2>{443, 8443})
    host.tcp.try_emplace(port, Service{ServiceKind::kHttps, "", "", milliseconds(0)});
  host.tcp.try_emplace(9000, Service{ServiceKind::kEcho, "", "after-half-close", milliseconds(0)});
  for (std::uint16_t port : std::array<std::uint16_t, 3>{7, 443, 7777})
    host.udp.try_emplace(port, Service{ServiceKind::kEcho, "", "", milliseconds(0)});
}

Result<> read_ports(const Json& value, const std::string& where, Host& host) {
  if (!value.is_object()) return wrong(where, "must be an object");
  std::set<std::pair<bool, std::uint16_t>> named;
  for (const auto& [key, service_value] : value.items()) {
    if (key == "defaults") {
      SANDLOT_TRY(bool wanted, flag_of(service_value, where + ".defaults"));
      if (wanted) add_default_ports(host);
      continue;
    }
    std::string_view number = key;
    bool udp = number.starts_with("udp/");
    number.remove_prefix(udp || number.starts_with("tcp/") ? 4 : 0);
    std::uint16_t port = 0;
    auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), port);
    if (error != std::errc() || end != number.data() + number.size() || port == 0)
      return wrong(where, "'" + key + "' is no port (\"443\", \"udp/53\")");
    if (!named.emplace(udp, port).second) return wrong(where, "'" + key + "' is there twice");
    SANDLOT_TRY(Service service, service_of(service_value, where + "." + key, udp));
    bool datagrams = service.kind == ServiceKind::kDns || service.kind == ServiceKind::kEcho ||
                     service.kind == ServiceKind::kSilent;
    if (udp && !datagrams) return wrong(where + "." + key, "UDP serves: dns, echo, silent");
    (udp ? host.udp : host.tcp)[port] = std::move(service);
  }
  return {};
}

Result<Host> host_of(const Json& value, const std::string& where) {
  SANDLOT_CHECK(expect_keys(value, where, {"names", "addresses", "ports", "routes", "delayMs"}));
  Host host;
  SANDLOT_CHECK(read_list(value, "names", where, host.names, &name_of));
  SANDLOT_CHECK(read(value, "addresses", where, host.addresses, &answer_of));
  if (host.names.empty() && host.addresses.empty())
    return wrong(where, "has neither 'names' nor 'addresses'");
  if (value.contains("ports")) {
    SANDLOT_CHECK(read_ports(value["ports"], where + ".ports", host));
  } else {
    add_default_ports(host);
  }
  SANDLOT_CHECK(read_list(value, "routes", where, host.routes, &route_of));
  bool web = std::any_of(host.tcp.begin(), host.tcp.end(), [](const auto& port) {
    return port.second.kind == ServiceKind::kHttp || port.second.kind == ServiceKind::kHttps;
  });
  if (!host.routes.empty() && !web) return wrong(where, "has 'routes' and no http or https port");
  if (value.contains("delayMs")) {
    SANDLOT_TRY(milliseconds delay, delay_of(value["delayMs"], where + ".delayMs"));
    for (auto* ports : {&host.tcp, &host.udp}) {
      for (auto& [port, service] : *ports) service.delay += delay;
    }
  }
  return host;
}

Result<dns::Rcode> rcode_of(const Json& value, const std::string& where) {
  SANDLOT_TRY(std::string text, text_of(value, where));
  if (text == "NXDOMAIN") return dns::Rcode::kNoSuchName;
  if (text == "SERVFAIL") return dns::Rcode::kServerFailure;
  if (text == "REFUSED") return dns::Rcode::kRefused;
  if (text == "NOERROR") return dns::Rcode::kNoError;
  return wrong(where, "'" + text + "' is not one of: NOERROR, NXDOMAIN, SERVFAIL, REFUSED");
}

Result<Record> record_of(const std::string& name, const Json& value, const std::string& where) {
  Record record;
  SANDLOT_TRY(record.name, name_of(Json(name), where));
  if (value.is_array()) {
    SANDLOT_TRY(auto addresses, answer_of(value, where));
    record.answers.push_back(std::move(addresses));
    return record;
  }
  SANDLOT_CHECK(expect_keys(value, where, {"sequence", "rcode", "delayMs"}));
  if (value.contains("sequence")) {
    const Json& sequence = value["sequence"];
    if (!sequence.is_array()) return wrong(where + ".sequence", "must be a list of lists");
    for (const Json& item : sequence) {
      SANDLOT_TRY(auto addresses, answer_of(item, where + ".sequence"));
      record.answers.push_back(std::move(addresses));
    }
  }
  SANDLOT_CHECK(read(value, "rcode", where, record.rcode, &rcode_of));
  if (record.rcode != dns::Rcode::kNoError && !record.answers.empty())
    return wrong(where, "has a 'sequence', which an answer with that 'rcode' has not");
  SANDLOT_CHECK(read(value, "delayMs", where, record.delay, &delay_of));
  return record;
}

// Hosts without an address get the next one of 198.19.0.0/16 that no other has, in the order of the
// file.
Result<> give_addresses(std::vector<Host>& hosts) {
  std::set<Ipv4> taken;
  for (const Host& host : hosts) taken.insert(host.addresses.begin(), host.addresses.end());
  std::uint32_t next = 1;
  for (Host& host : hosts) {
    while (host.addresses.empty()) {
      if (next >= 0xffff) return wrong("hosts", "no address of 198.19.0.0/16 is free");
      Ipv4 address = {198, 19, static_cast<std::uint8_t>(next >> 8U),
                      static_cast<std::uint8_t>(next & 0xffU)};
      if (taken.insert(address).second) host.addresses.push_back(address);
      ++next;
    }
  }
  return {};
}

}  // namespace

Result<HostList> parse_hosts(std::string_view json) {
  Json file = Json::parse(json, nullptr, false, true);
  if (file.is_discarded()) {
    // Once more, for the sentence that says where.
    try {
      file = Json::parse(json, nullptr, true, true);
    } catch (const Json::parse_error& error) {
      return base::fail(Errc::kInvalidArgument, error.what());
    }
  }
  SANDLOT_CHECK(expect_keys(file, "", {"defaults", "hosts", "dns"}));
  HostList list;
  SANDLOT_CHECK(read(file, "defaults", "", list.defaults, &flag_of));
  SANDLOT_CHECK(read_list(file, "hosts", "", list.hosts, &host_of));
  if (list.hosts.size() > kMaxHosts)
    return wrong("hosts", "more than " + std::to_string(kMaxHosts));
  SANDLOT_CHECK(give_addresses(list.hosts));
  if (file.contains("dns")) {
    if (!file["dns"].is_object()) return wrong("dns", "must be an object");
    for (const auto& [name, value] : file["dns"].items()) {
      SANDLOT_TRY(Record record, record_of(name, value, "dns." + name));
      list.records.push_back(std::move(record));
    }
  }
  return list;
}

Result<HostList> parse_host_file(std::string_view text) {
  constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  std::size_t start = text.find_first_not_of(" \t\r\n");
  char first = start == std::string_view::npos ? '#' : text[start];
  // A line "[table]" is TOML; "[]" and "[{" are a list where an object belongs.
  bool list = first == '[' && text.find_first_of("]{\"", start + 1) == start + 1;
  if (first == '{' || first == '/' || list) return parse_hosts(text);
  SANDLOT_TRY(std::string json, json_of_toml(text));
  return parse_hosts(json);
}

Result<Hosts> load_hosts(const std::filesystem::path& file) {
  HostList list;
  if (!file.empty()) {
    SANDLOT_TRY(std::string text, base::read_file(file));
    auto parsed = parse_host_file(text);
    if (!parsed) return base::fail(std::move(parsed).error().context(file.string()));
    list = std::move(*parsed);
  }
  if (list.defaults) {
    SANDLOT_TRY(HostList defaults, parse_hosts(default_hosts()));
    list = layered(std::move(defaults), std::move(list));
  }
  auto hosts = Hosts::make(std::move(list));
  if (!hosts && !file.empty()) return base::fail(std::move(hosts).error().context(file.string()));
  return hosts;
}

}  // namespace emulator::fakenet
