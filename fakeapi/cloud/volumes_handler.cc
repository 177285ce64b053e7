#include "fakeapi/cloud/volumes_handler.h"

#include "fakeapi/cloud/api_error.h"
#include "fakeapi/cloud/request.h"
#include "fakeapi/cloud/volume_bodies.h"

namespace fakeapi::cloud {

using base::Errc;
using base::Failure;
using Answer = VolumesHandler::Answer;

Answer VolumesHandler::create(http::RoutedRequest request) {
  SANDLOT_CO_TRY(std::string body, co_await read_body(request.connection));
  SANDLOT_CO_TRY(NewVolume wanted, parse_new_volume(body));
  auto made = co_await service_.create(std::move(wanted));
  // A taken name is 400 in the cloud, not 409 (e2b infra, api/internal/handlers/volume_create.go).
  if (!made && made.error().code() == Errc::kAlreadyExists) {
    co_return error_response(400, made.error().message());
  }
  if (!made) co_return Failure(std::move(made).error());
  co_return json_response(201, volume_json(*made));
}

Answer VolumesHandler::list(http::RoutedRequest) {
  SANDLOT_CO_TRY(auto volumes, co_await service_.list());
  co_return json_response(200, volume_list_json(volumes));
}

Answer VolumesHandler::get(http::RoutedRequest request) {
  SANDLOT_CO_TRY(VolumeInfo info, co_await service_.get(request.path["volumeID"]));
  co_return json_response(200, volume_json(info));
}

Answer VolumesHandler::set_quota(http::RoutedRequest request) {
  SANDLOT_CO_TRY(std::string body, co_await read_body(request.connection));
  SANDLOT_CO_TRY(auto quota, parse_volume_quota(body));
  std::string id = request.path["volumeID"];
  auto asked = quota ? service_.set_quota(id, *quota) : service_.get(id);
  SANDLOT_CO_TRY(VolumeInfo info, co_await std::move(asked));
  co_return json_response(200, volume_json(info));
}

Answer VolumesHandler::remove(http::RoutedRequest request) {
  SANDLOT_CO_CHECK(co_await service_.remove(request.path["volumeID"]));
  co_return no_content();
}

}  // namespace fakeapi::cloud
