// GET and POST /files against a running agent: uploads, downloads, signatures, errors.
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "emulator/base/posix.h"
#include "fakeapi/envd/signature.h"
#include "fakeapi/http/gzip.h"
#include "tests/envd/agent_harness.h"
#include "tests/integration/small_disk.h"

namespace envd_tests {
namespace {

using fakeapi::http::Headers;
using testing::HasSubstr;

json error(int code, const std::string& message) {
  return {{"code", code}, {"message", message}};
}

std::string part(const std::string& disposition, const std::string& content) {
  return "--b0und\r\nContent-Disposition: form-data; " + disposition +
         "\r\nContent-Type: application/octet-stream\r\n\r\n" + content + "\r\n";
}

Headers multipart() {
  return {{"Content-Type", "multipart/form-data; boundary=b0und"}};
}
Headers octets() {
  return {{"Content-Type", "application/octet-stream"}};
}

Reply upload(const RunningAgent& agent,
             const std::string& query,
             Headers headers,
             const std::string& body) {
  return agent.client().request("POST", "/files" + query, std::move(headers), body);
}

Reply download(const RunningAgent& agent, const std::string& query, Headers headers = {}) {
  return agent.client().request("GET", "/files" + query, std::move(headers));
}

std::string gzipped(std::string_view text) {
  std::string out;
  fakeapi::http::GzipWriter writer;
  writer.write(text, out);
  writer.finish(out);
  return out;
}

TEST(Upload, MultipartAnswersPathNameAndTypeOnly) {
  RunningAgent agent;
  Reply reply = upload(agent, "?path=dir/a.txt", multipart(),
                       part("name=\"file\"; filename=\"ignored\"", "hello") + "--b0und--\r\n");
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(
      json::parse(reply.body),
      json::array({{{"path", agent.home() + "/dir/a.txt"}, {"name", "a.txt"}, {"type", "file"}}}));
  EXPECT_EQ(*base::read_file(agent.home() + "/dir/a.txt"), "hello");
  struct stat info {};
  for (const char* name : {"/dir", "/dir/a.txt"}) {
    ASSERT_EQ(::stat((agent.home() + name).c_str(), &info), 0);
    EXPECT_EQ(info.st_uid, 1000U) << name;
  }
  EXPECT_EQ(info.st_mode & 07777U, 0644U);
}

TEST(Upload, ManyPartsGoWhereTheirFileNamesSay) {
  RunningAgent agent;
  std::string body =
      part("name=\"file\"; filename=\"x/1.txt\"", "one") + part("name=\"other\"", "ignored") +
      part("name=\"file\"; filename=\"" + agent.root() + "/2 %22q%22.txt\"", "two") + "--b0und--";
  Reply reply = upload(agent, "", multipart(), body);
  EXPECT_EQ(json::parse(reply.body)[1]["path"], agent.root() + "/2 \"q\".txt");
  EXPECT_EQ(*base::read_file(agent.home() + "/x/1.txt"), "one");
  EXPECT_EQ(*base::read_file(agent.root() + "/2 \"q\".txt"), "two");
  EXPECT_EQ(upload(agent, "", multipart(), "--b0und--\r\n").body, "[]");
}

TEST(Upload, ChunkedBodiesAndPlainFieldsWork) {
  RunningAgent agent;
  std::string body = part("name=\"file\"", "text field") + "--b0und--\r\n";
  std::string chunked;
  for (char c : body) chunked += "1\r\n" + std::string(1, c) + "\r\n";
  Headers headers = multipart();
  headers.set("Transfer-Encoding", "chunked");
  Reply reply = upload(agent, "?path=f", headers, chunked + "0\r\n\r\n");
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(*base::read_file(agent.home() + "/f"), "text field");
}

TEST(Upload, RawBodyAndEmptyBody) {
  RunningAgent agent;
  std::string big;
  for (int i = 0; i < 400000; ++i) big += "line " + std::to_string(i) + "\n";
  EXPECT_EQ(upload(agent, "?path=big", octets(), big).status, 200);
  EXPECT_EQ(*base::read_file(agent.home() + "/big"), big);
  EXPECT_EQ(upload(agent, "?path=big", octets(), "").status, 200);
  EXPECT_EQ(*base::read_file(agent.home() + "/big"), "");
  EXPECT_EQ(json::parse(upload(agent, "", octets(), "x").body),
            error(400, "path query parameter is required for raw body upload"));
}

TEST(Upload, GzipIsUnpackedAroundBothKinds) {
  RunningAgent agent;
  Headers headers = octets();
  headers.set("Content-Encoding", "gzip");
  std::string text(300000, 'z');
  EXPECT_EQ(upload(agent, "?path=raw", headers, gzipped(text)).status, 200);
  EXPECT_EQ(*base::read_file(agent.home() + "/raw"), text);
  headers.set("Content-Type", "multipart/form-data; boundary=b0und");
  EXPECT_EQ(upload(agent, "?path=form", headers, gzipped(part("name=\"file\"", text) + "--b0und--"))
                .status,
            200);
  EXPECT_EQ(*base::read_file(agent.home() + "/form"), text);
  headers.set("Content-Encoding", "br");
  EXPECT_EQ(
      json::parse(upload(agent, "?path=x", headers, "x").body)["message"],
      "error decompressing request body: unsupported Content-Encoding: br, supported: [gzip]");
}

TEST(Upload, OverwriteKeepsTheModeAndTakesTheOwner) {
  RunningAgent agent;
  std::string path = agent.home() + "/x";
  ASSERT_TRUE(base::write_file(path, "a long old text", 0600));
  struct stat before {};
  ASSERT_EQ(::stat(path.c_str(), &before), 0);
  EXPECT_EQ(upload(agent, "?path=x", octets(), "new").status, 200);
  struct stat after {};
  ASSERT_EQ(::stat(path.c_str(), &after), 0);
  EXPECT_EQ(after.st_ino, before.st_ino);
  EXPECT_EQ(after.st_mode & 0777U, 0600U);
  EXPECT_EQ(after.st_uid, 1000U);
  EXPECT_EQ(*base::read_file(path), "new");
}

TEST(Upload, WatchersSeeExactlyTheDaemonsEvents) {
  RunningAgent agent;
  base::UniqueFd watch(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
  ASSERT_GE(
      ::inotify_add_watch(watch.get(), agent.home().c_str(), IN_CREATE | IN_MODIFY | IN_ATTRIB), 0);
  auto events = [&] {
    alignas(inotify_event) char buffer[4096];
    ssize_t count = ::read(watch.get(), buffer, sizeof(buffer));
    std::string text;
    for (ssize_t at = 0; at < count;) {
      auto* event = reinterpret_cast<inotify_event*>(buffer + at);
      text += (event->mask & IN_CREATE) != 0 ? "C" : (event->mask & IN_ATTRIB) != 0 ? "A" : "W";
      at += static_cast<ssize_t>(sizeof(inotify_event) + event->len);
    }
    return text;
  };
  upload(agent, "?path=new", octets(), "small");
  EXPECT_EQ(events(), "CAW");
  upload(agent, "?path=new", octets(), "other");
  EXPECT_EQ(events(), "AW") << "the truncation's event and the write's are the same to the kernel";
  upload(agent, "?path=empty", octets(), "");
  EXPECT_EQ(events(), "CA");
}

TEST(Upload, ErrorsHaveTheDaemonsWords) {
  RunningAgent agent;
  std::filesystem::create_directory(agent.home() + "/d");
  EXPECT_EQ(json::parse(upload(agent, "?path=d", octets(), "x").body),
            error(400, "path is a directory: " + agent.home() + "/d"));
  Reply file_parent = upload(agent, "?path=" + agent.root() + "/passwd/x", octets(), "x");
  EXPECT_EQ(json::parse(file_parent.body),
            error(500, "error ensuring directories: path is a file: " + agent.root() + "/passwd"));
  EXPECT_EQ(json::parse(upload(agent, "?path=x", {{"Content-Type", "text/plain"}}, "x").body),
            error(400,
                  "unsupported content type: text/plain, expected multipart/form-data or "
                  "application/octet-stream"));
  EXPECT_EQ(
      json::parse(upload(agent, "", multipart(), part("name=\"file\"", "x") + "--b0und--").body),
      error(400,
            "error getting multipart custom part file name: filename not found in "
            "Content-Disposition header"));
  std::string twice = part("name=\"file\"; filename=\"a\"", "1") +
                      part("name=\"file\"; filename=\"b\"", "2") +
                      part("name=\"file\"; filename=\"./a\"", "3") + "--b0und--";
  EXPECT_EQ(json::parse(upload(agent, "", multipart(), twice).body),
            error(400, "you cannot upload multiple files to the same path '" + agent.home() +
                           "/a' in one upload request, only the first specified file was uploaded, "
                           "also the following "
                           "files were uploaded: " +
                           agent.home() + "/b"));
  EXPECT_EQ(upload(agent, "?path=x", multipart(), part("name=\"file\"", "cut off")).status, 500);
  EXPECT_EQ(json::parse(upload(agent, "?path=x&username=ghost", octets(), "x").body),
            error(401, "error looking up user 'ghost': user: unknown user ghost"));
}

TEST(Upload, MetadataIsStoredShownAndReplaced) {
  RunningAgent agent;
  Headers headers = octets();
  headers.add("X-Metadata-Author", "me");
  headers.add("x-metadata-author", "you");
  Reply reply = upload(agent, "?path=m", headers, "x");
  EXPECT_EQ(json::parse(reply.body)[0]["metadata"], json({{"author", "me"}}));
  char value[16] = {};
  ssize_t size = ::getxattr((agent.home() + "/m").c_str(), "user.e2b.author", value, sizeof(value));
  if (size < 0) GTEST_SKIP() << "no user attributes on this file system";
  EXPECT_EQ(std::string(value, 2), "me");
  EXPECT_EQ(agent.call("filesystem.Filesystem/Stat", {{"path", "m"}}).second["entry"]["metadata"],
            json({{"author", "me"}}));
  upload(agent, "?path=m", octets(), "y");
  EXPECT_FALSE(agent.call("filesystem.Filesystem/Stat", {{"path", "m"}})
                   .second["entry"]
                   .contains("metadata"));
  headers = octets();
  headers.add("X-Metadata-a", std::string(5000, 'x'));
  reply = upload(agent, "?path=never", headers, "x");
  EXPECT_EQ(reply.status, 400);
  EXPECT_THAT(reply.body, HasSubstr("invalid metadata: "));
  EXPECT_FALSE(std::filesystem::exists(agent.home() + "/never"));
}

TEST(Upload, FullDiskIs507) {
  RunningAgent agent;
  // A node of the test's own: an upload makes its target the user's.
  const std::string full = agent.home() + "/full";
  ASSERT_EQ(::mknod(full.c_str(), S_IFCHR | 0666, makedev(1, 7)), 0);
  Headers headers = octets();
  Reply reply = upload(agent, "?path=full", headers, "data");
  EXPECT_EQ(json::parse(reply.body),
            error(507, "attempted to write 4 bytes: not enough disk space available"));
}

TEST(Upload, NoInodeIsItsOwn507EvenWhereTheParentIsMissing) {
  RunningAgent agent;
  tests::integration::SmallDisk disk(agent.home() + "/small", "size=1m,nr_inodes=2");
  ASSERT_TRUE(disk.mounted());
  EXPECT_EQ(upload(agent, "?path=small/a", octets(), "x").status, 200);
  for (const char* path : {"?path=small/b", "?path=small/new/deep/b"}) {
    Reply reply = upload(agent, path, octets(), "x");
    EXPECT_EQ(reply.status, 507) << path;
    EXPECT_THAT(reply.body, HasSubstr("not enough inodes available: ")) << path;
  }
  ASSERT_TRUE(base::write_file(agent.home() + "/piece", "x"));
  Reply reply =
      agent.client().request("POST", "/files/compose", {{"Content-Type", "application/json"}},
                             R"({"source_paths":["piece"],"destination":"small/new/whole"})");
  EXPECT_EQ(json::parse(reply.body), error(507, "not enough disk space available"));
}

// The largest resident size the agent has had.
long peak_kib(const RunningAgent& agent) {
  std::string status = *base::read_file("/proc/" + std::to_string(agent.pid()) + "/status");
  return std::stol(status.substr(status.find("VmHWM:") + 6));
}

TEST(Upload, GzipThatInflatesAThousandTimesTakesNoMemory) {
  RunningAgent agent;
  const std::string sink = agent.home() + "/null";
  ASSERT_EQ(::mknod(sink.c_str(), S_IFCHR | 0666, makedev(1, 3)), 0);
  std::string zipped;
  {
    fakeapi::http::GzipWriter writer;
    const std::string zeros(1U << 20U, '\0');
    for (int i = 0; i < 256; ++i) writer.write(zeros, zipped);
    writer.finish(zipped);
  }
  Headers headers = octets();
  headers.set("Content-Encoding", "gzip");
  EXPECT_EQ(upload(agent, "?path=null", headers, zipped.substr(0, 0)).status, 200);
  long before = peak_kib(agent);
  EXPECT_EQ(upload(agent, "?path=null", headers, zipped).status, 200);
  EXPECT_LT(peak_kib(agent) - before, 12 << 10) << zipped.size() << " bytes were sent";
}

// A fifo that nobody opened at its other end would hold the agent for ever.
TEST(Upload, IntoAFifoWaitsForNobody) {
  RunningAgent agent;
  const std::string fifo = agent.home() + "/fifo";
  ASSERT_EQ(::mkfifo(fifo.c_str(), 0666), 0);
  Reply reply = upload(agent, "?path=fifo", octets(), "text");
  EXPECT_EQ(json::parse(reply.body),
            error(500, "error opening file: open " + fifo + ": no such device or address"));
  Stream reader = agent.start("exec cat " + fifo);
  // Once the reader is there, it gets what is uploaded.
  for (int i = 0; i < 500 && reply.status != 200; ++i) {
    ::usleep(10000);
    reply = upload(agent, "?path=fifo", octets(), "text");
  }
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reader.finish().stdout_bytes, "text");
}

TEST(Agent, FilesThatItsRootTurnedIntoFifosHoldNobody) {
  RunningAgent agent("", RunningAgent::Role::kInit);
  for (const char* name : {"/passwd", "/group"}) {
    const std::string path = agent.root() + name;
    ASSERT_EQ(::unlink(path.c_str()), 0) << path;
    ASSERT_EQ(::mkfifo(path.c_str(), 0644), 0);
  }
  auto [status, body] = agent.call("filesystem.Filesystem/Stat", {{"path", "x"}});
  EXPECT_EQ(status, 401) << body;
  EXPECT_EQ(body["message"], "invalid default user: 'user'");
  EXPECT_EQ(agent.client().request("GET", "/health").status, 204);
}

TEST(Download, TheEncodingIsJudgedBeforeTheFileIsOpened) {
  RunningAgent agent;
  ASSERT_TRUE(base::write_file(agent.home() + "/unreadable", "x"));
  ASSERT_EQ(::mknod((agent.home() + "/nothing").c_str(), S_IFCHR | 0666, makedev(250, 250)), 0);
  EXPECT_EQ(download(agent, "?path=nothing").status, 500);
  EXPECT_EQ(download(agent, "?path=nothing", {{"Accept-Encoding", "identity;q=0"}}).status, 406);
}

TEST(Download, ConditionsHoldForAnEmptyFileToo) {
  RunningAgent agent;
  ASSERT_TRUE(base::write_file(agent.home() + "/empty", ""));
  Reply whole = download(agent, "?path=empty");
  EXPECT_EQ(whole.headers.get("Accept-Ranges"), "bytes");
  const std::string modified(whole.headers.get("Last-Modified"));
  Reply same = download(agent, "?path=empty", {{"If-Modified-Since", modified}});
  EXPECT_EQ(same.status, 304);
  EXPECT_EQ(same.body, "");
  const std::string early = "Thu, 01 Jan 1970 00:00:01 GMT";
  EXPECT_EQ(download(agent, "?path=empty", {{"If-Unmodified-Since", early}}).status, 412);
  EXPECT_EQ(download(agent, "?path=empty", {{"Range", "bytes=0-"}}).status, 200);
}

TEST(Download, PlainFileWithItsHeaders) {
  RunningAgent agent;
  ASSERT_TRUE(base::write_file(agent.home() + "/a b.txt", "hello"));
  Reply reply = download(agent, "?path=a%20b.txt");
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.body, "hello");
  EXPECT_EQ(reply.headers.get("Content-Length"), "5");
  EXPECT_EQ(reply.headers.get("Content-Type"), "text/plain; charset=utf-8");
  EXPECT_EQ(reply.headers.get("Accept-Ranges"), "bytes");
  EXPECT_EQ(reply.headers.get("Content-Disposition"), "inline; filename=\"a b.txt\"");
  EXPECT_TRUE(reply.headers.has("Last-Modified"));
  EXPECT_THAT(reply.headers.all("Vary"), testing::ElementsAre("Origin", "Accept-Encoding"));
}

TEST(Download, EmptyFileHasLengthZero) {
  RunningAgent agent;
  ASSERT_TRUE(base::write_file(agent.home() + "/empty", ""));
  Reply reply = download(agent, "?path=empty");
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.headers.get("Content-Length"), "0");
}

