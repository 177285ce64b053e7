// ClientHellos made by hand, for tests of whoever reads them. Not a TLS client.
#pragma once

#include <algorithm>
#include <string>

namespace netfilter::tests {

inline std::string big_endian(std::size_t value, int bytes) {
  std::string text;
  for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) {
    text += static_cast<char>((value >> static_cast<unsigned>(shift)) & 0xff);
  }
  return text;
}
inline std::string counted(const std::string& part, int bytes) {
  return big_endian(part.size(), bytes) + part;
}
inline std::string extension(std::size_t type, const std::string& value) {
  return big_endian(type, 2) + counted(value, 2);
}
inline std::string sni(const std::string& name) {
  return extension(0, counted(big_endian(0, 1) + counted(name, 2), 2));
}
// The handshake message.
inline std::string hello(const std::string& extensions) {
  std::string body = "\x03\x03" + std::string(32, 'r') + counted(std::string(32, 's'), 1) +
                     counted(std::string("\x13\x01\x13\x02"), 2) +
                     counted(std::string(1, '\0'), 1) + counted(extensions, 2);
  return "\x01" + counted(body, 3);
}
inline std::string record(const std::string& payload) {
  return "\x16\x03\x01" + counted(payload, 2);
}
inline std::string records(const std::string& handshake, std::size_t size) {
  std::string text;
  for (std::size_t at = 0; at < handshake.size(); at += size) {
    text += record(handshake.substr(at, size));
  }
  return text;
}

// The first flight of a client that asks for this name: plain http, and TLS.
inline std::string http(const std::string& host) {
  return "GET / HTTP/1.1\r\nHost: " + host + "\r\n\r\n";
}
inline std::string tls(const std::string& name) {
  return record(hello(sni(name)));
}

}  // namespace netfilter::tests
