// What the kernel's refusal of a question says, and what it does not.
#include "netfilter/netlink.h"

#include <cerrno>

#include <gtest/gtest.h>

namespace netfilter {
namespace {

TEST(Netlink, OnlyAMissingRouteMeansThatAnAddressIsNotLocal) {
  for (int none : {ENETUNREACH, EHOSTUNREACH, EACCES, EINVAL}) {
    auto local = local_by_error(none);
    ASSERT_TRUE(local) << none;
    EXPECT_FALSE(*local) << none;
  }
  for (int error : {ENOBUFS, ENOMEM, EPERM, EBUSY}) EXPECT_FALSE(local_by_error(error)) << error;
}

}  // namespace
}  // namespace netfilter
