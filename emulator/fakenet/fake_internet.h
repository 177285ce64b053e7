// The internet of `--internet fake`: a network namespace of its own at the other end of the
// switch's uplink, in which every listed address answers and every other one is a host with all
// ports closed. Made by emulator/application, and by tests. Nothing in it can reach the machine.
// What it offers is described in docs/fake-internet.md.
//
// It goes with the process: the namespace is held by descriptors and by the bind mount
// `<run_dir>/internet.netns`, which is removed on destruction or, after a crash, by `gc`.
#pragma once

#include <filesystem>
#include <list>
#include <memory>
#include <optional>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/udp.hpp>

#include "emulator/base/result.h"
#include "emulator/base/task_group.h"
#include "emulator/base/unique_fd.h"
#include "emulator/fakenet/authority.h"
#include "emulator/fakenet/canary.h"
#include "emulator/fakenet/hosts.h"
#include "emulator/fakenet/packet_watch.h"
#include "emulator/proxy/tls.h"
#include "netfilter/network.h"

namespace emulator::fakenet {

class FakeInternet {
 public:
  // Makes the namespace, its link to the switch (which must have been created with an uplink) and
  // its services, and begins to serve. Blocking, tens of milliseconds.
  static base::Result<std::unique_ptr<FakeInternet>> create(
      boost::asio::any_io_executor executor,
      const std::filesystem::path& run_dir,
      const netfilter::SwitchNamespace& network,
      Hosts hosts,
      std::unique_ptr<Authority> authority);
  ~FakeInternet();
  FakeInternet(const FakeInternet&) = delete;
  FakeInternet& operator=(const FakeInternet&) = delete;

  // Closes every socket and waits for what is being served. Before destruction.
  boost::asio::awaitable<void> stop();

  const Hosts& hosts() const { return hosts_; }
  const Authority& authority() const { return *authority_; }
  int netns() const { return netns_.get(); }
  std::size_t connections() const { return connections_; }

  // Everything that has arrived by now.
  const Canary& canary();
  void clear_canary();

 private:
  struct TcpPort {
    boost::asio::ip::tcp::acceptor acceptor;
    const Host& host;
    FarEnd here;
    const Service& service;
  };
  struct UdpPort {
    boost::asio::ip::udp::socket socket;
    FarEnd here;
    const Service& service;
  };
  struct OpenPort {
    base::UniqueFd socket;
    const Host* host;
    FarEnd here;
    const Service* service;
  };

  FakeInternet(boost::asio::any_io_executor executor,
               Hosts hosts,
               std::unique_ptr<Authority> authority);
  base::Result<> make_namespace(const std::filesystem::path& mount);
  base::Result<> open_sockets();
  base::Result<OpenPort> open_port(const Host& host,
                                   const Ipv4& address,
                                   std::uint8_t protocol,
                                   std::uint16_t port,
                                   const Service& service) const;
  base::Result<> begin_to_serve();
  base::Result<const proxy::TlsContext*> tls_of(const Host& host);
  boost::asio::awaitable<void> accept_from(TcpPort& port);
  boost::asio::awaitable<void> serve(boost::asio::ip::tcp::socket client, TcpPort& port);
  boost::asio::awaitable<void> receive_from(UdpPort& port);
  boost::asio::awaitable<void> reply(UdpPort& port,
                                     dns::Bytes datagram,
                                     boost::asio::ip::udp::endpoint client);

  boost::asio::any_io_executor executor_;
  Hosts hosts_;
  std::unique_ptr<Authority> authority_;
  std::filesystem::path mount_;
  base::UniqueFd netns_;
  int link_index_ = 0;
  base::UniqueFd packet_socket_;
  std::list<OpenPort> opened_;  // until they are served
  std::list<TcpPort> tcp_;
  std::list<UdpPort> udp_;
  std::map<const Host*, std::unique_ptr<proxy::TlsContext>> tls_;
  Canary canary_;
  std::optional<PacketWatch> watch_;
  std::size_t connections_ = 0;
  dns::Bytes scratch_;  // of receive_from; nothing stays in it across an await
  base::TaskGroup tasks_;
};

}  // namespace emulator::fakenet
