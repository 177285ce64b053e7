// The listening half of httpbin: accepts, and serves each connection with answer(). Used by the
// agent. Lives on one executor, with which it ends.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>

#include "emulator/base/result.h"
#include "emulator/base/task_group.h"
#include "emulator/base/unique_fd.h"

namespace fakeapi::httpbin {

class Server {
 public:
  explicit Server(boost::asio::any_io_executor executor);

  bool started() const { return acceptor_.is_open(); }
  // `listener` is a TCP socket that listens already.
  base::Result<> start(base::UniqueFd listener);
  // Ends what is being served. Before destruction, unless the executor has stopped.
  boost::asio::awaitable<void> stop();

 private:
  boost::asio::awaitable<void> accept();

  boost::asio::ip::tcp::acceptor acceptor_;
  base::TaskGroup tasks_;
};

}  // namespace fakeapi::httpbin
