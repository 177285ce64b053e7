// The architecture as a test: who may include whom, which file sees which library, and the shapes
// that this compiler gets wrong (docs/architecture.md).
#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace {

namespace fs = std::filesystem;

struct Source {
  std::string path;  // relative to the repository
  std::vector<std::string> lines;
};

std::vector<Source> read_sources(const std::vector<std::string>& folders) {
  std::vector<Source> sources;
  fs::path root = SANDLOT_SOURCE_DIR;
  for (const std::string& folder : folders) {
    if (!fs::exists(root / folder)) continue;
    for (const auto& entry : fs::recursive_directory_iterator(root / folder)) {
      std::string extension = entry.path().extension();
      if (extension != ".h" && extension != ".cc") continue;
      Source source;
      source.path = fs::relative(entry.path(), root).string();
      std::ifstream file(entry.path());
      for (std::string line; std::getline(file, line);) source.lines.push_back(line);
      sources.push_back(std::move(source));
    }
  }
  return sources;
}

const std::vector<Source>& product() {
  static const auto sources = read_sources({"emulator", "fakeapi", "namespaces", "netfilter"});
  return sources;
}

std::string top_folder(const std::string& path) {
  return path.substr(0, path.find('/'));
}

bool starts_with(const std::string& text, std::string_view prefix) {
  return text.rfind(prefix, 0) == 0;
}

// Every `#include "..."` and `#include <...>` of a source, without the delimiters.
std::vector<std::string> includes(const Source& source) {
  static const std::regex pattern(R"(^\s*#include\s+["<]([^">]+)[">])");
  std::vector<std::string> found;
  std::smatch match;
  for (const std::string& line : source.lines) {
    if (std::regex_search(line, match, pattern)) found.push_back(match[1]);
  }
  return found;
}

TEST(Architecture, FoldersIncludeOnlyWhatTheyMay) {
  const std::map<std::string, std::set<std::string>> allowed = {
      {"namespaces", {"namespaces/", "emulator/base/"}},
      {"netfilter", {"netfilter/", "emulator/base/"}},
      {"fakeapi", {"fakeapi/", "emulator/base/"}},
  };
  for (const Source& source : product()) {
    auto rule = allowed.find(top_folder(source.path));
    bool is_base = starts_with(source.path, "emulator/base/");
    if (rule == allowed.end() && !is_base) continue;
    for (const std::string& include : includes(source)) {
      bool ours = false;
      for (const char* folder : {"namespaces/", "netfilter/", "fakeapi/", "emulator/", "tests/"}) {
        ours = ours || starts_with(include, folder);
      }
      if (!ours) continue;
      bool fine = is_base ? starts_with(include, "emulator/base/") : false;
      if (!is_base) {
        for (const std::string& prefix : rule->second) fine = fine || starts_with(include, prefix);
      }
      EXPECT_TRUE(fine) << source.path << " must not include " << include;
    }
  }
}

TEST(Architecture, InsideTheEmulatorOnlyTheCompositionKnowsEverything) {
  // proxy, dns, control and config stand alone; sandboxes may see proxy (it implements its
  // directory).
  const std::map<std::string, std::set<std::string>> forbidden = {
      {"emulator/proxy/",
       {"emulator/sandboxes/", "emulator/cli/", "emulator/control/", "namespaces/",
        "fakeapi/cloud/", "fakeapi/envd/"}},
      {"emulator/dns/",
       {"emulator/sandboxes/", "emulator/cli/", "emulator/control/", "emulator/proxy/",
        "namespaces/"}},
      {"emulator/control/",
       {"emulator/sandboxes/", "emulator/cli/", "emulator/proxy/", "namespaces/", "netfilter/",
        "fakeapi/cloud/", "fakeapi/envd/"}},
      {"emulator/config/",
       {"emulator/sandboxes/", "emulator/cli/", "emulator/proxy/", "namespaces/", "netfilter/",
        "fakeapi/"}},
      {"emulator/sandboxes/", {"emulator/cli/", "emulator/control/", "emulator/application"}},
      {"emulator/secrets/",
       {"emulator/sandboxes/", "emulator/cli/", "emulator/control/", "emulator/proxy/",
        "emulator/intercept/", "namespaces/", "netfilter/", "fakeapi/envd/"}},
      {"fakeapi/http/", {"fakeapi/cloud/", "fakeapi/envd/"}},
      {"fakeapi/cloud/", {"fakeapi/envd/"}},
      {"fakeapi/envd/", {"fakeapi/cloud/"}},
  };
  for (const Source& source : product()) {
    for (const auto& [folder, barred] : forbidden) {
      if (!starts_with(source.path, folder)) continue;
      for (const std::string& include : includes(source)) {
        for (const std::string& prefix : barred) {
          EXPECT_FALSE(starts_with(include, prefix))
              << source.path << " must not include " << include;
        }
      }
    }
  }
}

