// A sandbox asks 8.8.8.8; the forwarder answers out of the machine's resolver, by UDP and by TCP.
#include "emulator/dns/forwarder.h"
#include "netfilter/egress/egress_proxy.h"
#include "tests/emulator/dns/fake_resolver.h"
#include "tests/emulator/dns/loop_thread.h"
#include "tests/netfilter/support/world.h"

namespace emulator::dns {
namespace {

using netfilter::tests::World;

TEST(SwitchForwarder, AnswersASandboxThatAsks8888ByUdpAndTcp) {
  World world;
  // The machine's resolver: an address of the internet, reached over the uplink.
  base::UniqueFd udp = netfilter::tests::socket_in(world.internet.get(), SOCK_DGRAM);
  ASSERT_TRUE(bind_to(udp.get(), "1.1.1.1", 53, SOCK_DGRAM));
  base::UniqueFd tcp = netfilter::tests::socket_in(world.internet.get(), SOCK_STREAM);
  ASSERT_TRUE(bind_to(tcp.get(), "1.1.1.1", 53, SOCK_STREAM));
  FakeResolver resolver(std::move(udp), std::move(tcp), &FakeResolver::answer_with_a);

  LoopThread loop;
  Forwarder forwarder(loop.context.get_executor(),
                      [] { return parse_resolv_conf("nameserver 1.1.1.1\n"); }, {});
  ASSERT_TRUE(forwarder.start(*world.network));
  netfilter::egress::EgressProxy::Hooks hooks;
  hooks.sandbox_of = [](const std::string&) { return netfilter::egress::SandboxRef{"a"}; };
  hooks.serve_dns = [&forwarder](netfilter::egress::Connection& connection) {
    return forwarder.serve_stream(connection.client, {connection.sent, connection.received});
  };
  netfilter::egress::EgressProxy proxy(loop.context.get_executor(), {}, std::move(hooks));
  ASSERT_TRUE(proxy.start(*world.network));
  loop.run();

  Bytes query = make_query("example.com", kTypeA);
  base::UniqueFd client = netfilter::tests::socket_in(world.a.netns.get(), SOCK_DGRAM);
  Bytes reply = exchange_udp(client.get(), netfilter::tests::address_of("8.8.8.8", 53), query);
  EXPECT_TRUE(answers(reply, query));
  EXPECT_EQ(tail_of(reply, 4), (Bytes{93, 184, 216, 34}));

  auto stream = netfilter::tests::connect_from(world.a.netns.get(), "8.8.8.8", 53);
  ASSERT_TRUE(stream);
  EXPECT_EQ(tail_of(exchange_tcp(stream->get(), query), 4), (Bytes{93, 184, 216, 34}));
  EXPECT_EQ(resolver.asked(), 2);
  stream->reset();

  boost::asio::co_spawn(loop.context, proxy.stop(), boost::asio::use_future).get();
  loop.stop(forwarder);
}

}  // namespace
}  // namespace emulator::dns
