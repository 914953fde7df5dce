#ifndef DAVIT_NET_POD_NETWORK_CONFORMANCE_H_
#define DAVIT_NET_POD_NETWORK_CONFORMANCE_H_

#include <gmock/gmock.h>

#include <functional>
#include <memory>
#include <string>

#include "net/pod_network.h"
#include "runtime/base/uuid.h"
#include "tests/support/matchers.h"

namespace davit {

// A PodNetwork that has the networks "first" and "second" (in this order of
// their files), and whatever it stands on.
class PodNetworkUnderTest {
 public:
  virtual ~PodNetworkUnderTest() = default;
  virtual PodNetwork& network() = 0;
};

using PodNetworkFactory = std::function<std::unique_ptr<PodNetworkUnderTest>()>;

// What pod_network.h promises of every implementation. Instantiate it with
// INSTANTIATE_TEST_SUITE_P(Name, PodNetworkConformance, testing::Values(…)).
class PodNetworkConformance
    : public ::testing::TestWithParam<PodNetworkFactory> {
 protected:
  PodNetwork& network() { return under_test_->network(); }

  PodNetworkRequest RequestFor(const std::string& pod_id,
                               const std::string& netns_path) {
    return {pod_id, "web", netns_path, {{"first", "eth0"}, {"second", "eth1"}}};
  }

  const std::string pod_id_ = NewUuid();

 private:
  std::unique_ptr<PodNetworkUnderTest> under_test_ = GetParam()();
};

TEST_P(PodNetworkConformance, NetnsIsMadeListedAndRemoved) {
  ASSERT_OK_AND_ASSIGN(std::string path, network().CreateNetns(pod_id_));
  EXPECT_THAT(path, ::testing::EndsWith("/cni-" + pod_id_));
  ASSERT_OK_AND_ASSIGN(std::vector<std::string> pods, network().ListNetns());
  EXPECT_THAT(pods, ::testing::ElementsAre(pod_id_));
  EXPECT_THAT(network().RemoveNetns(pod_id_), testing::IsOk());
  ASSERT_OK_AND_ASSIGN(pods, network().ListNetns());
  EXPECT_THAT(pods, ::testing::IsEmpty());
}

TEST_P(PodNetworkConformance, SecondCreateNetnsIsRefused) {
  ASSERT_OK_AND_ASSIGN(std::string path, network().CreateNetns(pod_id_));
  EXPECT_THAT(network().CreateNetns(pod_id_),
              testing::StatusIs(absl::StatusCode::kAlreadyExists,
                                ::testing::HasSubstr(path)));
  EXPECT_THAT(network().RemoveNetns(pod_id_), testing::IsOk());
}

TEST_P(PodNetworkConformance, RemoveNetnsIsContentWithNothing) {
  EXPECT_THAT(network().RemoveNetns(pod_id_), testing::IsOk());
}

TEST_P(PodNetworkConformance, AttachCheckDetach) {
  ASSERT_OK_AND_ASSIGN(std::string path, network().CreateNetns(pod_id_));
  PodNetworkRequest request = RequestFor(pod_id_, path);
  ASSERT_OK_AND_ASSIGN(std::vector<InterfaceStatus> interfaces,
                       network().Attach(request));
  ASSERT_EQ(interfaces.size(), 2u);
  EXPECT_EQ(interfaces[0].network, "first");
  EXPECT_EQ(interfaces[0].ifname, "eth0");
  EXPECT_EQ(interfaces[1].network, "second");
  EXPECT_EQ(interfaces[1].ifname, "eth1");
  EXPECT_THAT(interfaces[0].addresses, ::testing::SizeIs(1));
  EXPECT_NE(interfaces[0].addresses, interfaces[1].addresses);
  EXPECT_THAT(network().Check(request), testing::IsOk());
  EXPECT_THAT(network().Detach(request), testing::IsOk());
  EXPECT_THAT(network().Check(request),
              testing::StatusIs(absl::StatusCode::kFailedPrecondition,
                                ::testing::HasSubstr("first")));
  EXPECT_THAT(network().Detach(request), testing::IsOk()) << "again";
  EXPECT_THAT(network().RemoveNetns(pod_id_), testing::IsOk());
}

TEST_P(PodNetworkConformance, DetachWorksWithoutTheNetns) {
  ASSERT_OK_AND_ASSIGN(std::string path, network().CreateNetns(pod_id_));
  PodNetworkRequest request = RequestFor(pod_id_, path);
  ASSERT_THAT(network().Attach(request), testing::IsOk());
  EXPECT_THAT(network().RemoveNetns(pod_id_), testing::IsOk());
  EXPECT_THAT(network().Detach(request), testing::IsOk());
}

TEST_P(PodNetworkConformance, SecondAttachIsRefusedAndFirstOneStays) {
  ASSERT_OK_AND_ASSIGN(std::string path, network().CreateNetns(pod_id_));
  PodNetworkRequest request = RequestFor(pod_id_, path);
  ASSERT_THAT(network().Attach(request), testing::IsOk());
  EXPECT_THAT(network().Attach(request),
              testing::StatusIs(absl::StatusCode::kAlreadyExists,
                                ::testing::HasSubstr(pod_id_)));
  EXPECT_THAT(network().Check(request), testing::IsOk());
  EXPECT_THAT(network().Detach(request), testing::IsOk());
  EXPECT_THAT(network().RemoveNetns(pod_id_), testing::IsOk());
}

TEST_P(PodNetworkConformance, UnknownNetworkIsNotFoundBeforeAnythingIsDone) {
  ASSERT_OK_AND_ASSIGN(std::string path, network().CreateNetns(pod_id_));
  PodNetworkRequest request = RequestFor(pod_id_, path);
  request.networks[1].network = "third";
  EXPECT_THAT(network().Attach(request),
              testing::StatusIs(
                  absl::StatusCode::kNotFound,
                  ::testing::AllOf(::testing::HasSubstr("\"third\""),
                                   ::testing::HasSubstr("first, second"))));
  request.networks.pop_back();
  EXPECT_THAT(network().Check(request),
              testing::StatusIs(absl::StatusCode::kFailedPrecondition))
      << "\"first\" was attached";
  EXPECT_THAT(network().RemoveNetns(pod_id_), testing::IsOk());
}

TEST_P(PodNetworkConformance, OneIfnameForTwoNetworksIsRefused) {
  ASSERT_OK_AND_ASSIGN(std::string path, network().CreateNetns(pod_id_));
  PodNetworkRequest request = RequestFor(pod_id_, path);
  request.networks[1].ifname = "eth0";
  EXPECT_THAT(network().Attach(request),
              testing::StatusIs(absl::StatusCode::kInvalidArgument,
                                ::testing::HasSubstr("\"eth0\"")));
  EXPECT_THAT(network().RemoveNetns(pod_id_), testing::IsOk());
}

TEST_P(PodNetworkConformance, AttachNeedsTheNetns) {
  PodNetworkRequest request = RequestFor(pod_id_, "/nowhere/cni-" + pod_id_);
  EXPECT_THAT(network().Attach(request),
              testing::StatusIs(absl::StatusCode::kFailedPrecondition,
                                ::testing::HasSubstr("/nowhere")));
}

TEST_P(PodNetworkConformance, DetachOfUnknownNetworkIsNothingToDo) {
  PodNetworkRequest request = RequestFor(pod_id_, "");
  request.networks = {{"third", "eth0"}};
  EXPECT_THAT(network().Detach(request), testing::IsOk());
}

TEST_P(PodNetworkConformance, ListsNetworksInOrder) {
  std::vector<NetworkInfo> infos = network().ListNetworks();
  ASSERT_EQ(infos.size(), 2u);
  EXPECT_EQ(infos[0].name, "first");
  EXPECT_EQ(infos[1].name, "second");
  EXPECT_EQ(infos[0].error, "");
  EXPECT_THAT(infos[0].plugins, ::testing::Not(::testing::IsEmpty()));
}

}  // namespace davit

#endif  // DAVIT_NET_POD_NETWORK_CONFORMANCE_H_
