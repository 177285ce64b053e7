// Method and path pattern to handler. Pattern segments: literal, or {name}. A literal beats a
// {name}; patterns never match across '/'; captured values are percent-decoded after splitting, so
// "%2F" survives (contract-novita 2.0). Doubled slashes are collapsed (1.2).
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "fakeapi/http/connection.h"

namespace fakeapi::http {

using PathParameters = std::map<std::string, std::string, std::less<>>;

struct RoutedRequest {
  const RequestHead& head;
  PathParameters path;  // decoded {name} values
  ServerConnection& connection;
};

using RouteHandler = std::function<boost::asio::awaitable<void>(RoutedRequest)>;

class Router {
 public:
  void add(std::string method, std::string_view pattern, RouteHandler handler);

  struct Match {
    const RouteHandler* handler = nullptr;  // null: no such path, or not with this method
    PathParameters path;
    std::vector<std::string> allowed;  // methods of the path when the method did not match
  };
  Match find(std::string_view method, std::string_view path) const;

 private:
  struct Route {
    std::string method;
    std::vector<std::string> segments;
    RouteHandler handler;
  };
  std::vector<Route> routes_;
};

}  // namespace fakeapi::http
