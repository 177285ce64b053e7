#include "fakeapi/envd/upload.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "fakeapi/envd/file_request.h"
#include "fakeapi/envd/file_sink.h"
#include "fakeapi/envd/multipart.h"
#include "fakeapi/envd/path_resolution.h"
#include "fakeapi/http/gzip.h"
#include "fakeapi/http/json_text.h"

namespace fakeapi::envd {

namespace asio = boost::asio;

namespace {

using Outcome = tl::expected<void, HttpError>;

constexpr std::size_t kPiece = 64U << 10U;
constexpr std::size_t kInflateSlice = 4U << 10U;  // may become a thousand times as much
constexpr std::size_t kDrainLimit = 256U << 20U;

tl::unexpected<HttpError> failure(int status, std::string message) {
  HttpError error;
  error.status = status;
  error.message = std::move(message);
  return tl::unexpected<HttpError>(std::move(error));
}

// The request's body, gunzipped when it is gzip.
class BodySource {
 public:
  BodySource(http::ServerConnection& connection, bool gzip) : connection_(connection) {
    if (gzip) gzip_.emplace();
  }
  // 0 = the end.
  base::Task<std::size_t> read(std::span<char> into) {
    if (!gzip_) co_return co_await read_plain(into);
    while (taken_ == inflated_.size()) {
      inflated_.clear();
      taken_ = 0;
      if (deflated_.empty()) {
        raw_.resize(kPiece);
        SANDLOT_CO_TRY(std::size_t count, co_await connection_.read_body(raw_));
        if (count == 0) {
          if (!started_ || gzip_->complete()) co_return 0;
          co_return base::fail(base::Errc::kInvalidArgument, "unexpected EOF");
        }
        deflated_ = std::string_view(raw_).substr(0, count);
      }
      started_ = true;
      std::string_view slice = deflated_.substr(0, kInflateSlice);
      deflated_.remove_prefix(slice.size());
      SANDLOT_CO_CHECK(gzip_->read(slice, inflated_));
    }
    std::size_t count = std::min(into.size(), inflated_.size() - taken_);
    std::memcpy(into.data(), inflated_.data() + taken_, count);
    taken_ += count;
    co_return count;
  }

 private:
  // A body of known length goes from the socket into `into` without a stop in the connection's
  // buffer, once that is empty: uploads are the bulk of what a sandbox receives.
  base::Task<std::size_t> read_plain(std::span<char> into) {
    const http::BodyFraming& framing = connection_.head().framing;
    bool direct = framing.kind == http::BodyFraming::Kind::kLength && received_ > 0 &&
                  received_ < framing.length && connection_.buffer().empty();
    if (!direct) {
      auto count = co_await connection_.read_body(into);
      if (count) received_ += *count;
      co_return count;
    }
    std::size_t room = std::min<std::uint64_t>(into.size(), framing.length - received_);
    SANDLOT_CO_TRY(std::size_t count, co_await connection_.stream().read_some(into.first(room)));
    if (count == 0) co_return base::fail(base::Errc::kUnavailable, "unexpected EOF");
    received_ += count;
    connection_.body_scanner().skip(std::string_view(into.data(), count));
    co_return count;
  }

