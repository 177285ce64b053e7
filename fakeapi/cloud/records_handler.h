// What was written down of sandboxes: their events and their logs. Used by cloud_api, as the other
// handlers; the records are behind EventLog and LogSource.
#pragma once

#include "emulator/base/clock.h"
#include "fakeapi/cloud/events.h"
#include "fakeapi/cloud/sandbox_logs.h"
#include "fakeapi/cloud/sandbox_service.h"
#include "fakeapi/http/router.h"

namespace fakeapi::cloud {

class RecordsHandler {
 public:
  // Null: nobody keeps them, and the routes answer 501.
  RecordsHandler(SandboxService& service, base::Clock& clock, EventLog* events, LogSource* logs)
      : service_(service), clock_(clock), events_(events), logs_(logs) {}

  using Answer = base::Task<http::Response>;

  Answer events(http::RoutedRequest request);
  Answer logs(http::RoutedRequest request);
  Answer logs_v2(http::RoutedRequest request);

 private:
  base::Task<std::vector<LogEntry>> lines(const http::RoutedRequest& request, LogQuery query);

  SandboxService& service_;
  base::Clock& clock_;
  EventLog* events_;
  LogSource* logs_;
};

}  // namespace fakeapi::cloud
