// Paths of requests: lexical cleaning is stable, and nothing relative leaves the resolver.
#include "fakeapi/envd/path_resolution.h"
#include "tests/fuzz/target.h"

namespace envd = fakeapi::envd;
using tests::fuzz::require;

// The first line: the default workdir; then the path.
FUZZ_TARGET(path) {
  tests::fuzz::Input in(input);
  std::string workdir = "/" + std::string(in.line());
  std::string_view path = in.rest();

  std::string clean = envd::clean_path(path);
  require(envd::clean_path(clean) == clean, "cleaning twice changes nothing");
  require(clean.find("//") == std::string::npos, "no doubled slash");
  require(clean.starts_with('/') == path.starts_with('/'), "absolute stays absolute");
  require(clean != "/.." && !clean.starts_with("/../"), "nothing is above the root");

  std::string base = envd::base_name(path);
  require(base == "/" || base.find('/') == std::string::npos, "a base name is one element");
  std::string parent = envd::parent_path(path);
  require(!parent.empty() && parent.size() <= path.size() + 1, "a parent is shorter");

  auto resolved = envd::resolve_path(path, "/home/user", workdir);
  if (!resolved) return;
  require(resolved->starts_with('/'), "a resolved path is absolute");
  require(path.empty() || resolved->find('\0') == std::string::npos, "no NUL in a resolved path");
}
