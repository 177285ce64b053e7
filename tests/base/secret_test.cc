#include "emulator/base/secret.h"

#include <gtest/gtest.h>

namespace base {
namespace {

TEST(Secrets, AreTheSameByLengthAndContent) {
  EXPECT_TRUE(same_secret("", ""));
  EXPECT_TRUE(same_secret("abc", "abc"));
  EXPECT_FALSE(same_secret("abc", "abd"));
  EXPECT_FALSE(same_secret("abc", "abcabc"));
  EXPECT_FALSE(same_secret("abc", ""));
  EXPECT_FALSE(same_secret("", "abc"));
}

}  // namespace
}  // namespace base
