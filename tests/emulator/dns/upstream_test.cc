#include "emulator/dns/upstream.h"

#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include <gtest/gtest.h>

#include "emulator/base/posix.h"

namespace emulator::dns {
namespace {

std::vector<std::string> addresses_in(const Servers& servers) {
  std::vector<std::string> texts;
  for (const auto& server : servers) {
    EXPECT_EQ(server.port(), 53);
    texts.push_back(server.address().to_string());
  }
  return texts;
}

TEST(ResolvConf, NamesItsServersInOrder) {
  EXPECT_EQ(
      addresses_in(parse_resolv_conf("# made by hand\nsearch example.com\nnameserver 10.0.0.2\n"
                                     "nameserver\t::1 # v6\noptions edns0\n")),
      (std::vector<std::string>{"10.0.0.2", "::1"}));
}

TEST(ResolvConf, KeepsThreeAndSkipsWhatIsNoAddress) {
  EXPECT_EQ(addresses_in(parse_resolv_conf(
                "nameserver example.com\nnameserver 1.1.1.1\nnameserver\nnameserver 2.2.2.2\r\n"
                "nameserver9.9.9.9\nnameserver 3.3.3.3\nnameserver 4.4.4.4")),
            (std::vector<std::string>{"1.1.1.1", "2.2.2.2", "3.3.3.3"}));
  EXPECT_TRUE(parse_resolv_conf("").empty());
}

TEST(HostResolvers, ReadTheFileAgainWhenItHasChanged) {
  std::string pattern = (std::filesystem::temp_directory_path() / "sandlot-resolv-XXXXXX").string();
  ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
  std::filesystem::path file = std::filesystem::path(pattern) / "resolv.conf";
  HostResolvers resolvers(file);
  EXPECT_TRUE(resolvers.servers().empty());
  ASSERT_TRUE(base::write_file(file, "nameserver 1.1.1.1\n"));
  EXPECT_EQ(addresses_in(resolvers.servers()), std::vector<std::string>{"1.1.1.1"});
  ASSERT_TRUE(base::write_file(file, "nameserver 9.9.9.9\nnameserver 8.8.8.8\n"));
  EXPECT_EQ(addresses_in(resolvers.servers()), (std::vector<std::string>{"9.9.9.9", "8.8.8.8"}));
  std::filesystem::remove(file);
  EXPECT_TRUE(resolvers.servers().empty());
  std::filesystem::remove_all(pattern);
}

}  // namespace
}  // namespace emulator::dns
