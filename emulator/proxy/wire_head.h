// HTTP/1.x heads as the relay needs them: parsed in place into views, written out again with the
// few changes that a reverse proxy makes (contract-network 3.8). Pure; no allocation per header.
// Used by relay and front door only: whoever wants values uses fakeapi/http.
//   source  RFC 9110 section 7.6.1, RFC 9112; requests are read strictly (what would be ambiguous
//   is refused),
//           responses of in-sandbox servers leniently (bare LF line ends are accepted)
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "emulator/base/result.h"
#include "fakeapi/http/message.h"

namespace emulator::proxy {

struct HeaderView {
  std::string_view name;
  std::string_view value;  // without surrounding blanks
  bool hop = false;        // not passed on as it is
};

// Views into the buffer that was parsed: valid until that is consumed or grows. Reused from message
// to message.
struct WireHead {
  std::string_view method;  // request
  std::string_view target;  // request; origin form, also when it came in absolute form
  int status = 0;           // response
  std::string_view reason;  // response
  int minor_version = 1;
  std::vector<HeaderView> headers;
  fakeapi::http::BodyFraming framing;
  bool keep_alive = true;
  std::string_view host;     // request: Host, or the authority of an absolute-form target
  std::string_view upgrade;  // value of Upgrade, when Connection names it
  bool expects_continue = false;
  bool wants_trailers = false;  // TE: trailers

  // The first value with this name, or "".
  std::string_view get(std::string_view name) const;
  // The target up to '?'.
  std::string_view path() const { return target.substr(0, target.find('?')); }
};

// Bytes of the head that `bytes` begins with, empty line included; 0 when it is not complete.
// `scanned` carries how far earlier calls looked.
std::size_t find_head_end(std::string_view bytes, std::size_t& scanned);

// kInvalidArgument with the reason; what `head` holds is then unspecified.
base::Result<> parse_request(std::string_view bytes, WireHead& head);
base::Result<> parse_response(std::string_view bytes, bool head_request, WireHead& head);

// The request as it goes to the sandbox, appended to `out`. With `masked_host`, that is its Host
// and the one that came is its X-Forwarded-Host (contract-network 1.8).
void write_request(const WireHead& head, std::string& out, std::string_view masked_host = {});

// How the client gets the body.
enum class Reframe { kAsIs, kToChunked, kToClose };
struct ResponseRewrite {
  Reframe reframe = Reframe::kAsIs;
  bool keep_alive = true;
  int client_minor_version = 1;
};
// The response as it goes to the client, appended to `out`.
void write_response(const WireHead& head, const ResponseRewrite& rewrite, std::string& out);

}  // namespace emulator::proxy
