#include "fakeapi/envd/download.h"

#include <fcntl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

#include "emulator/base/async.h"
#include "emulator/base/posix.h"
#include "fakeapi/envd/byte_ranges.h"
#include "fakeapi/envd/content_encoding.h"
#include "fakeapi/envd/exit_words.h"
#include "fakeapi/envd/file_request.h"
#include "fakeapi/envd/http_date.h"
#include "fakeapi/envd/media_type.h"
#include "fakeapi/envd/path_resolution.h"
#include "fakeapi/http/gzip.h"

namespace fakeapi::envd {

namespace asio = boost::asio;

namespace {

constexpr std::size_t kPiece = 256U << 10U;
constexpr std::size_t kSmall = 64U << 10U;
constexpr std::uint64_t kSendFile = 2U << 20U;  // per call: then the loop may look at others

bool conditional(const http::Headers& headers) {
  for (const char* name : {"Range", "If-Match", "If-None-Match", "If-Modified-Since",
                           "If-Unmodified-Since", "If-Range"}) {
    if (headers.has(name)) return true;
  }
  return false;
}

struct OpenFile {
  base::UniqueFd fd;
  std::string path;
  std::uint64_t size = 0;
  std::int64_t modified = 0;  // unix seconds
};

// 304 or 412 when a condition says so (RFC 9110 13.2.2; there are no entity tags), else 0.
int precondition_status(const http::Headers& headers, std::int64_t modified) {
  if (auto match = headers.find("If-Match")) {
    if (*match != "*") return 412;
  } else if (auto since = headers.find("If-Unmodified-Since")) {
    auto time = parse_http_date(*since);
    if (time && modified > *time) return 412;
  }
  if (auto none = headers.find("If-None-Match")) return *none == "*" ? 304 : 0;
  if (auto since = headers.find("If-Modified-Since")) {
    auto time = parse_http_date(*since);
    if (time && modified <= *time) return 304;
  }
  return 0;
}

// An If-Range that does not hold turns a range request into a plain one.
bool range_applies(const http::Headers& headers, std::int64_t modified) {
  auto condition = headers.find("If-Range");
  if (!condition) return true;
  auto time = parse_http_date(*condition);
  return time && *time == modified;
}

std::string media_type_of(const OpenFile& file) {
  std::string_view by_name = media_type_by_name(base_name(file.path));
  if (!by_name.empty()) return std::string(by_name);
  std::string start(512, '\0');
  ssize_t count = ::pread(file.fd.get(), start.data(), start.size(), 0);
  return std::string(sniff_media_type(
      std::string_view(start).substr(0, count > 0 ? static_cast<std::size_t>(count) : 0)));
}

// From the page cache into the socket, without a copy in our memory. What it leaves in `range` must
// be read: not every file system can do this.
base::Task<> send_file(HttpCall& call,
                       asio::ip::tcp::socket& socket,
                       const OpenFile& file,
                       ByteRange& range) {
  SANDLOT_CO_CHECK(co_await call.connection.write(std::string_view()));  // the head
  boost::system::error_code failed;
  socket.native_non_blocking(true, failed);
  auto offset = static_cast<off_t>(range.start);
  while (range.length > 0) {
    std::size_t want = std::min(range.length, kSendFile);
    ssize_t count = ::sendfile(socket.native_handle(), file.fd.get(), &offset, want);
    if (count > 0) {
      range.start += static_cast<std::uint64_t>(count);
      range.length -= static_cast<std::uint64_t>(count);
      // A reader that keeps up would have the loop for itself.
      co_await asio::post(socket.get_executor(), base::kUse);
    } else if (count == 0) {
      co_return base::fail(base::Errc::kInternal, "file became shorter");
    } else if (errno == EAGAIN) {
      auto [error] = co_await socket.async_wait(asio::ip::tcp::socket::wait_write, base::kUse);
      if (error) co_return base::fail(base::os_error("send", error.value()));
    } else if (errno == EINVAL || errno == ENOSYS) {
      co_return base::Result<>();
    } else if (errno != EINTR) {
      co_return base::fail_errno("sendfile");
    }
  }
  co_return base::Result<>();
}

// Sends a range of the file; one that became shorter breaks the response off.
base::Task<> send_bytes(HttpCall& call, const OpenFile& file, ByteRange range) {
  asio::ip::tcp::socket* socket = call.connection.stream().raw_socket();
  if (socket != nullptr && range.length >= kSmall) {
    SANDLOT_CO_CHECK(co_await send_file(call, *socket, file, range));
    if (range.length == 0) co_return base::Result<>();
  }
  std::string piece;
  piece.resize(std::min<std::uint64_t>(range.length, kPiece));
  auto offset = static_cast<off_t>(range.start);
  std::uint64_t left = range.length;
  while (left > 0) {
    std::size_t want = std::min<std::uint64_t>(left, piece.size());
    ssize_t count = ::pread(file.fd.get(), piece.data(), want, offset);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) co_return base::fail(base::Errc::kInternal, "file became shorter");
    auto got = static_cast<std::size_t>(count);
    SANDLOT_CO_CHECK(co_await call.connection.write(std::string_view(piece).substr(0, got)));
    offset += count;
    left -= got;
  }
  co_return base::Result<>();
}

asio::awaitable<void> send_whole(HttpCall& call,
                                 const OpenFile& file,
                                 http::ResponseHead head,
                                 ByteRange range) {
  head.headers.set("Content-Length", std::to_string(range.length));
  auto begun = co_await call.connection.begin(std::move(head));
  if (!begun) co_return;
  auto sent = co_await send_bytes(call, file, range);
  if (sent) co_await call.connection.end();
}

asio::awaitable<void> send_multipart(HttpCall& call,
                                     const OpenFile& file,
                                     http::ResponseHead head,
                                     std::vector<ByteRange> ranges) {
  const std::string boundary =
      "sandlot-" + std::to_string(file.modified) + "-" + std::to_string(file.size);
  const std::string type(head.headers.get("Content-Type"));
  head.headers.set("Content-Type", "multipart/byteranges; boundary=" + boundary);
  auto part_head = [&](const ByteRange& range, bool first) {
    return std::string(first ? "" : "\r\n") + "--" + boundary +
           "\r\nContent-Range: " + content_range(range, file.size) + "\r\nContent-Type: " + type +
           "\r\n\r\n";
  };
  const std::string closing = "\r\n--" + boundary + "--\r\n";
  std::uint64_t total = closing.size();
  for (std::size_t i = 0; i < ranges.size(); ++i)
    total += part_head(ranges[i], i == 0).size() + ranges[i].length;
  head.headers.set("Content-Length", std::to_string(total));
  auto begun = co_await call.connection.begin(std::move(head));
  if (!begun) co_return;
  for (std::size_t i = 0; i < ranges.size(); ++i) {
    std::string text = part_head(ranges[i], i == 0);
    auto opened = co_await call.connection.write(text);
    if (!opened) co_return;
    auto sent = co_await send_bytes(call, file, ranges[i]);
    if (!sent) co_return;
  }
  auto closed = co_await call.connection.write(closing);
  if (closed) co_await call.connection.end();
}

asio::awaitable<void> send_status(HttpCall& call, int status, http::Headers headers) {
  http::Response response;
  response.status = status;
  response.headers = std::move(headers);
  co_await call.connection.send(std::move(response));
}

// Files whose size the kernel does not know (procfs): read to the end; short ones with a length.
asio::awaitable<void> send_to_end(HttpCall& call, const OpenFile& file, http::ResponseHead head) {
  std::string piece(kSmall, '\0');
  std::size_t have = 0;
  bool end = false;
  while (have < piece.size() && !end) {
    auto count = base::read_some(file.fd.get(), std::span(piece).subspan(have));
    if (!count) {
      co_await send_error(
          call, 500,
          "error reading file '" + file.path + "': " + errno_words(count.error().os_errno()));
      co_return;
    }
    end = *count == 0;
    have += *count;
  }
  std::string_view first(piece.data(), have);
  // Really empty: conditions hold for it as for any file. What only says 0 changes as it likes.
  int status = have == 0 ? precondition_status(call.head.headers, file.modified) : 0;
  if (have == 0) head.headers.set("Accept-Ranges", "bytes");
  if (status != 0) {
    co_await send_status(call, status, std::move(head.headers));
    co_return;
  }
  if (!head.headers.has("Content-Type"))
    head.headers.set("Content-Type", std::string(sniff_media_type(first)));
  if (end) head.headers.set("Content-Length", std::to_string(have));
  auto begun = co_await call.connection.begin(std::move(head));
  if (!begun) co_return;
  auto written = co_await call.connection.write(first);
  while (written && !end) {
    auto count = base::read_some(file.fd.get(), piece);
    if (!count) co_return;
    end = *count == 0;
    if (!end) written = co_await call.connection.write(std::string_view(piece).substr(0, *count));
  }
  if (written) co_await call.connection.end();
}

asio::awaitable<void> send_identity(HttpCall& call, const OpenFile& file, http::Headers headers) {
  http::ResponseHead head;
  head.headers = std::move(headers);
  head.headers.set("Last-Modified", format_http_date(file.modified));
  if (file.size == 0) {
    std::string_view type = media_type_by_name(base_name(file.path));
    if (!type.empty()) head.headers.set("Content-Type", std::string(type));
    co_await send_to_end(call, file, std::move(head));
    co_return;
  }
  head.headers.set("Accept-Ranges", "bytes");
  int status = precondition_status(call.head.headers, file.modified);
  if (status != 0) {
    co_await send_status(call, status, std::move(head.headers));
    co_return;
  }
  head.headers.set("Content-Type", media_type_of(file));
  ByteRange whole;
  whole.length = file.size;
  auto range_header = call.head.headers.find("Range");
  if (!range_header || !range_applies(call.head.headers, file.modified)) {
    co_await send_whole(call, file, std::move(head), whole);
    co_return;
  }
  auto ranges = parse_ranges(*range_header, file.size);
  if (!ranges || ranges->empty()) {
    call.common = std::move(head.headers);
    call.common.remove("Last-Modified");
    call.common.set("Content-Range", "bytes */" + std::to_string(file.size));
    std::string_view reason = ranges ? "invalid range: failed to overlap" : "invalid range";
    co_await send_text(call, 416, std::string(reason));
    co_return;
  }
  std::uint64_t total = 0;
  for (const ByteRange& range : *ranges) total += range.length;
  if (total > file.size) {  // more than the file: an attack or nonsense; send it whole
    co_await send_whole(call, file, std::move(head), whole);
    co_return;
  }
  head.status = 206;
  if (ranges->size() == 1) {
    head.headers.set("Content-Range", content_range(ranges->front(), file.size));
    co_await send_whole(call, file, std::move(head), ranges->front());
    co_return;
  }
  co_await send_multipart(call, file, std::move(head), std::move(*ranges));
}

asio::awaitable<void> send_gzip(HttpCall& call, const OpenFile& file, http::Headers headers) {
  http::ResponseHead head;
  head.headers = std::move(headers);
  head.headers.set("Content-Encoding", "gzip");
  std::string_view type = media_type_by_name(base_name(file.path));
  head.headers.set("Content-Type", type.empty() ? "application/octet-stream" : std::string(type));
  auto begun = co_await call.connection.begin(std::move(head));
  if (!begun) co_return;
  http::GzipWriter gzip;
  std::string piece(std::clamp<std::uint64_t>(file.size, 4096, kPiece), '\0');
  std::string out;
  for (;;) {
    auto count = base::read_some(file.fd.get(), piece);
    if (!count) co_return;
    if (*count == 0) break;
    gzip.write(std::string_view(piece).substr(0, *count), out);
    if (out.size() < kSmall) continue;
    auto written = co_await call.connection.write(out);
    if (!written) co_return;
    out.clear();
  }
  gzip.finish(out);
  auto written = co_await call.connection.write(out);
  if (written) co_await call.connection.end();
}

tl::unexpected<HttpError> failure(int status, std::string message) {
  HttpError error;
  error.status = status;
  error.message = std::move(message);
  return tl::unexpected<HttpError>(std::move(error));
}

// What there is to send, not open yet; or the error to answer.
tl::expected<OpenFile, HttpError> find_for_download(std::string path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) {
    if (errno == ENOENT) return failure(404, "path '" + path + "' does not exist");
    return failure(500,
                   "error checking path '" + path + "': stat " + path + ": " + errno_words(errno));
  }
  if (S_ISDIR(info.st_mode)) return failure(400, "path '" + path + "' is a directory");
  OpenFile file;
  file.size = S_ISREG(info.st_mode) ? static_cast<std::uint64_t>(info.st_size) : 0;
  file.modified = info.st_mtim.tv_sec;
  file.path = std::move(path);
  return file;
}

