#include "fakeapi/http/router.h"

#include <algorithm>

namespace fakeapi::http {

namespace {

std::vector<std::string> split(std::string_view path) {
  std::vector<std::string> segments;
  while (!path.empty()) {
    auto slash = path.find('/');
    std::string_view segment = path.substr(0, slash);
    if (!segment.empty()) segments.emplace_back(segment);
    if (slash == std::string_view::npos) break;
    path.remove_prefix(slash + 1);
  }
  return segments;
}

bool is_parameter(std::string_view segment) {
  return segment.size() > 2 && segment.front() == '{' && segment.back() == '}';
}

}  // namespace

void Router::add(std::string method, std::string_view pattern, RouteHandler handler) {
  routes_.push_back({std::move(method), split(pattern), std::move(handler)});
}

Router::Match Router::find(std::string_view method, std::string_view path) const {
  std::vector<std::string> segments = split(path);
  Match match;
  const Route* best = nullptr;
  auto literals = [](const Route& route) {
    return std::count_if(route.segments.begin(), route.segments.end(),
                         [](const std::string& segment) { return !is_parameter(segment); });
  };
  for (const Route& route : routes_) {
    if (route.segments.size() != segments.size()) continue;
    bool fits = std::equal(segments.begin(), segments.end(), route.segments.begin(),
                           [](const std::string& have, const std::string& want) {
                             return is_parameter(want) || percent_decode(have) == want;
                           });
    if (!fits) continue;
    if (route.method != method) {
      match.allowed.push_back(route.method);
    } else if (best == nullptr || literals(route) > literals(*best)) {
      best = &route;
    }
  }
  if (best == nullptr) return match;
  match.handler = &best->handler;
  for (std::size_t i = 0; i < segments.size(); ++i) {
    const std::string& pattern = best->segments[i];
    if (is_parameter(pattern)) {
      match.path[pattern.substr(1, pattern.size() - 2)] = percent_decode(segments[i]);
    }
  }
  return match;
}

}  // namespace fakeapi::http
