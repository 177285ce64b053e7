// Ids and tokens that can be foretold, and those that cannot.
#include "emulator/base/ids.h"

#include <gtest/gtest.h>

namespace base {
namespace {

TEST(Ids, AreTheSameAgainAfterTheSameSeedAndOnlyThen) {
  EXPECT_NE(make_sandbox_id(), make_sandbox_id());
  seed_ids(7);
  std::string id = make_sandbox_id();
  std::string token = make_access_token();
  std::string second = make_sandbox_id();
  EXPECT_TRUE(is_sandbox_id(id));
  EXPECT_EQ(id.size(), 21U);
  EXPECT_EQ(token.size(), 64U);
  EXPECT_NE(id, second);
  seed_ids(7);
  EXPECT_EQ(make_sandbox_id(), id);
  // A token more or less changes no id; names of files are never foretold.
  EXPECT_EQ(make_sandbox_id(), second);
  EXPECT_EQ(make_access_token(), token);
  EXPECT_NE(random_id(20), random_id(20));
  seed_ids(8);
  EXPECT_NE(make_sandbox_id(), id);
}

}  // namespace
}  // namespace base