tl::expected<void, HttpError> open_for_download(OpenFile& file) {
  // Not blocking: a fifo without a writer must not stop the only thread there is.
  file.fd.reset(::open(file.path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (file.fd) return {};
  return failure(
      500, "error opening file '" + file.path + "': open " + file.path + ": " + errno_words(errno));
}

}  // namespace

std::string content_disposition(std::string_view file_name) {
  if (http::is_token(file_name)) return "inline; filename=" + std::string(file_name);
  bool ascii =
      std::all_of(file_name.begin(), file_name.end(), [](char c) { return c >= 0x20 && c < 0x7f; });
  if (ascii) {
    std::string out = "inline; filename=\"";
    for (char c : file_name) {
      if (c == '"' || c == '\\') out.push_back('\\');
      out.push_back(c);
    }
    return out + "\"";
  }
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string out = "inline; filename*=utf-8''";
  for (char c : file_name) {
    if (http::is_token(std::string_view(&c, 1)) && c != '*' && c != '\'' && c != '%') {
      out.push_back(c);
      continue;
    }
    auto byte = static_cast<unsigned char>(c);
    out.push_back('%');
    out.push_back(kHex[byte >> 4U]);
    out.push_back(kHex[byte & 15U]);
  }
  return out;
}

asio::awaitable<void> handle_download(HttpCall& call, SandboxState& state) {
  auto request = check_file_request(call.head, state, "read");
  if (!request) {
    FileRequestError error = request.error();
    if (error.text)
      co_await send_text(call, error.status, error.message);
    else
      co_await send_error(call, error.status, error.message);
    co_return;
  }
  auto path = file_path(request->path.value_or(""), request->user, state);
  if (!path) {
    co_await send_error(call, path.error().status, path.error().message);
    co_return;
  }
  auto file = find_for_download(*path);
  if (!file) {
    co_await send_error(call, file.error().status, file.error().message);
    co_return;
  }
  auto encoding = choose_encoding(call.head.headers.find("Accept-Encoding"));
  if (!encoding) {
    co_await send_error(
        call, 406,
        "error parsing Accept-Encoding: no acceptable encoding found, supported: [gzip]");
    co_return;
  }
  bool plain_only = conditional(call.head.headers);
  if (plain_only && !encoding->identity_allowed) {
    co_await send_error(call, 406,
                        "identity encoding not acceptable for Range or conditional request");
    co_return;
  }
  auto opened = open_for_download(*file);
  if (!opened) {
    co_await send_error(call, opened.error().status, opened.error().message);
    co_return;
  }
  http::Headers headers = call.common;
  headers.add("Vary", "Accept-Encoding");
  headers.set("Content-Disposition", content_disposition(base_name(*path)));
  if (encoding->gzip && !plain_only) {
    co_await send_gzip(call, *file, std::move(headers));
  } else {
    co_await send_identity(call, *file, std::move(headers));
  }
}

}  // namespace fakeapi::envd
