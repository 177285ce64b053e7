// The pure parts of the daemon, by tables.
#include <sys/stat.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fakeapi/envd/base64.h"
#include "fakeapi/envd/byte_ranges.h"
#include "fakeapi/envd/content_encoding.h"
#include "fakeapi/envd/download.h"
#include "fakeapi/envd/entry_info.h"
#include "fakeapi/envd/exit_words.h"
#include "fakeapi/envd/file_metadata.h"
#include "fakeapi/envd/http_date.h"
#include "fakeapi/envd/media_type.h"
#include "fakeapi/envd/path_resolution.h"
#include "fakeapi/envd/sandbox_configuration.h"
#include "fakeapi/envd/sha256.h"
#include "fakeapi/envd/signature.h"
#include "fakeapi/envd/user_database.h"
#include "fakeapi/envd/utf8_boundary.h"

namespace fakeapi::envd {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

std::string hex(const std::array<std::uint8_t, 32>& digest) {
  std::string out;
  for (std::uint8_t byte : digest) {
    constexpr std::string_view kHex = "0123456789abcdef";
    out.push_back(kHex[byte >> 4U]);
    out.push_back(kHex[byte & 15U]);
  }
  return out;
}

TEST(Base64, KnownTextsAndEveryLength) {
  EXPECT_EQ(base64_encode(""), "");
  EXPECT_EQ(base64_encode("f"), "Zg==");
  EXPECT_EQ(base64_encode("fo"), "Zm8=");
  EXPECT_EQ(base64_encode("foobar"), "Zm9vYmFy");
  EXPECT_EQ(base64_encode("\xFB\xFF"), "+/8=");
  std::string bytes;
  for (int i = 0; i < 300; ++i) {
    EXPECT_EQ(base64_decode(base64_encode(bytes)), bytes);
    bytes.push_back(static_cast<char>(i * 7));
  }
}

TEST(Base64, DecodesBothAlphabetsWithAndWithoutPadding) {
  EXPECT_EQ(base64_decode("-_8"), "\xFB\xFF");
  EXPECT_EQ(base64_decode("+/8="), "\xFB\xFF");
  EXPECT_EQ(base64_decode("Zg"), "f");
  EXPECT_EQ(base64_decode("Z"), std::nullopt);
  EXPECT_EQ(base64_decode("Zm 9"), std::nullopt);
}

TEST(Sha256, KnownDigests) {
  EXPECT_EQ(hex(sha256("")), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(hex(sha256("abc")), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(hex(sha256(std::string(1000000, 'a'))),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
  EXPECT_EQ(hex(sha256("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq")),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

TEST(Signature, MatchesTheContractsVector) {
  SignedRequest request;
  request.path = "hello.txt";
  request.operation = "read";
  request.username = "user";
  EXPECT_EQ(file_signature(request, "0tQG31xiMp0IOQfaz9dcwi72L1CPo8e0"),
            "v1_gUtH/s9YCJWgCizjfUxuWfhFE4QSydOWEIIvfLwDr6E");
}

TEST(Paths, ResolveAgainstTheHome) {
  auto resolve = [](std::string_view path) { return *resolve_path(path, "/home/user", ""); };
  EXPECT_EQ(resolve(""), "/home/user");
  EXPECT_EQ(resolve("~"), "/home/user");
  EXPECT_EQ(resolve("~/x/../y"), "/home/user/y");
  EXPECT_EQ(resolve("a/./b//c/"), "/home/user/a/b/c");
  EXPECT_EQ(resolve("../../../etc"), "/etc");
  EXPECT_EQ(resolve("/a/../b"), "/a/../b");
  EXPECT_EQ(*resolve_path("", "/home/user", "/work"), "/work");
  EXPECT_EQ(*resolve_path("x", "/home/user", "/work"), "/home/user/x");
  EXPECT_EQ(resolve_path("~root/x", "/home/user", "").error().message(),
            "cannot expand user-specific home dir");
  EXPECT_FALSE(resolve_path(std::string_view("a\0b", 3), "/home/user", ""));
}

TEST(Paths, Parts) {
  EXPECT_EQ(base_name("/a/b"), "b");
  EXPECT_EQ(base_name("/a/b/"), "b");
  EXPECT_EQ(base_name("/"), "/");
  EXPECT_EQ(base_name("x"), "x");
  EXPECT_EQ(parent_path("/a/b"), "/a");
  EXPECT_EQ(parent_path("/a"), "/");
  EXPECT_EQ(parent_path("/a//b"), "/a");
  EXPECT_EQ(parent_path("a"), ".");
}

TEST(Users, PasswdAndGroupAreParsedLineByLine) {
  auto users = parse_passwd(
      "root:x:0:0:root:/root:/bin/bash\n# "
      "comment:x:1:1:::\nbad\nbad:x:one:1:::\n\nuser:x:1000:1000::/home/user:");
  ASSERT_THAT(users, SizeIs(2));
  EXPECT_EQ(users[1].name, "user");
  EXPECT_EQ(users[1].uid, 1000U);
  EXPECT_EQ(users[1].home, "/home/user");
  EXPECT_EQ(users[0].shell, "/bin/bash");
  auto groups = parse_group("root:x:0:\nsudo:x:27:user,other\nbroken:x\n");
  ASSERT_THAT(groups, SizeIs(2));
  EXPECT_THAT(groups[1].members, ElementsAre("user", "other"));
}

TEST(Utf8Boundary, HoldsBackOnlyWhatCanBecomeACharacter) {
  EXPECT_EQ(incomplete_tail(""), 0U);
  EXPECT_EQ(incomplete_tail("abc"), 0U);
  EXPECT_EQ(incomplete_tail("\xE2\x82\xAC"), 0U);
  EXPECT_EQ(incomplete_tail("a\xE2\x82"), 2U);
  EXPECT_EQ(incomplete_tail("a\xE2"), 1U);
  EXPECT_EQ(incomplete_tail("\xF0\x9F\x98"), 3U);
  EXPECT_EQ(incomplete_tail("\xF0\x9F\x98\x80"), 0U);
  EXPECT_EQ(incomplete_tail("\xC3"), 1U);
  EXPECT_EQ(incomplete_tail("\x80\x80\x80\x80"), 0U) << "continuations without a lead";
  EXPECT_EQ(incomplete_tail("\xFF"), 0U);
  EXPECT_EQ(incomplete_tail("\xC3\xA9\x82"), 0U) << "a complete character and a stray byte";
}

TEST(ExitWords, FollowGo) {
  EXPECT_EQ(exit_report(0).status, "exit status 0");
  EXPECT_TRUE(exit_report(0).exited);
  EXPECT_EQ(exit_report(3 << 8).exit_code, 3);
  EXPECT_EQ(exit_report(9).status, "signal: killed");
  EXPECT_EQ(exit_report(9).exit_code, -1);
  EXPECT_FALSE(exit_report(9).exited);
  EXPECT_EQ(exit_report(11 | 0x80).status, "signal: segmentation fault (core dumped)");
  EXPECT_EQ(exit_report(6).status, "signal: aborted");
  EXPECT_EQ(exit_report(40).status, "signal: signal 40");
  EXPECT_EQ(errno_words(ENOENT), "no such file or directory");
  EXPECT_EQ(errno_words(EXDEV), "invalid cross-device link");
}

TEST(FileMode, FollowsGo) {
  EXPECT_EQ(file_mode_text(S_IFREG | 0644), "-rw-r--r--");
  EXPECT_EQ(file_mode_text(S_IFDIR | 0755), "drwxr-xr-x");
  EXPECT_EQ(file_mode_text(S_IFLNK | 0777), "Lrwxrwxrwx");
  EXPECT_EQ(file_mode_text(S_IFDIR | S_ISVTX | 0777), "dtrwxrwxrwx");
  EXPECT_EQ(file_mode_text(S_IFREG | S_ISUID | 0755), "urwxr-xr-x");
  EXPECT_EQ(file_mode_text(S_IFCHR | 0666), "Dcrw-rw-rw-");
  EXPECT_EQ(file_mode_text(S_IFBLK | 0660), "Drw-rw----");
  EXPECT_EQ(file_mode_text(S_IFIFO | 0600), "prw-------");
  EXPECT_EQ(file_mode_text(S_IFSOCK | 0755), "Srwxr-xr-x");
}

TEST(HttpDate, BothWays) {
  EXPECT_EQ(format_http_date(784111777), "Sun, 06 Nov 1994 08:49:37 GMT");
  EXPECT_EQ(parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT"), 784111777);
  EXPECT_EQ(parse_http_date("Sunday, 06-Nov-94 08:49:37 GMT"), std::nullopt);
  EXPECT_EQ(parse_http_date(""), std::nullopt);
  for (const char* text : {"Sun, 06 Nov 1994 24:00:00 GMT", "Sun, 06 Nov 1994 08:49:60 GMT",
                           "Sun, 06 Nov 1994 -8:49:37 GMT", "Sun, 06 Nov -994 08:49:37 GMT",
                           "Sun, 06 Nov$1994 08:49:37 GMT", "Sun, 31 Feb 1994 08:49:37 GMT"}) {
    EXPECT_EQ(parse_http_date(text), std::nullopt) << text;
  }
}

TEST(Ranges, Table) {
  auto ranges = [](std::string_view text) { return parse_ranges(text, 10); };
  EXPECT_THAT(*ranges("bytes=0-4"), ElementsAre(ByteRange{0, 5}));
  EXPECT_THAT(*ranges("bytes=5-"), ElementsAre(ByteRange{5, 5}));
  EXPECT_THAT(*ranges("bytes=-3"), ElementsAre(ByteRange{7, 3}));
  EXPECT_THAT(*ranges("bytes=-30"), ElementsAre(ByteRange{0, 10}));
  EXPECT_THAT(*ranges("bytes=8-100"), ElementsAre(ByteRange{8, 2}));
  EXPECT_THAT(*ranges("bytes=0-0, 9-"), ElementsAre(ByteRange{0, 1}, ByteRange{9, 1}));
  EXPECT_THAT(*ranges("bytes=10-"), IsEmpty());
  EXPECT_THAT(*ranges("bytes=-0"), IsEmpty());
  for (const char* bad : {"items=0-1", "bytes=a-b", "bytes=4-2", "bytes=4"})
    EXPECT_FALSE(ranges(bad)) << bad;
}

TEST(Encoding, Choice) {
  auto gzip = [](std::optional<std::string_view> header) { return choose_encoding(header)->gzip; };
  EXPECT_FALSE(gzip(std::nullopt));
  EXPECT_FALSE(gzip(""));
  EXPECT_TRUE(gzip("gzip, deflate"));
  EXPECT_TRUE(gzip("GZIP;q=0.5"));
  EXPECT_FALSE(gzip("gzip;q=0"));
  EXPECT_FALSE(gzip("*"));
  EXPECT_FALSE(gzip("br"));
  EXPECT_TRUE(gzip("identity;q=0, *"));
  EXPECT_FALSE(gzip("gzip;q=0.2, identity;q=0.8"));
  EXPECT_FALSE(choose_encoding("identity;q=0"));
  EXPECT_FALSE(choose_encoding("*;q=0"));
  EXPECT_FALSE(choose_encoding("identity;q=0, gzip")->identity_allowed);
}

TEST(MediaType, ByNameAndByContent) {
  EXPECT_EQ(media_type_by_name("a.HTML"), "text/html; charset=utf-8");
  EXPECT_EQ(media_type_by_name("noextension"), "");
  EXPECT_EQ(sniff_media_type("hello"), "text/plain; charset=utf-8");
  EXPECT_EQ(sniff_media_type(std::string_view("\0\1\2", 3)), "application/octet-stream");
  EXPECT_EQ(sniff_media_type("\x89PNG\r\n\x1a\n..."), "image/png");
  EXPECT_EQ(sniff_media_type("  <!doctype html><p>"), "text/html; charset=utf-8");
}

TEST(Disposition, TokenQuotedOrEncoded) {
  EXPECT_EQ(content_disposition("a.txt"), "inline; filename=a.txt");
  EXPECT_EQ(content_disposition("a b.txt"), "inline; filename=\"a b.txt\"");
  EXPECT_EQ(content_disposition("say \"hi\""), "inline; filename=\"say \\\"hi\\\"\"");
  EXPECT_EQ(content_disposition("\xC3\xA9 1"), "inline; filename*=utf-8''%C3%A9%201");
}

TEST(Metadata, HeadersAreCheckedBeforeAnythingElse) {
  http::Headers headers = {{"X-Metadata-One", "1"}, {"x-metadata-one", "2"}, {"Other", "x"}};
  EXPECT_EQ(metadata_of(headers)->at("one"), "1");
  EXPECT_FALSE(metadata_of({{"X-Metadata-", "x"}}));
  EXPECT_FALSE(metadata_of({{"X-Metadata-" + std::string(247, 'k'), "x"}}));
  EXPECT_TRUE(metadata_of({{"X-Metadata-" + std::string(246, 'k'), "x"}}));
  EXPECT_FALSE(metadata_of({{"X-Metadata-a", "\xC3\xA9"}}));
  EXPECT_FALSE(metadata_of({{"X-Metadata-a", std::string(4087, 'v')}}));
  EXPECT_TRUE(metadata_of({{"X-Metadata-a", std::string(4086, 'v')}}));
}

TEST(Configuration, SurvivesTheChannel) {
  SandboxConfiguration before;
  before.sandbox_id = "iabc";
  before.template_id = "base";
  before.access_token = "t\"ok\\en";
  before.env_vars = {{"A", "b\n\xC3\xA9"}};
  before.default_workdir = "/w";
  before.cpu_count = 4;
  before.memory_bytes = 1LL << 33;
  auto after = decode_configuration(encode(before));
  ASSERT_TRUE(after);
  EXPECT_EQ(after->sandbox_id, before.sandbox_id);
  EXPECT_EQ(after->access_token, before.access_token);
  EXPECT_EQ(after->env_vars, before.env_vars);
  EXPECT_EQ(after->default_user, "user");
  EXPECT_EQ(after->default_workdir, "/w");
  EXPECT_EQ(after->cpu_count, 4);
  EXPECT_EQ(after->memory_bytes, 1LL << 33);
  EXPECT_FALSE(decode_configuration("{}"));
  EXPECT_FALSE(decode_configuration("nonsense"));
}

}  // namespace
}  // namespace fakeapi::envd