TEST(Download, ProcfsFilesAreReadToTheEnd) {
  RunningAgent agent;
  std::string boot_id = *base::read_file("/proc/sys/kernel/random/boot_id");
  EXPECT_EQ(download(agent, "?path=/proc/sys/kernel/random/boot_id").body, boot_id);
  Reply zipped = download(agent, "?path=/proc/sys/kernel/random/boot_id",
                          {{"Accept-Encoding", "gzip, deflate"}});
  EXPECT_EQ(*fakeapi::http::gunzip(zipped.body, 1000), boot_id);
}

TEST(Download, GzipWhenAskedFor) {
  RunningAgent agent;
  std::string text;
  for (int i = 0; i < 100000; ++i) text += std::to_string(i);
  ASSERT_TRUE(base::write_file(agent.home() + "/n.json", text));
  Reply reply = download(agent, "?path=n.json", {{"Accept-Encoding", "gzip, deflate, br"}});
  EXPECT_EQ(reply.headers.get("Content-Encoding"), "gzip");
  EXPECT_EQ(reply.headers.get("Content-Type"), "application/json");
  EXPECT_FALSE(reply.headers.has("Content-Length"));
  EXPECT_EQ(*fakeapi::http::gunzip(reply.body, text.size()), text);
  EXPECT_EQ(download(agent, "?path=n.json", {{"Accept-Encoding", "identity;q=0, br"}}).status, 406);
}

