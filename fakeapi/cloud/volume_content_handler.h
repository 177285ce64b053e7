// E2B's API of the files of a volume (contract-novita 7.4). The volume's own token opens it, no API
// key. Streams uploads and downloads; errors have a text as their code. Stateless; the machine is
// behind VolumeFiles.
#pragma once

#include "fakeapi/cloud/volume_service.h"
#include "fakeapi/http/router.h"

namespace fakeapi::cloud {

class VolumeContentHandler {
 public:
  explicit VolumeContentHandler(VolumeFiles& files) : files_(files) {}

  // Adds every route of /volumecontent.
  void add_to(http::Router& router);

 private:
  using Answer = base::Task<http::Response>;
  using Method = Answer (VolumeContentHandler::*)(http::RoutedRequest&);

  boost::asio::awaitable<void> answer(Method method, http::RoutedRequest request);
  base::Task<> authorise(const http::RoutedRequest& request);
  boost::asio::awaitable<void> download(http::RoutedRequest request);

  Answer list(http::RoutedRequest& request);
  Answer make_directory(http::RoutedRequest& request);
  Answer stat(http::RoutedRequest& request);
  Answer change(http::RoutedRequest& request);
  Answer remove(http::RoutedRequest& request);
  Answer upload(http::RoutedRequest& request);

  VolumeFiles& files_;
};

}  // namespace fakeapi::cloud
