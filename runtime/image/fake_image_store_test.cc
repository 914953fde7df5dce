#include "runtime/image/fake_image_store.h"

#include <gmock/gmock.h>

#include <memory>
#include <string>

#include "runtime/image/image_store_conformance.h"
#include "tests/support/matchers.h"

namespace davit {
namespace {

using ::davit::testing::IsOk;
using ::davit::testing::StatusIs;

struct FakeBackend {
  std::unique_ptr<ImageStore> store = std::make_unique<FakeImageStore>();
  std::string web = "/images/web.tar";
  std::string db = "/images/db.tar";
};

}  // namespace

namespace testing {
INSTANTIATE_TYPED_TEST_SUITE_P(Fake, ImageStoreConformance, FakeBackend);
}  // namespace testing

namespace {

TEST(FakeImageStore, FailsOnceWhenTold) {
  FakeImageStore store;
  Image image = store.Add("nginx", {.cmd = {"nginx"}}, /*bootable=*/true,
                          {"/top", "/bottom"});
  EXPECT_TRUE(image.bootable);
  store.FailNextHold(absl::DataLossError("gone"));
  EXPECT_THAT(store.Hold("nginx"),
              StatusIs(absl::StatusCode::kDataLoss, "gone"));
  ASSERT_OK_AND_ASSIGN(auto hold, store.Hold("nginx"));
  EXPECT_THAT(hold->lower_dirs(), ::testing::ElementsAre("/top", "/bottom"));
  EXPECT_EQ(store.hold_count("nginx"), 1);
  hold.reset();
  EXPECT_EQ(store.hold_count("nginx"), 0);

  store.FailNextImport(absl::ResourceExhaustedError("disk is full"));
  EXPECT_THAT(store.Import({.path = "/x"}),
              StatusIs(absl::StatusCode::kResourceExhausted, "disk is full"));
  EXPECT_THAT(store.Import({.path = "/x"}), IsOk());
}

}  // namespace
}  // namespace davit
