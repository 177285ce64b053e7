// Which encoding a download gets (RFC 9110 12.5.3, contract-envd 1.6). Pure.
#pragma once

#include <optional>
#include <string_view>

namespace fakeapi::envd {

struct EncodingChoice {
  bool gzip = false;             // what to send
  bool identity_allowed = true;  // a Range or If-* request needs it
};

// nullopt: nothing that we have is acceptable (406). `header` nullopt: there was no
// Accept-Encoding.
std::optional<EncodingChoice> choose_encoding(std::optional<std::string_view> header);

}  // namespace fakeapi::envd
