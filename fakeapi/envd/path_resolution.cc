#include "fakeapi/envd/path_resolution.h"

#include <vector>

namespace fakeapi::envd {

using base::Errc;

std::string clean_path(std::string_view path) {
  bool absolute = !path.empty() && path.front() == '/';
  std::vector<std::string_view> parts;
  while (!path.empty()) {
    auto slash = path.find('/');
    std::string_view part = path.substr(0, slash);
    path.remove_prefix(slash == std::string_view::npos ? path.size() : slash + 1);
    if (part.empty() || part == ".") continue;
    if (part != "..") {
      parts.push_back(part);
    } else if (!parts.empty() && parts.back() != "..") {
      parts.pop_back();
    } else if (!absolute) {
      parts.push_back(part);
    }
  }
  std::string out = absolute ? "/" : "";
  for (std::string_view part : parts) {
    if (!out.empty() && out.back() != '/') out.push_back('/');
    out.append(part);
  }
  return out.empty() ? "." : out;
}

base::Result<std::string> resolve_path(std::string_view path,
                                       std::string_view home,
                                       std::string_view default_workdir) {
  if (path.find('\0') != std::string_view::npos) {
    return base::fail(Errc::kInvalidArgument, "path contains a NUL byte");
  }
  if (path.empty()) return std::string(default_workdir.empty() ? home : default_workdir);
  if (path.front() == '/') return std::string(path);
  std::string joined(home);
  joined.push_back('/');
  if (path.front() == '~') {
    if (path.size() > 1 && path[1] != '/') {
      return base::fail(Errc::kInvalidArgument, "cannot expand user-specific home dir");
    }
    path.remove_prefix(1);
  }
  joined.append(path);
  return clean_path(joined);
}

std::string base_name(std::string_view path) {
  while (path.size() > 1 && path.back() == '/') path.remove_suffix(1);
  if (path.empty()) return ".";
  if (path == "/") return "/";
  auto slash = path.rfind('/');
  return std::string(slash == std::string_view::npos ? path : path.substr(slash + 1));
}

std::string parent_path(std::string_view path) {
  while (path.size() > 1 && path.back() == '/') path.remove_suffix(1);
  auto slash = path.rfind('/');
  if (slash == std::string_view::npos) return ".";
  while (slash > 0 && path[slash - 1] == '/') --slash;
  return std::string(slash == 0 ? "/" : path.substr(0, slash));
}

}  // namespace fakeapi::envd
