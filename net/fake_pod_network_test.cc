#include "net/fake_pod_network.h"

#include <gmock/gmock.h>

#include <thread>

#include "net/pod_network_conformance.h"
#include "tests/support/matchers.h"

namespace davit {
namespace {

using ::davit::testing::IsOk;
using ::davit::testing::StatusIs;
using ::testing::ElementsAre;
using Op = FakePodNetwork::Op;

class FakeUnderTest : public PodNetworkUnderTest {
 public:
  FakeUnderTest() { fake_.SetCapabilities({}); }
  PodNetwork& network() override { return fake_; }

 private:
  FakePodNetwork fake_{{"first", "second"}};
};

INSTANTIATE_TEST_SUITE_P(Fake, PodNetworkConformance, ::testing::Values([] {
                           return std::make_unique<FakeUnderTest>();
                         }));

TEST(FakePodNetwork, FailsOnceAndDoesNothing) {
  FakePodNetwork fake;
  fake.FailNext(Op::kCreateNetns, absl::ResourceExhaustedError("full"));
  EXPECT_THAT(fake.CreateNetns("a"),
              StatusIs(absl::StatusCode::kResourceExhausted, "full"));
  EXPECT_TRUE(fake.ListNetns()->empty());
  EXPECT_THAT(fake.CreateNetns("a"), IsOk());
}

TEST(FakePodNetwork, FailedDetachLeavesTheInterface) {
  FakePodNetwork fake;
  PodNetworkRequest request = {
      "a", "web", *fake.CreateNetns("a"), {{"default", "eth0"}}};
  ASSERT_THAT(fake.Attach(request), IsOk());
  fake.FailNext(Op::kDetach, absl::DeadlineExceededError("hangs"));
  EXPECT_THAT(fake.Detach(request),
              StatusIs(absl::StatusCode::kDeadlineExceeded));
  EXPECT_EQ(fake.InterfacesOf("a").size(), 1u);
  EXPECT_THAT(fake.Detach(request), IsOk());
  EXPECT_TRUE(fake.InterfacesOf("a").empty());
}

TEST(FakePodNetwork, AddressesAreUsedAgain) {
  FakePodNetwork fake;
  PodNetworkRequest a = {"a", "", *fake.CreateNetns("a"), {{"default", "e0"}}};
  PodNetworkRequest b = {"b", "", *fake.CreateNetns("b"), {{"default", "e0"}}};
  EXPECT_THAT(fake.Attach(a)->at(0).addresses, ElementsAre("172.16.28.2/24"));
  EXPECT_THAT(fake.Attach(b)->at(0).addresses, ElementsAre("172.16.28.3/24"));
  ASSERT_THAT(fake.Detach(a), IsOk());
  EXPECT_THAT(fake.Attach(a)->at(0).addresses, ElementsAre("172.16.28.2/24"));
}

TEST(FakePodNetwork, HangsUntilReleasedAndOthersGoOn) {
  FakePodNetwork fake;
  fake.HangNext(Op::kCreateNetns);
  absl::Status status = absl::UnknownError("");
  std::thread hanging([&] { status = fake.CreateNetns("a").status(); });
  fake.WaitUntilHanging(1);
  EXPECT_THAT(fake.CreateNetns("b"), IsOk());
  EXPECT_THAT(*fake.ListNetns(), ElementsAre("b"));
  fake.Release();
  hanging.join();
  EXPECT_THAT(status, IsOk());
  EXPECT_THAT(*fake.ListNetns(), ElementsAre("a", "b"));
}

TEST(FakePodNetwork, RecordsCalls) {
  FakePodNetwork fake;
  ASSERT_THAT(fake.CreateNetns("a"), IsOk());
  ASSERT_THAT(fake.RemoveNetns("b"), IsOk());
  EXPECT_THAT(fake.calls(),
              ElementsAre(FakePodNetwork::Call{Op::kCreateNetns, "a"},
                          FakePodNetwork::Call{Op::kRemoveNetns, "b"}));
}

}  // namespace
}  // namespace davit
