#include "fakeapi/cloud/volume_content_handler.h"

#include <charconv>
#include <limits>

#include "emulator/base/log.h"
#include "fakeapi/cloud/api_error.h"
#include "fakeapi/cloud/auth.h"
#include "fakeapi/cloud/cors.h"
#include "fakeapi/cloud/request.h"
#include "fakeapi/cloud/volume_bodies.h"

namespace fakeapi::cloud {

namespace asio = boost::asio;
using base::Errc;
using base::Failure;
using base::Result;
using base::Task;
using Answer = base::Task<http::Response>;

namespace {

constexpr std::size_t kChunk = 256U << 10U;

http::Response content_error(const base::Error& error) {
  int status = http_status(error.code());
  return json_response(status, content_error_json(status, error.message()));
}

asio::awaitable<void> send(http::ServerConnection& connection, http::Response response) {
  allow_any_origin(response.headers);
  auto sent = co_await connection.send(std::move(response));
  if (!sent) base::log::debug("api.client_left", {{"error", sent.error().message()}});
}

Result<std::string> path_of(const http::RoutedRequest& request) {
  auto path = http::query_value(request.head.query(), "path");
  if (path && !path->empty()) return *path;
  return bad_parameter("path", "value is required but missing");
}

Result<std::optional<std::uint32_t>> number(const http::RoutedRequest& request, const char* name) {
  auto text = http::query_value(request.head.query(), name);
  if (!text || text->empty()) return std::optional<std::uint32_t>();
  std::uint32_t value = 0;
  auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), value);
  if (error == std::errc() && end == text->data() + text->size()) return std::optional(value);
  return bad_parameter(name, "value must be an integer");
}

Result<EntryAttributes> attributes_of(const http::RoutedRequest& request) {
  EntryAttributes attributes;
  SANDLOT_TRY(attributes.uid, number(request, "uid"));
  SANDLOT_TRY(attributes.gid, number(request, "gid"));
  SANDLOT_TRY(attributes.mode, number(request, "mode"));
  // Means "leave it as it is" to the kernel.
  constexpr auto kNobody = std::numeric_limits<std::uint32_t>::max();
  if (attributes.uid == kNobody || attributes.gid == kNobody) {
    return base::fail(Errc::kInvalidArgument, "uid and gid must be less than 4294967295");
  }
  return attributes;
}

bool force_of(const http::RoutedRequest& request) {
  return http::query_value(request.head.query(), "force").value_or("") == "true";
}

}  // namespace

void VolumeContentHandler::add_to(http::Router& router) {
  using H = VolumeContentHandler;
  auto add = [&](const char* method, const char* path, Method handler) {
    router.add(method, path, [this, handler](http::RoutedRequest request) {
      return answer(handler, std::move(request));
    });
  };
  add("GET", "/volumecontent/{volumeID}/dir", &H::list);
  add("POST", "/volumecontent/{volumeID}/dir", &H::make_directory);
  add("GET", "/volumecontent/{volumeID}/path", &H::stat);
  add("PATCH", "/volumecontent/{volumeID}/path", &H::change);
  add("DELETE", "/volumecontent/{volumeID}/path", &H::remove);
  add("PUT", "/volumecontent/{volumeID}/file", &H::upload);
  router.add("GET", "/volumecontent/{volumeID}/file",
             [this](http::RoutedRequest request) { return download(std::move(request)); });
}

Task<> VolumeContentHandler::authorise(const http::RoutedRequest& request) {
  auto volume = request.path.find("volumeID");
  std::string token(bearer_token(request.head.headers));
  co_return co_await files_.authorise(volume->second, std::move(token));
}

asio::awaitable<void> VolumeContentHandler::answer(Method method, http::RoutedRequest request) {
  http::ServerConnection& connection = request.connection;
  auto allowed = co_await authorise(request);
  Result<http::Response> response = Failure(base::Error(Errc::kInternal, ""));
  if (allowed) {
    response = co_await (this->*method)(request);
  } else {
    response = Failure(std::move(allowed).error());
  }
  http::Response out = response ? std::move(*response) : content_error(response.error());
  co_await send(connection, std::move(out));
}

