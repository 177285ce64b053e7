// An io_context on a thread, for tests that talk to a service with blocking sockets.
#pragma once

#include <thread>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>

namespace emulator::dns {

class LoopThread {
 public:
  LoopThread() = default;
  // Declare it before the service, call stop(service) at the end of the test.
  void run() {
    thread_ = std::thread([this] { context.run(); });
  }
  template <class Service>
  void stop(Service& service) {
    boost::asio::co_spawn(context, service.stop(), boost::asio::use_future).get();
    guard_.reset();
    thread_.join();
  }
  boost::asio::io_context context{1};

 private:
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> guard_ =
      boost::asio::make_work_guard(context);
  std::thread thread_;
};

}  // namespace emulator::dns