TEST(Architecture, HeavyLibrariesStayWhereTheyBelong) {
  const std::map<std::string, std::set<std::string>> owners = {
      {"boost/beast", {"fakeapi/http/codec.cc", "fakeapi/http/beast_impl.cc"}},
      {"spdlog/", {"emulator/base/log.cc"}},
      {"boost/process", {"emulator/base/run_tool.cc"}},
      {"sqlite3.h", {"emulator/store/database.cc"}},
      {"seccomp.h", {"namespaces/seccomp.cc", "namespaces/privileges.cc"}},
  };
  for (const Source& source : product()) {
    for (const std::string& include : includes(source)) {
      for (const auto& [library, files] : owners) {
        if (!starts_with(include, library)) continue;
        EXPECT_TRUE(files.contains(source.path)) << source.path << " must not include " << include;
      }
      if (starts_with(include, "nlohmann/json.hpp")) {
        EXPECT_TRUE(source.path.ends_with(".cc"))
            << source.path << ": nlohmann belongs in .cc files";
      }
    }
  }
}

// g++ 12 destroys temporaries twice when a braced aggregate, a capturing lambda or a conditional
// expression that makes an object stands between co_await and ';'.
TEST(Toolchain, NothingBracedOrConditionalStandsBetweenCoAwaitAndSemicolon) {
  static const std::regex text(R"("(\\.|[^"\\])*")");
  for (const Source& source : product()) {
    std::string statement;
    for (std::size_t i = 0; i < source.lines.size(); ++i) {
      std::string line = source.lines[i].substr(0, source.lines[i].find("//"));
      auto at = line.find("co_await");
      if (statement.empty() && at == std::string::npos) continue;
      statement += statement.empty() ? line.substr(at) : " " + line;
      auto end = statement.find(';');
      // A control statement (`if (co_await x) {`) ends at its opening brace after the closing
      // parenthesis.
      static const std::regex control(R"(\)\s*\{\s*$)");
      if (end == std::string::npos && std::regex_search(statement, control)) {
        statement.clear();
        continue;
      }
      if (end == std::string::npos && statement.size() < 2000) continue;
      statement = statement.substr(0, end);
      EXPECT_EQ(statement.find('{'), std::string::npos)
          << source.path << ":" << i + 1 << ": " << statement;
      EXPECT_FALSE(std::regex_search(statement, std::regex(R"(\[[&=\w, ]*\]\s*\()")))
          << source.path << ":" << i + 1 << ": " << statement;
      EXPECT_EQ(std::regex_replace(statement, text, "").find('?'), std::string::npos)
          << source.path << ":" << i + 1 << ": " << statement;
      statement.clear();
    }
  }
}

// `x ? co_await a : co_await b` destroys the result twice as well.
TEST(Toolchain, NoCoAwaitIsABranchOfAConditionalExpression) {
  static const std::regex branch(R"([?:]\s*co_await\b)");
  for (const Source& source : product()) {
    std::string all;
    for (const std::string& line : source.lines) all += line.substr(0, line.find("//")) + "\n";
    // A label or a range-for is not one: there must be a '?' before it in the same statement.
    for (std::sregex_iterator at(all.begin(), all.end(), branch), end; at != end; ++at) {
      auto where = static_cast<std::size_t>(at->position());
      auto begin = all.find_last_of(";{}", where);
      std::string statement = all.substr(begin + 1, where - begin);
      EXPECT_EQ(statement.find('?'), std::string::npos) << source.path << ": " << statement;
    }
  }
}

TEST(Style, EveryHeaderOpensByIntroducingItself) {
  for (const Source& source : product()) {
    if (!source.path.ends_with(".h")) continue;
    ASSERT_FALSE(source.lines.empty()) << source.path;
    EXPECT_TRUE(starts_with(source.lines.front(), "// ")) << source.path;
  }
}

TEST(Style, NobodyCallsAShellDetachesOrOwnsByHand) {
  const std::vector<std::pair<std::regex, std::string>> banned = {
      {std::regex(R"(\b(std::)?system\()"), "system()"},
      {std::regex(R"(\bpopen\()"), "popen()"},
      {std::regex(R"(asio::detached)"), "asio::detached"},
      {std::regex(R"(\bnew [A-Z]\w*[({])"), "a raw new"},
      {std::regex(R"(\bdelete [a-z]\w*;)"), "a raw delete"},
  };
  for (const Source& source : product()) {
    for (std::size_t i = 0; i < source.lines.size(); ++i) {
      std::string line = source.lines[i].substr(0, source.lines[i].find("//"));
      // Owned at once (private constructors); the formatter may break the line before the "new".
      if (line.find("unique_ptr<") != std::string::npos) continue;
      if (i > 0 && source.lines[i - 1].find("unique_ptr<") != std::string::npos &&
          source.lines[i - 1].ends_with("(")) {
        continue;
      }
      for (const auto& [pattern, what] : banned) {
        EXPECT_FALSE(std::regex_search(line, pattern))
            << source.path << ":" << i + 1 << " uses " << what;
      }
    }
  }
}

TEST(Style, FilesStaySmallEnoughToRead) {
  for (const Source& source : product()) {
    EXPECT_LE(source.lines.size(), 500U) << source.path << " deserves a second file";
  }
}

}  // namespace
