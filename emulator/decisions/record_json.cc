#include "emulator/decisions/record_json.h"

#include <nlohmann/json.hpp>

namespace emulator::decisions {

namespace {

using Json = nlohmann::ordered_json;
using netfilter::egress::CloseReason;

std::string_view to_string(Kind kind) {
  switch (kind) {
    case Kind::kHttp:
      return "http";
    case Kind::kTls:
      return "tls";
    case Kind::kUdp:
      return "udp";
    case Kind::kOther:
      break;
  }
  return "other";
}

Json dns_json(const Record& record) {
  Json dns;
  std::uint16_t type = *record.dns_type;
  dns["type"] = type == dns::kTypeA      ? "A"
                : type == dns::kTypeAaaa ? "AAAA"
                                         : "TYPE" + std::to_string(type);
  switch (static_cast<dns::Rcode>(record.dns_rcode)) {
    case dns::Rcode::kNoError:
      dns["answer"] = "NOERROR";
      break;
    case dns::Rcode::kServerFailure:
      dns["answer"] = "SERVFAIL";
      break;
    case dns::Rcode::kNoSuchName:
      dns["answer"] = "NXDOMAIN";
      break;
    default:
      dns["answer"] = "RCODE" + std::to_string(record.dns_rcode);
  }
  return dns;
}

}  // namespace

std::string_view decision_word(bool allowed) {
  return allowed ? "allowed" : "blocked";
}

std::string_view to_string(CloseReason reason) {
  switch (reason) {
    case CloseReason::kEnded:
      return "ended";
    case CloseReason::kBlocked:
      return "blocked";
    case CloseReason::kNotConnected:
      return "not connected";
    case CloseReason::kReset:
      return "reset";
    case CloseReason::kPolicyChanged:
      return "policy changed";
    case CloseReason::kSandboxStopped:
      return "sandbox stopped";
    case CloseReason::kIdle:
      return "idle";
  }
  return "ended";
}

std::string to_json_line(const Record& record) {
  Json line;
  line["time"] = base::format_rfc3339(record.time);
  line["sandboxID"] = record.sandbox;
  line["protocol"] = to_string(record.kind);
  line["destinationIP"] = netfilter::to_string(record.address);
  line["destinationPort"] = record.port;
  line["serverName"] = record.name;
  line["decision"] = decision_word(record.allowed);
  line["matchType"] = netfilter::to_string(record.match);
  line["rule"] = record.rule;
  line["dialed"] = nullptr;
  if (record.dialled) {
    line["dialed"] = netfilter::to_string(*record.dialled) + ":" + std::to_string(record.port);
  }
  line["bytesOut"] = record.sent;
  line["bytesIn"] = record.received;
  line["id"] = record.number;
  line["open"] = !record.closed;
  line["closeReason"] = nullptr;
  line["durationMs"] = nullptr;
  if (record.closed) {
    line["closeReason"] = to_string(*record.closed);
    line["durationMs"] = std::chrono::duration<double, std::milli>(record.lasted).count();
  }
  if (record.dns_type) line["dns"] = dns_json(record);
  return line.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace emulator::decisions
