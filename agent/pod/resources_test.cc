#include "agent/pod/resources.h"

#include "tests/support/matchers.h"

namespace davit {
namespace {

using ::davit::testing::IsOk;
using ::davit::testing::StatusIs;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr uint64_t kMi = 1 << 20;

PodSpec Spec(std::vector<ResourceRequirements> containers,
             ResourceRequirements pod = {}) {
  PodSpec spec;
  for (ResourceRequirements& resources : containers) {
    ContainerSpec container;
    container.resources = std::move(resources);
    spec.containers.push_back(std::move(container));
  }
  spec.resources = std::move(pod);
  return spec;
}

void ExpectFault(const PodSpec& spec, const std::string& message) {
  EXPECT_THAT(CheckResources(spec), StatusIs(absl::StatusCode::kInvalidArgument,
                                             StartsWith(message)));
}

TEST(CheckResources, NamesTheFieldThatCannotBe) {
  EXPECT_THAT(CheckResources(Spec({{}})), IsOk());
  EXPECT_THAT(CheckResources(Spec({{{{"cpu", "0.5"}, {"memory", "1G"}},
                                    {{"cpu", "500m"}, {"memory", "1e8"}}}},
                                  {{{"cpu", "2"}}, {{"cpu", "1"}}})),
              IsOk());
  ExpectFault(Spec({{}}, {{{"gpu", "1"}}, {}}),
              "spec.resources.limits[\"gpu\"]: not supported");
  ExpectFault(Spec({{}, {{{"cpu", "much"}}, {}}}),
              "spec.containers[1].resources.limits[\"cpu\"]: \"much\" is not");
  ExpectFault(Spec({{{}, {{"memory", "0"}}}}),
              "spec.containers[0].resources.requests[\"memory\"]: must be");
  ExpectFault(
      Spec({{{{"cpu", "20000"}}, {}}}),
      "spec.containers[0].resources.limits[\"cpu\"]: \"20000\" is more");
  ExpectFault(Spec({{{{"cpu", "100m"}}, {{"cpu", "0.2"}}}}),
              "spec.containers[0].resources.requests[\"cpu\"]: \"0.2\" is more "
              "than the limit \"100m\"");
  ExpectFault(Spec({{}}, {{{"memory", "8Mi"}}, {}}),
              "spec.resources.limits[\"memory\"]: a pod needs at least 16Mi");
}

TEST(CheckResources, ContainersFitIntoTheirPod) {
  ExpectFault(
      Spec({{{{"memory", "2Gi"}}, {}}}, {{{"memory", "1Gi"}}, {}}),
      "spec.containers[0].resources.limits[\"memory\"]: \"2Gi\" is more "
      "than the pod's \"1Gi\"");
  ExpectFault(Spec({{{}, {{"cpu", "1"}}}, {{}, {{"cpu", "1"}}}},
                   {{{"cpu", "1500m"}}, {}}),
              "spec.resources.limits[\"cpu\"]: is less than its containers");
  ExpectFault(Spec({{{}, {{"cpu", "1"}}}}, {{}, {{"cpu", "1m"}}}),
              "spec.resources.requests[\"cpu\"]: is less than its containers");
}

TEST(PodLimits, AreThePodsOwnOrTheSumIfAllSayIt) {
  EXPECT_EQ(PodLimits(Spec({{}})), CgroupLimits());
  ResourceRequirements small = {{{"memory", "64Mi"}, {"cpu", "500m"}}, {}};
  CgroupLimits limits = PodLimits(Spec({small, small}));
  EXPECT_EQ(limits.memory_max_bytes, (128 + 16) * kMi);
  EXPECT_EQ(limits.cpu_millis, 1000u);
  // One that says nothing may use all.
  limits = PodLimits(Spec({small, {}}));
  EXPECT_EQ(limits.memory_max_bytes, 0u);
  EXPECT_EQ(limits.cpu_millis, 0u);
  limits = PodLimits(
      Spec({small, {}}, {{{"memory", "256Mi"}, {"cpu", "1.25"}}, {}}));
  EXPECT_EQ(limits.memory_max_bytes, 256 * kMi);
  EXPECT_EQ(limits.cpu_millis, 1250u);
  EXPECT_EQ(PodLimits(Spec({})).memory_max_bytes, 0u);
}

// As kubelet computes cpu.weight from requests.
TEST(PodLimits, WeightComesFromRequests) {
  EXPECT_EQ(PodLimits(Spec({{{}, {{"cpu", "1"}}}})).cpu_weight, 39u);
  EXPECT_EQ(PodLimits(Spec({{{}, {{"cpu", "1m"}}}})).cpu_weight, 1u);
  EXPECT_EQ(PodLimits(Spec({{{{"cpu", "2"}}, {}}})).cpu_weight, 79u);
  EXPECT_EQ(PodLimits(Spec({{{}, {{"cpu", "1"}}}}, {{}, {{"cpu", "256"}}}))
                .cpu_weight,
            10000u);
}

TEST(LimitsOfApp, AreItsOwn) {
  AppLimits limits =
      LimitsOfApp({{{"memory", "64Mi"}, {"cpu", "0.29"}}, {{"cpu", "100m"}}});
  EXPECT_EQ(limits.memory_max_bytes, 64 * kMi);
  EXPECT_EQ(limits.cpu_millis, 290u);
  EXPECT_EQ(limits.cpu_weight, 4u);
  EXPECT_EQ(LimitsOfApp({}), AppLimits());
}

}  // namespace
}  // namespace davit
