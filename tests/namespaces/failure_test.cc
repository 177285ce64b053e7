// A create that fails anywhere says where, and leaves no trace (TearDown of the fixture counts).
#include <fcntl.h>

#include <gmock/gmock.h>

#include "emulator/base/posix.h"
#include "tests/namespaces/fixture.h"

namespace namespaces_test {

using ::testing::HasSubstr;

class FailureTest : public RuntimeTest {
 protected:
  std::string failure(namespaces::ContainerSpec wanted) {
    auto container = await(runtime_->create(std::move(wanted)));
    EXPECT_FALSE(container);
    drain();
    return container ? "" : container.error().message();
  }
  // The runtime still works.
  void TearDown() override {
    if (runtime_) {
      EXPECT_TRUE(start("after"));
    }
    RuntimeTest::TearDown();
  }
};

TEST_F(FailureTest, MissingLayer) {
  auto wanted = spec("failing");
  wanted.rootfs.root_layers = {directory_ / "nothing"};
  EXPECT_THAT(failure(wanted), HasSubstr("layer " + (directory_ / "nothing").string()));
  EXPECT_EQ(cgroups_of("failing"), 0U);
}

TEST_F(FailureTest, LayerIsAFile) {
  auto wanted = spec("failing");
  wanted.rootfs.root_layers = {"/etc/passwd"};
  EXPECT_NE(failure(wanted), "");
}

TEST_F(FailureTest, NoLayer) {
  auto wanted = spec("failing");
  wanted.rootfs.root_layers.clear();
  EXPECT_THAT(failure(wanted), HasSubstr("no root layer"));
}

TEST_F(FailureTest, NetworkNamespaceIsSomethingElse) {
  auto wanted = spec("failing");
  auto other = base::open_file("/dev/null", O_RDONLY);
  wanted.netns_fd = other->get();
  EXPECT_THAT(failure(wanted), HasSubstr("enter network namespace"));
}

TEST_F(FailureTest, IdsOfTheMachineAreRefused) {
  auto wanted = spec("failing");
  wanted.ids.first = 0;
  EXPECT_THAT(failure(wanted), HasSubstr("id range"));
}

TEST_F(FailureTest, IdWithASlash) {
  EXPECT_THAT(failure(spec("../up")), HasSubstr("sandbox id"));
}

TEST_F(FailureTest, HostNameTooLong) {
  auto wanted = spec("failing");
  wanted.hostname = std::string(65, 'x');
  EXPECT_THAT(failure(wanted), HasSubstr("host name"));
}

TEST_F(FailureTest, StepInTheChildIsNamed) {
  // A file where a mount point has to be.
  std::filesystem::remove(directory_ / "layer/proc");
  ASSERT_TRUE(base::write_file(directory_ / "layer/proc", "x"));
  EXPECT_THAT(failure(spec("failing")), HasSubstr("mount proc: Not a directory"));
  std::filesystem::remove(directory_ / "layer/proc");
  EXPECT_EQ(cgroups_of("failing"), 0U);
}

TEST_F(FailureTest, IdInUseDoesNotHarmTheOther) {
  auto first = start("twice");
  ASSERT_TRUE(first);
  auto second = await(runtime_->create(spec("twice")));
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code(), base::Errc::kAlreadyExists);
  EXPECT_EQ(run_in(*first, 0, "touch /tmp/a && echo fine").text, "fine\n");
}

}  // namespace namespaces_test
