#include "fakeapi/envd/file_query.h"

#include <charconv>

#include "fakeapi/http/message.h"

namespace fakeapi::envd {

using base::Errc;

base::Result<FileQuery> parse_file_query(std::string_view query, std::string operation) {
  FileQuery request;
  SignedRequest& access = request.access;
  access.operation = std::move(operation);
  for (auto& [name, value] : http::parse_query(query)) {
    if (name == "path" && !request.path) request.path = value;
    if (name == "username" && !request.username) request.username = value;
    if (name == "signature" && !access.signature) access.signature = value;
    if (name == "signature_expiration" && !access.expiration) {
      std::int64_t number = 0;
      auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
      if (value.empty() || error != std::errc() || end != value.data() + value.size()) {
        return base::fail(
            Errc::kInvalidArgument,
            "Invalid format for parameter signature_expiration: error binding string parameter: "
            "strconv.ParseInt: parsing \"" +
                value + "\": invalid syntax");
      }
      access.expiration = number;
    }
  }
  access.path = request.path.value_or("");
  access.username = request.username.value_or("");
  return request;
}

}  // namespace fakeapi::envd