TEST(Download, Ranges) {
  RunningAgent agent;
  ASSERT_TRUE(base::write_file(agent.home() + "/r", "0123456789"));
  Reply one = download(agent, "?path=r", {{"Range", "bytes=2-4"}, {"Accept-Encoding", "gzip"}});
  EXPECT_EQ(one.status, 206);
  EXPECT_EQ(one.body, "234");
  EXPECT_EQ(one.headers.get("Content-Range"), "bytes 2-4/10");
  Reply two = download(agent, "?path=r", {{"Range", "bytes=0-0,-2"}});
  EXPECT_EQ(two.status, 206);
  EXPECT_THAT(two.body, HasSubstr("Content-Range: bytes 8-9/10"));
  Reply bad = download(agent, "?path=r", {{"Range", "bytes=20-"}});
  EXPECT_EQ(bad.status, 416);
  EXPECT_EQ(bad.headers.get("Content-Range"), "bytes */10");
}

TEST(Download, NotModified) {
  RunningAgent agent;
  ASSERT_TRUE(base::write_file(agent.home() + "/c", "x"));
  std::string modified(download(agent, "?path=c").headers.get("Last-Modified"));
  Reply reply = download(agent, "?path=c", {{"If-Modified-Since", modified}});
  EXPECT_EQ(reply.status, 304);
  EXPECT_EQ(reply.body, "");
}

