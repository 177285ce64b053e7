// Result<T> and Task<T>: a value or an Error, now or after an await. The statement macros propagate
// errors; they are statements, never expressions (g++ 12 cannot compile co_await inside a statement
// expression).
//
//   SANDLOT_TRY(auto fd, open_file(path));            // return on error
//   SANDLOT_CHECK(write_file(path, text));            // same, nothing to keep
//   SANDLOT_CO_TRY(auto info, co_await get(id));      // the coroutine forms
//   SANDLOT_CO_CHECK(co_await stop());
//
// g++ 12 destroys temporaries twice when a brace-initialised aggregate or a lambda stands between
// `co_await` and `;`: name such values first, then std::move them in (docs/architecture.md,
// tests/lint).
#pragma once

#include <utility>

#include <boost/asio/awaitable.hpp>
#include <tl/expected.hpp>

#include "emulator/base/error.h"

namespace base {

template <class T = void>
using Result = tl::expected<T, Error>;

template <class T = void>
using Task = boost::asio::awaitable<Result<T>>;

using Failure = tl::unexpected<Error>;

inline Failure fail(Errc code, std::string message) {
  return Failure(Error(code, std::move(message)));
}
inline Failure fail(Error error) {
  return Failure(std::move(error));
}
// The current errno as a failed Result: `return fail_errno("open " + path);`
inline Failure fail_errno(std::string_view what) {
  return Failure(os_error(what));
}

}  // namespace base

#define SANDLOT_CAT2(a, b) a##b
#define SANDLOT_CAT(a, b) SANDLOT_CAT2(a, b)

#define SANDLOT_TRY_IMPL(tmp, ret, decl, ...)            \
  auto tmp = (__VA_ARGS__);                              \
  if (!tmp) ret ::base::Failure(std::move(tmp).error()); \
  decl = std::move(*tmp)
#define SANDLOT_CHECK_IMPL(tmp, ret, ...)                  \
  do {                                                     \
    auto tmp = (__VA_ARGS__);                              \
    if (!tmp) ret ::base::Failure(std::move(tmp).error()); \
  } while (false)

#define SANDLOT_TRY(decl, ...) \
  SANDLOT_TRY_IMPL(SANDLOT_CAT(sandlot_r_, __LINE__), return, decl, __VA_ARGS__)
#define SANDLOT_CO_TRY(decl, ...) \
  SANDLOT_TRY_IMPL(SANDLOT_CAT(sandlot_r_, __LINE__), co_return, decl, __VA_ARGS__)
#define SANDLOT_CHECK(...) \
  SANDLOT_CHECK_IMPL(SANDLOT_CAT(sandlot_r_, __LINE__), return, __VA_ARGS__)
#define SANDLOT_CO_CHECK(...) \
  SANDLOT_CHECK_IMPL(SANDLOT_CAT(sandlot_r_, __LINE__), co_return, __VA_ARGS__)
