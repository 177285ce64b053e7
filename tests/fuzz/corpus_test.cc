// Every fuzz target over its corpus, cut short at every length and with every byte changed: what
// libFuzzer found once stays found, without clang.
#include <filesystem>
#include <string>

#include <gtest/gtest.h>

#include "emulator/base/posix.h"
#include "tests/fuzz/target.h"

namespace tests::fuzz {

std::vector<Target>& targets() {
  static std::vector<Target> all;
  return all;
}

void violated(const char* property) {
  ADD_FAILURE() << "property violated: " << property;
}

namespace {

namespace fs = std::filesystem;

// Beyond this only the file itself: the time grows with the square of the size.
constexpr std::size_t kSmall = 400;

void run_with_neighbours(const Target& target, const std::string& bytes) {
  target.run(bytes);
  if (bytes.size() > kSmall) return;
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    SCOPED_TRACE("cut after " + std::to_string(size) + " bytes");
    target.run(std::string(bytes, 0, size));
  }
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    SCOPED_TRACE("byte " + std::to_string(at) + " changed");
    std::string changed = bytes;
    for (char value : {'\0', '\n', ' ', '9', '\x80', '\xff'}) {
      changed[at] = value;
      target.run(changed);
    }
  }
}

class Corpus : public testing::TestWithParam<std::string> {};

TEST_P(Corpus, HoldsItsPropertiesAndTheirNeighboursToo) {
  auto found = std::find_if(targets().begin(), targets().end(),
                            [](const Target& target) { return target.name == GetParam(); });
  ASSERT_NE(found, targets().end());
  std::size_t files = 0;
  for (const auto& entry : fs::directory_iterator(fs::path(SANDLOT_FUZZ_CORPUS) / GetParam())) {
    auto bytes = base::read_file(entry.path());
    ASSERT_TRUE(bytes) << entry.path();
    SCOPED_TRACE(entry.path());
    run_with_neighbours(*found, *bytes);
    ++files;
  }
  EXPECT_GT(files, 0U) << "a target without a corpus";
}

// The folders of the corpus are the targets: a list that is known before main().
std::vector<std::string> corpora() {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(SANDLOT_FUZZ_CORPUS))
    names.push_back(entry.path().filename());
  return names;
}

std::string name_of(const testing::TestParamInfo<std::string>& target) {
  return target.param;
}

INSTANTIATE_TEST_SUITE_P(Fuzz, Corpus, testing::ValuesIn(corpora()), name_of);

TEST(Corpora, EveryTargetHasOne) {
  std::size_t count = corpora().size();
  EXPECT_EQ(count, targets().size());
}

}  // namespace
}  // namespace tests::fuzz