  http::ServerConnection& connection_;
  std::optional<http::GzipReader> gzip_;
  std::string raw_;
  std::string_view deflated_;  // of raw_, not inflated yet
  std::string inflated_;
  std::size_t taken_ = 0;
  std::uint64_t received_ = 0;
  bool started_ = false;
};

struct Upload {
  HttpCall& call;
  const SandboxState& state;
  FileRequest request;
  Metadata metadata;
  std::optional<std::uint64_t> expected_bytes;
  std::vector<std::string> written;  // resolved paths, in order
};

std::string join(const std::vector<std::string>& items, std::size_t from) {
  std::string out;
  for (std::size_t i = from; i < items.size(); ++i) out += (i == from ? "" : ", ") + items[i];
  return out;
}

std::string result_json(const Upload& upload) {
  std::string out = "[";
  for (const std::string& path : upload.written) {
    if (out.size() > 1) out.push_back(',');
    out.append("{\"path\":");
    http::append_json_string(out, path);
    out.append(",\"name\":");
    http::append_json_string(out, base_name(path));
    out.append(",\"type\":\"file\"");
    if (!upload.metadata.empty()) {
      out.append(",\"metadata\":{");
      bool first = true;
      for (const auto& [key, value] : upload.metadata) {
        if (!std::exchange(first, false)) out.push_back(',');
        http::append_json_string(out, key);
        out.push_back(':');
        http::append_json_string(out, value);
      }
      out.push_back('}');
    }
    out.push_back('}');
  }
  return out + "]";
}

asio::awaitable<Outcome> raw_body(Upload& upload, BodySource& body) {
  if (!upload.request.path)
    co_return failure(400, "path query parameter is required for raw body upload");
  auto path = file_path(*upload.request.path, upload.request.user, upload.state);
  if (!path) co_return tl::unexpected<HttpError>(path.error());
  auto sink = FileSink::open(*path, upload.request.user, upload.expected_bytes);
  if (!sink) co_return tl::unexpected<HttpError>(sink.error());
  for (;;) {
    auto room = sink->space();
    auto count = co_await body.read(room);
    if (!count) co_return failure(500, "error reading request body: " + count.error().message());
    if (*count == 0) break;
    auto committed = sink->commit(*count);
    if (!committed) co_return committed;
  }
  auto finished = sink->finish(upload.metadata);
  if (!finished) co_return finished;
  upload.written.push_back(std::move(*path));
  co_return Outcome();
}

// Where a part goes; the error that ends the upload when it cannot.
tl::expected<std::string, HttpError> part_target(const Upload& upload, const PartHead& part) {
  if (!upload.request.path && (!part.filename || part.filename->empty())) {
    return failure(400,
                   "error getting multipart custom part file name: filename not found in "
                   "Content-Disposition header");
  }
  const std::string& wanted = upload.request.path ? *upload.request.path : *part.filename;
  auto path = file_path(wanted, upload.request.user, upload.state);
  if (!path) return tl::unexpected<HttpError>(path.error());
  if (std::find(upload.written.begin(), upload.written.end(), *path) != upload.written.end()) {
    std::string message = "you cannot upload multiple files to the same path '" + *path +
                          "' in one upload request, only the first specified file was uploaded";
    if (upload.written.size() > 1) {
      std::vector<std::string> others;
      for (const std::string& done : upload.written) {
        if (done != *path) others.push_back(done);
      }
      message += ", also the following files were uploaded: " + join(others, 0);
    }
    return failure(400, std::move(message));
  }
  return *path;
}

// Handles one event of the parser. `sink` is the part that is being written, if its name was
// "file".
Outcome take_event(Upload& upload,
                   const MultipartParser& parser,
                   MultipartParser::Event event,
                   std::optional<FileSink>& sink,
                   std::string& target) {
  using Event = MultipartParser::Event;
  if (event == Event::kMalformed)
    return failure(500, "error parsing multipart form: multipart: malformed body");
  if (event == Event::kPart && parser.part().name == "file") {
    auto path = part_target(upload, parser.part());
    if (!path) return tl::unexpected<HttpError>(path.error());
    auto opened = FileSink::open(*path, upload.request.user, upload.expected_bytes);
    if (!opened) return tl::unexpected<HttpError>(opened.error());
    target = std::move(*path);
    sink.emplace(std::move(*opened));
  }
  if (event == Event::kData && sink) return sink->write(parser.data());
  if (event == Event::kPartEnd && sink) {
    auto finished = sink->finish(upload.metadata);
    sink.reset();
    if (!finished) return finished;
    upload.written.push_back(std::move(target));
  }
  return {};
}

asio::awaitable<Outcome> multipart_body(Upload& upload, BodySource& body, std::string boundary) {
  MultipartParser parser(boundary);
  std::optional<FileSink> sink;
  std::string target;
  std::string piece(kPiece, '\0');
  for (;;) {
    auto event = parser.next();
    if (event == MultipartParser::Event::kEnd) co_return Outcome();
    if (event == MultipartParser::Event::kNeedMore) {
      auto count = co_await body.read(piece);
      if (!count)
        co_return failure(500, "error parsing multipart form: " + count.error().message());
      if (*count == 0)
        parser.finish();
      else
        parser.feed(std::string_view(piece).substr(0, *count));
      continue;
    }
    auto taken = take_event(upload, parser, event, sink, target);
    if (!taken) co_return taken;
  }
}

asio::awaitable<Outcome> read_upload(Upload& upload) {
  const http::Headers& headers = upload.call.head.headers;
  std::string_view encoding = headers.get("Content-Encoding");
  bool gzip = http::iequals(encoding, "gzip");
  if (!gzip && !encoding.empty() && !http::iequals(encoding, "identity")) {
    co_return failure(400, "error decompressing request body: unsupported Content-Encoding: " +
                               std::string(encoding) + ", supported: [gzip]");
  }
  BodySource body(upload.call.connection, gzip);
  std::string type(headers.get("Content-Type"));
  std::string_view media(type);
  media = media.substr(0, media.find(';'));
  while (!media.empty() && media.back() == ' ') media.remove_suffix(1);
  if (http::iequals(media, "application/octet-stream")) co_return co_await raw_body(upload, body);
  if (media.size() > 10 && http::iequals(media.substr(0, 10), "multipart/")) {
    auto boundary = boundary_of(type);
    if (!boundary) {
      co_return failure(
          500, "error parsing multipart form: no multipart boundary param in Content-Type");
    }
    co_return co_await multipart_body(upload, body, std::move(*boundary));
  }
  co_return failure(400, "unsupported content type: " + type +
                             ", expected multipart/form-data or application/octet-stream");
}

// A client that is still sending would see a reset instead of the answer: let it finish first.
asio::awaitable<void> discard_body(HttpCall& call) {
  std::string piece(kPiece, '\0');
  std::size_t total = 0;
  while (total < kDrainLimit) {
    auto count = co_await call.connection.read_body(piece);
    if (!count || *count == 0) co_return;
    total += *count;
  }
}

}  // namespace

asio::awaitable<void> handle_upload(HttpCall& call, SandboxState& state) {
  auto request = check_file_request(call.head, state, "write");
  if (!request) {
    FileRequestError error = request.error();
    co_await discard_body(call);
    if (error.text)
      co_await send_text(call, error.status, error.message);
    else
      co_await send_error(call, error.status, error.message);
    co_return;
  }
  Upload upload{call, state, std::move(*request), {}, std::nullopt, {}};
  if (call.head.framing.kind == http::BodyFraming::Kind::kLength)
    upload.expected_bytes = call.head.framing.length;
  auto metadata = metadata_of(call.head.headers);
  Outcome outcome;
  if (metadata) {
    upload.metadata = std::move(*metadata);
    outcome = co_await read_upload(upload);
  } else {
    outcome = failure(400, metadata.error().message());
  }
  if (!outcome) {
    co_await discard_body(call);
    co_await send_error(call, outcome.error().status, outcome.error().message);
    co_return;
  }
  co_await send_json(call, result_json(upload), false);
}

}  // namespace fakeapi::envd