TEST(Download, ErrorsHaveTheDaemonsWords) {
  RunningAgent agent;
  Reply missing = download(agent, "?path=nope");
  EXPECT_EQ(missing.status, 404);
  EXPECT_EQ(missing.headers.get("Content-Type"), "application/json; charset=utf-8");
  EXPECT_EQ(json::parse(missing.body),
            error(404, "path '" + agent.home() + "/nope' does not exist"));
  EXPECT_EQ(json::parse(download(agent, "").body),
            error(400, "path '" + agent.home() + "' is a directory"));
  EXPECT_EQ(json::parse(download(agent, "?path=x&username=ghost").body),
            error(401, "error looking up user 'ghost': user: unknown user ghost"));
  EXPECT_EQ(
      json::parse(download(agent, "?path=~ghost/x").body),
      error(400,
            "error expanding and resolving path '~ghost/x': cannot expand user-specific home dir"));
  Reply expiry = download(agent, "?path=x&signature_expiration=soon");
  EXPECT_EQ(expiry.status, 400);
  EXPECT_THAT(std::string(expiry.headers.get("Content-Type")), HasSubstr("text/plain"));
  EXPECT_EQ(agent.client().request("HEAD", "/files?path=x").status, 405);
}

TEST(SignedUrl, OpensTheFileAndNothingElse) {
  RunningAgent agent("secret-token");
  ASSERT_TRUE(base::write_file(agent.home() + "/s.txt", "signed"));
  auto url = [](const std::string& operation, std::optional<std::int64_t> expiration) {
    fakeapi::envd::SignedRequest request;
    request.path = "s.txt";
    request.operation = operation;
    request.username = "user";
    request.expiration = expiration;
    std::string signature = fakeapi::envd::file_signature(request, "secret-token");
    std::string escaped;
    for (char c : signature) escaped += c == '+' ? "%2B" : c == '/' ? "%2F" : std::string(1, c);
    std::string query = "?path=s.txt&username=user&signature=" + escaped;
    if (expiration) query += "&signature_expiration=" + std::to_string(*expiration);
    return query;
  };
  EXPECT_EQ(download(agent, url("read", std::nullopt)).body, "signed");
  EXPECT_EQ(download(agent, url("read", 4000000000)).body, "signed");
  EXPECT_EQ(json::parse(download(agent, url("read", 1000)).body),
            error(401, "signature is already expired"));
  EXPECT_EQ(json::parse(download(agent, url("write", std::nullopt)).body),
            error(401, "invalid signature"));
  EXPECT_EQ(json::parse(download(agent, "?path=s.txt").body),
            error(401, "missing signature query parameter"));
  EXPECT_EQ(json::parse(download(agent, "?path=s.txt", {{"X-Access-Token", "wrong"}}).body),
            error(401, "access token present in header but does not match"));
  EXPECT_EQ(download(agent, "?path=s.txt", {{"X-Access-Token", "secret-token"}}).body, "signed");
  Reply written = upload(agent, url("write", std::nullopt), octets(), "changed");
  EXPECT_EQ(written.status, 200);
  EXPECT_EQ(*base::read_file(agent.home() + "/s.txt"), "changed");
}

TEST(Compose, JoinsSourcesAndRemovesThem) {
  RunningAgent agent;
  ASSERT_TRUE(base::write_file(agent.home() + "/p1", "one"));
  ASSERT_TRUE(base::write_file(agent.home() + "/p2", "two"));
  json request = {{"source_paths", {"p1", "p2"}}, {"destination", "d/all"}};
  Reply reply = agent.client().request("POST", "/files/compose",
                                       {{"Content-Type", "application/json"}}, request.dump());
  EXPECT_EQ(json::parse(reply.body),
            json({{"path", agent.home() + "/d/all"}, {"name", "all"}, {"type", "file"}}));
  EXPECT_EQ(*base::read_file(agent.home() + "/d/all"), "onetwo");
  EXPECT_FALSE(std::filesystem::exists(agent.home() + "/p1"));
  request["source_paths"] = {"p1"};
  reply = agent.client().request("POST", "/files/compose", {}, request.dump());
  EXPECT_EQ(json::parse(reply.body), error(404, "source file not found: " + agent.home() + "/p1"));
}

}  // namespace
}  // namespace envd_tests
