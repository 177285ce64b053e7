// The multipart parser: the same message cut at every place gives the same parts.
#include "fakeapi/envd/multipart.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fakeapi::envd {
namespace {

using Event = MultipartParser::Event;

// "name|filename=content;" for every part, then "end" or "malformed".
std::string parse(std::string_view body, std::size_t step, std::string_view boundary = "XX") {
  MultipartParser parser(boundary);
  std::string out;
  for (;;) {
    switch (parser.next()) {
      case Event::kNeedMore:
        if (body.empty()) {
          parser.finish();
        } else {
          parser.feed(body.substr(0, step));
          body.remove_prefix(std::min(step, body.size()));
        }
        break;
      case Event::kPart:
        out += parser.part().name + "|" + parser.part().filename.value_or("-") + "=";
        break;
      case Event::kData:
        out += parser.data();
        break;
      case Event::kPartEnd:
        out += ";";
        break;
      case Event::kEnd:
        return out + "end";
      case Event::kMalformed:
        return out + "malformed";
    }
  }
}

struct Case {
  const char* what;
  std::string body;
  std::string expected;
};

const Case kCases[] = {
    {"one part",
     "--XX\r\nContent-Disposition: form-data; name=\"file\"; "
     "filename=\"/a/b\"\r\n\r\nhello\r\n--XX--\r\n",
     "file|/a/b=hello;end"},
    {"two parts and an epilogue",
     "--XX\r\nContent-Disposition: form-data; "
     "name=a\r\n\r\n1\r\n--XX\r\ncontent-disposition:form-data;name=b\r\n\r\n2\r\n--XX--junk",
     "a|-=1;b|-=2;end"},
    {"preamble, padding after the boundary", "hi\r\n--XX  \r\nX: y\r\n\r\nz\r\n--XX--", "|-=z;end"},
    {"no headers", "--XX\r\n\r\nz\r\n--XX--", "|-=z;end"},
    {"empty body", "--XX\r\nContent-Disposition: form-data; name=\"f\"\r\n\r\n\r\n--XX--",
     "f|-=;end"},
    {"line ends and near-boundaries in the data",
     "--XX\r\n\r\n\r\n--X\r\n--XY\r\n--XXy\r\n\r\n--XX--", "|-=\r\n--X\r\n--XY\r\n--XXy\r\n;end"},
    {"only the end", "--XX--", "end"},
    {"cut inside data", "--XX\r\n\r\nabc", "|-=abcmalformed"},
    {"cut inside headers", "--XX\r\nContent-", "malformed"},
    {"never a boundary", "nothing here", "malformed"},
    {"header without a colon", "--XX\r\nnonsense\r\n\r\nx\r\n--XX--", "malformed"},
};

TEST(Multipart, EveryCutGivesTheSameParts) {
  for (const Case& test : kCases) {
    for (std::size_t step = 1; step <= test.body.size(); ++step) {
      EXPECT_EQ(parse(test.body, step), test.expected)
          << test.what << ", " << step << " bytes at a time";
    }
  }
}

TEST(Multipart, Dispositions) {
  auto name = [](std::string_view text) { return parse_disposition(text).filename.value_or("-"); };
  EXPECT_EQ(name(R"(form-data; name="file"; filename="dir/x y.txt")"), "dir/x y.txt");
  EXPECT_EQ(name(R"(form-data; name="file"; filename="a%22b%0Ac%41")"), "a\"b\nc%41");
  EXPECT_EQ(name(R"(form-data; name="file"; filename="back\\slash \"q\" \n")"),
            "back\\slash \"q\" \\n");
  EXPECT_EQ(name("form-data; name=file; filename=plain.txt"), "plain.txt");
  EXPECT_EQ(name("form-data; filename=a; filename*=UTF-8''%C3%A9"), "\xC3\xA9");
  EXPECT_EQ(name(R"(form-data; name="a;filename=b")"), "-");
  EXPECT_EQ(name("form-data"), "-");
  EXPECT_EQ(parse_disposition(R"(form-data; NAME = "file" ; x)").name, "file");
}

TEST(Multipart, Boundaries) {
  EXPECT_EQ(boundary_of("multipart/form-data; boundary=abc"), "abc");
  EXPECT_EQ(boundary_of("multipart/form-data; charset=x; boundary=\"a b:c\""), "a b:c");
  EXPECT_EQ(boundary_of("multipart/form-data"), std::nullopt);
}

}  // namespace
}  // namespace fakeapi::envd
