#include "fakeapi/cloud/secrets_handler.h"

#include <algorithm>

#include "fakeapi/cloud/api_error.h"
#include "fakeapi/cloud/auth.h"
#include "fakeapi/cloud/pagination.h"
#include "fakeapi/cloud/request.h"
#include "fakeapi/cloud/secret_bodies.h"
#include "fakeapi/cloud/secret_rules.h"

namespace fakeapi::cloud {

using base::Errc;
using base::Error;
using base::Failure;
using base::Result;
using Answer = SecretsHandler::Answer;

namespace {

// E2B says one sentence for each kind of error, so that nothing of a request comes back
// (e2b infra, api/internal/middleware/secrets.go).
Error translate(Error error, bool novita) {
  if (novita) return error;
  switch (error.code()) {
    case Errc::kInvalidArgument:
      return {Errc::kInvalidArgument, "Invalid secrets request"};
    case Errc::kNotFound:
      return {Errc::kNotFound, "Secret not found"};
    case Errc::kAlreadyExists:
    case Errc::kConflict:
      return {Errc::kConflict, "Secret cannot be modified in its current state"};
    default:
      return error;
  }
}

// A public id never falls back to a name.
Result<SecretKey> key_of(const std::string& text, bool novita) {
  if (novita) {
    SANDLOT_CHECK(check_secret_name(text));
    return SecretKey{text, false};
  }
  std::string lower = text;
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  if (lower.starts_with(kSecretIdPrefix)) return SecretKey{std::move(lower), true};
  SANDLOT_TRY(std::string name, canonical_secret_name(text));
  return SecretKey{std::move(name), false};
}

http::Response answer_with(int status, std::string body) {
  http::Response response = json_response(status, std::move(body));
  response.headers.add("Cache-Control", "no-store");
  return response;
}

struct PageQuery {
  std::size_t limit = kMaxPage;
  std::optional<Cursor> after;
};

Result<PageQuery> parse_query(std::string_view text) {
  PageQuery query;
  if (auto limit = http::query_value(text, "limit")) {
    SANDLOT_TRY(query.limit, parse_limit(*limit));
  }
  if (auto token = http::query_value(text, "nextToken"); token && !token->empty()) {
    SANDLOT_TRY(query.after, parse_token(*token, Order::kOldestFirst));
  }
  return query;
}

http::Response page_of(std::vector<SecretInfo> secrets, const PageQuery& query) {
  std::erase_if(secrets, [&](const SecretInfo& secret) {
    if (!query.after) return false;
    if (secret.created_at != query.after->time) return secret.created_at < query.after->time;
    return secret.secret_id <= query.after->id;
  });
  std::span<const SecretInfo> shown(secrets);
  shown = shown.first(std::min(query.limit, secrets.size()));
  http::Response response = answer_with(200, secret_list_json(shown));
  if (shown.size() < secrets.size()) {
    const SecretInfo& last = shown.back();
    response.headers.add("X-Next-Token",
                         make_token({last.created_at, last.secret_id}, Order::kOldestFirst));
  }
  return response;
}

}  // namespace

Answer SecretsHandler::create(http::RoutedRequest request) {
  bool novita = is_novita_client(request.head.headers);
  SANDLOT_CO_TRY(std::string body, co_await read_body(request.connection));
  auto wanted = novita ? parse_new_binding(body) : parse_new_secret(body);
  if (!wanted) co_return Failure(translate(std::move(wanted).error(), novita));
  auto made = co_await service_.create(std::move(*wanted));
  if (!made) co_return Failure(translate(std::move(made).error(), novita));
  co_return answer_with(201, novita ? binding_json(*made) : secret_json(*made));
}

Answer SecretsHandler::list(http::RoutedRequest request) {
  bool novita = is_novita_client(request.head.headers);
  auto query = novita ? Result<PageQuery>(PageQuery()) : parse_query(request.head.query());
  if (!query) co_return Failure(translate(std::move(query).error(), novita));
  SANDLOT_CO_TRY(auto secrets, co_await service_.list());
  if (novita) co_return answer_with(200, binding_list_json(secrets));
  co_return page_of(std::move(secrets), *query);
}

Answer SecretsHandler::get(http::RoutedRequest request) {
  bool novita = is_novita_client(request.head.headers);
  auto key = key_of(request.path["secret"], novita);
  if (!key) co_return Failure(translate(std::move(key).error(), novita));
  auto info = co_await service_.get(std::move(*key));
  if (!info) co_return Failure(translate(std::move(info).error(), novita));
  co_return answer_with(200, novita ? binding_json(*info) : secret_json(*info));
}

Answer SecretsHandler::replace(http::RoutedRequest request) {
  SANDLOT_CO_TRY(std::string body, co_await read_body(request.connection));
  SANDLOT_CO_TRY(SecretKey key, key_of(request.path["secret"], true));
  SANDLOT_CO_TRY(SecretChange change, parse_binding_change(body));
  SANDLOT_CO_TRY(SecretInfo info, co_await service_.update(std::move(key), std::move(change)));
  co_return answer_with(200, binding_json(info));
}

Answer SecretsHandler::update(http::RoutedRequest request) {
  SANDLOT_CO_TRY(std::string body, co_await read_body(request.connection));
  auto key = key_of(request.path["secret"], false);
  if (!key) co_return Failure(translate(std::move(key).error(), false));
  auto change = parse_secret_change(body);
  if (!change) co_return Failure(translate(std::move(change).error(), false));
  auto info = co_await service_.update(std::move(*key), std::move(*change));
  if (!info) co_return Failure(translate(std::move(info).error(), false));
  co_return answer_with(200, secret_json(*info));
}

Answer SecretsHandler::remove(http::RoutedRequest request) {
  bool novita = is_novita_client(request.head.headers);
  auto key = key_of(request.path["secret"], novita);
  if (!key) co_return Failure(translate(std::move(key).error(), novita));
  auto removed = co_await service_.remove(std::move(*key));
  if (!removed) co_return Failure(translate(std::move(removed).error(), novita));
  if (novita) co_return answer_with(200, deleted_json(*removed));
  co_return no_content();
}

}  // namespace fakeapi::cloud