asio::awaitable<void> VolumeContentHandler::download(http::RoutedRequest request) {
  http::ServerConnection& connection = request.connection;
  auto allowed = co_await authorise(request);
  auto path = path_of(request);
  if (!allowed || !path) {
    const base::Error& error = allowed ? path.error() : allowed.error();
    co_await send(connection, content_error(error));
    co_return;
  }
  auto reader = co_await files_.read(request.path["volumeID"], *path);
  if (!reader) {
    co_await send(connection, content_error(reader.error()));
    co_return;
  }
  http::ResponseHead head;
  head.headers.add("Content-Type", "application/octet-stream");
  head.headers.add("Content-Length", std::to_string((*reader)->size()));
  allow_any_origin(head.headers);
  auto going = co_await connection.begin(std::move(head));
  std::uint64_t left = (*reader)->size();
  while (going && left > 0 && request.head.method != "HEAD") {
    auto bytes = co_await (*reader)->read();
    // What was announced does not come: the client must see that.
    if (!bytes || bytes->empty()) co_return connection.close_after_response();
    left -= bytes->size();
    going = co_await connection.write(*bytes);
  }
  if (going) going = co_await connection.end();
  if (!going) base::log::debug("api.client_left", {{"error", going.error().message()}});
}

Answer VolumeContentHandler::list(http::RoutedRequest& request) {
  SANDLOT_CO_TRY(std::string path, path_of(request));
  SANDLOT_CO_TRY(auto depth, number(request, "depth"));
  SANDLOT_CO_TRY(auto entries, co_await files_.list(request.path["volumeID"], std::move(path),
                                                    depth.value_or(1)));
  co_return json_response(200, volume_entries_json(entries));
}

Answer VolumeContentHandler::make_directory(http::RoutedRequest& request) {
  SANDLOT_CO_TRY(std::string path, path_of(request));
  SANDLOT_CO_TRY(EntryAttributes attributes, attributes_of(request));
  SANDLOT_CO_TRY(VolumeEntry entry,
                 co_await files_.make_directory(request.path["volumeID"], std::move(path),
                                                attributes, force_of(request)));
  co_return json_response(201, volume_entry_json(entry));
}

Answer VolumeContentHandler::stat(http::RoutedRequest& request) {
  SANDLOT_CO_TRY(std::string path, path_of(request));
  SANDLOT_CO_TRY(VolumeEntry entry,
                 co_await files_.stat(request.path["volumeID"], std::move(path)));
  co_return json_response(200, volume_entry_json(entry));
}

Answer VolumeContentHandler::change(http::RoutedRequest& request) {
  SANDLOT_CO_TRY(std::string path, path_of(request));
  SANDLOT_CO_TRY(std::string body, co_await read_body(request.connection));
  SANDLOT_CO_TRY(EntryAttributes attributes, parse_entry_attributes(body));
  SANDLOT_CO_TRY(VolumeEntry entry,
                 co_await files_.change(request.path["volumeID"], std::move(path), attributes));
  co_return json_response(200, volume_entry_json(entry));
}

Answer VolumeContentHandler::remove(http::RoutedRequest& request) {
  SANDLOT_CO_TRY(std::string path, path_of(request));
  SANDLOT_CO_CHECK(co_await files_.remove(request.path["volumeID"], std::move(path)));
  co_return no_content();
}

Answer VolumeContentHandler::upload(http::RoutedRequest& request) {
  SANDLOT_CO_TRY(std::string path, path_of(request));
  SANDLOT_CO_TRY(EntryAttributes attributes, attributes_of(request));
  SANDLOT_CO_TRY(auto writer, co_await files_.write(request.path["volumeID"], std::move(path),
                                                    attributes, force_of(request)));
  for (;;) {
    std::string bytes(kChunk, '\0');
    SANDLOT_CO_TRY(std::size_t count, co_await request.connection.read_body(bytes));
    if (count == 0) break;
    bytes.resize(count);
    SANDLOT_CO_CHECK(co_await writer->write(std::move(bytes)));
  }
  SANDLOT_CO_TRY(VolumeEntry entry, co_await writer->finish());
  co_return json_response(201, volume_entry_json(entry));
}

}  // namespace fakeapi::cloud
