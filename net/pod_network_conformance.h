#ifndef DAVIT_NET_POD_NETWORK_CONFORMANCE_H_
#define DAVIT_NET_POD_NETWORK_CONFORMANCE_H_

#include <gmock/gmock.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

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

TEST_P(PodNetworkConformance, CapabilityThatNoPluginDeclaresIsRefused) {
  ASSERT_OK_AND_ASSIGN(std::string path, network().CreateNetns(pod_id_));
  PodNetworkRequest request = RequestFor(pod_id_, path);
  std::swap(request.networks[0], request.networks[1]);
  request.port_mappings = {{8080, 80}};
  EXPECT_THAT(network().Attach(request),
              testing::StatusIs(
                  absl::StatusCode::kFailedPrecondition,
                  ::testing::AllOf(::testing::HasSubstr("\"second\""),
                                   ::testing::HasSubstr("\"portMappings\""))));
  request.port_mappings.clear();
  request.bandwidth.ingress_rate = 1000;
  request.bandwidth.ingress_burst = 1000;
  EXPECT_THAT(network().Attach(request),
              testing::StatusIs(absl::StatusCode::kFailedPrecondition,
                                ::testing::HasSubstr("\"bandwidth\"")));
  request.bandwidth = {};
  request.networks[1].aliases = {"db"};
  EXPECT_THAT(
      network().Attach(request),
      testing::StatusIs(absl::StatusCode::kFailedPrecondition,
                        ::testing::AllOf(::testing::HasSubstr("\"first\""),
                                         ::testing::HasSubstr("\"aliases\""))));
  EXPECT_THAT(network().RemoveNetns(pod_id_), testing::IsOk());
}

TEST_P(PodNetworkConformance, DescribesANetworkWithItsPods) {
  ASSERT_OK_AND_ASSIGN(NetworkDetail detail,
                       network().DescribeNetwork("first"));
  EXPECT_EQ(detail.info.name, "first");
  EXPECT_THAT(detail.config, ::testing::HasSubstr("\"first\""));
  ASSERT_THAT(detail.plugins, ::testing::SizeIs(1));
  EXPECT_EQ(detail.plugins[0].type, detail.info.plugins[0]);
  EXPECT_NE(detail.plugins[0].path, "");
  EXPECT_THAT(detail.attached_pod_ids, ::testing::IsEmpty());
  ASSERT_OK_AND_ASSIGN(std::string path, network().CreateNetns(pod_id_));
  PodNetworkRequest request = RequestFor(pod_id_, path);
  ASSERT_THAT(network().Attach(request), testing::IsOk());
  ASSERT_OK_AND_ASSIGN(detail, network().DescribeNetwork("first"));
  EXPECT_THAT(detail.attached_pod_ids, ::testing::ElementsAre(pod_id_));
  EXPECT_THAT(network().Detach(request), testing::IsOk());
  EXPECT_THAT(network().RemoveNetns(pod_id_), testing::IsOk());
  EXPECT_THAT(network().DescribeNetwork("third"),
              testing::StatusIs(absl::StatusCode::kNotFound,
                                ::testing::HasSubstr("\"third\"")));
}

TEST_P(PodNetworkConformance, DetachManyAnswersForEachPod) {
  std::vector<PodNetworkRequest> requests;
  for (int i = 0; i < 3; ++i) {
    std::string pod_id = NewUuid();
    ASSERT_OK_AND_ASSIGN(std::string path, network().CreateNetns(pod_id));
    requests.push_back(RequestFor(pod_id, path));
    ASSERT_THAT(network().Attach(requests.back()), testing::IsOk());
  }
  std::vector<absl::Status> outcomes = network().DetachMany(requests);
  ASSERT_THAT(outcomes, ::testing::SizeIs(3));
  for (size_t i = 0; i < requests.size(); ++i) {
    EXPECT_THAT(outcomes[i], testing::IsOk());
    EXPECT_THAT(network().Check(requests[i]),
                testing::StatusIs(absl::StatusCode::kFailedPrecondition));
    EXPECT_THAT(network().RemoveNetns(requests[i].pod_id), testing::IsOk());
  }
  EXPECT_THAT(network().DetachMany({}), ::testing::IsEmpty());
}

TEST_P(PodNetworkConformance, GarbageIsWhatNoPodOwns) {
  std::string other = NewUuid();
  ASSERT_OK_AND_ASSIGN(std::string path, network().CreateNetns(pod_id_));
  ASSERT_OK_AND_ASSIGN(std::string other_path, network().CreateNetns(other));
  PodNetworkRequest stays = RequestFor(pod_id_, path);
  PodNetworkRequest goes = RequestFor(other, other_path);
  ASSERT_THAT(network().Attach(stays), testing::IsOk());
  ASSERT_THAT(network().Attach(goes), testing::IsOk());
  auto named = [](std::vector<GarbageItem> items) {
    std::vector<std::string> names;
    for (const GarbageItem& item : items) {
      EXPECT_THAT(item.outcome, testing::IsOk()) << item.kind << item.name;
      EXPECT_NE(item.reason, "");
      names.push_back(item.kind + " " + item.name);
    }
    return names;
  };
  auto the_others = ::testing::UnorderedElementsAre(
      "attachment first " + other + " eth0",
      "attachment second " + other + " eth1", "netns " + other_path);
  EXPECT_THAT(named(network().CollectGarbage({stays}, true)), the_others);
  EXPECT_THAT(network().Check(goes), testing::IsOk()) << "dry run";
  EXPECT_THAT(named(network().CollectGarbage({stays}, false)), the_others);
  EXPECT_THAT(network().CollectGarbage({stays}, false), ::testing::IsEmpty());
  EXPECT_THAT(network().Check(stays), testing::IsOk());
  EXPECT_THAT(*network().ListNetns(), ::testing::ElementsAre(pod_id_));
  EXPECT_THAT(network().CollectGarbage({}, false), ::testing::SizeIs(3));
  EXPECT_THAT(*network().ListNetns(), ::testing::IsEmpty());
}

}  // namespace davit

#endif  // DAVIT_NET_POD_NETWORK_CONFORMANCE_H_
