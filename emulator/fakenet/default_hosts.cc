#include "emulator/fakenet/host_file.h"

namespace emulator::fakenet {

// Real addresses where the name has a well-known one, so that tests read like the vendor's pages;
// what they answer is what the public test suites expect (contract-network 6.2, cli-and-control 5).
// The private ones are there to be blocked: something that would answer is the proof.
std::string_view default_hosts() {
  return R"json({
  "hosts": [
    {"names": ["one.one.one.one"], "addresses": ["1.1.1.1"],
     "ports": {"defaults": true, "53": "dns", "udp/53": "dns"},
     "routes": [{"path": "/*", "status": 301, "headers": {"Location": "https://one.one.one.one/"}, "body": ""}]},
    {"names": ["dns.google"], "addresses": ["8.8.8.8"],
     "ports": {"defaults": true, "53": "dns", "udp/53": "dns"},
     "routes": [{"path": "/*", "status": 302, "headers": {"Location": "https://dns.google/"}, "body": ""}]},
    {"addresses": ["1.0.0.1", "1.1.1.2", "8.8.4.4", "8.8.8.4"],
     "ports": {"defaults": true, "53": "dns", "udp/53": "dns"}},
    {"names": ["dns.quad9.net"], "addresses": ["9.9.9.9"],
     "ports": {"defaults": true, "53": "dns", "udp/53": "dns"}},

    {"names": ["connectivitycheck.gstatic.com", "clients3.google.com"], "addresses": ["142.250.0.3"],
     "routes": [{"path": "/generate_204", "status": 204, "body": ""}, {"path": "/*", "status": 404}]},
    {"names": ["google.com"], "addresses": ["142.250.0.1"],
     "routes": [{"path": "/", "status": 301, "headers": {"Location": "https://www.google.com/"}, "body": ""}]},
    {"names": ["www.google.com"], "addresses": ["142.250.0.2"]},
    {"names": ["cloudflare.com", "www.cloudflare.com"], "addresses": ["104.16.132.229"]},
    {"names": ["github.com", "www.github.com"], "addresses": ["140.82.112.4"]},
    {"names": ["api.github.com", "*.github.com"], "addresses": ["140.82.112.3"]},
    {"names": ["keyserver.ubuntu.com"], "addresses": ["185.125.188.26"]},

    {"names": ["example.com", "www.example.com"], "addresses": ["93.184.216.34"]},
    {"names": ["api.example.com", "*.example.com"], "addresses": ["93.184.216.35"]},
    {"names": ["example.org", "www.example.org", "example.net", "www.example.net"], "addresses": ["93.184.216.36"]},
    {"names": ["mydomain.com"], "addresses": ["198.51.100.10"]},
    {"names": ["*.mydomain.com"], "addresses": ["198.51.100.11"]},
    {"names": ["notmydomain.com"], "addresses": ["198.51.100.12"]},

    {"names": ["rebind.test"], "addresses": ["10.200.0.1"]},
    {"addresses": ["100.64.0.1", "169.254.169.254", "172.16.0.1", "192.168.1.1"]}
  ],
  "dns": {
    "mixed.rebind.test": ["10.200.0.1", "93.184.216.34"],
    "flip.rebind.test": {"sequence": [["93.184.216.34"], ["10.200.0.1"]]},
    "metadata.rebind.test": ["169.254.169.254"],
    "servfail.test": {"rcode": "SERVFAIL"}
  }
})json";
}

}  // namespace emulator::fakenet
