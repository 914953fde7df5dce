#include "runtime/cgroup/pod_cgroup.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/base/file.h"
#include "runtime/cgroup/cgroup_record.h"
#include "tests/support/matchers.h"
#include "tests/support/temp_dir.h"

namespace davit {
namespace {

using ::davit::testing::IsOk;
using ::davit::testing::StatusIs;
using ::davit::testing::TempDir;
using ::testing::HasSubstr;

constexpr char kId[] = "6f1a2f3e-4b5c-4d6e-8f70-112233445566";

CgroupHierarchy V1(std::vector<std::string> controllers, std::string own) {
  std::string mount = "/cg/" + controllers[0];
  return {.v2 = false,
          .controllers = std::move(controllers),
          .mount_point = mount,
          .own_path = own,
          .own_dir = own == "/" ? mount : mount + own};
}

CgroupHierarchy V2(std::string own) {
  return {.v2 = true,
          .mount_point = "/cg/unified",
          .own_path = own,
          .own_dir = own == "/" ? "/cg/unified" : "/cg/unified" + own};
}

TEST(PodCgroupPlan, SplitsPayloadAndSupervisorWhereThePodMayWrite) {
  PodCgroup cgroup = PodCgroup::Plan(
      {V2("/"), V1({"memory"}, "/m/x"), V1({"name=systemd"}, "/u")}, "davit",
      kId, false);
  ASSERT_EQ(cgroup.dirs().size(), 3u);
  const CgroupDir& v2 = cgroup.dirs()[0];
  EXPECT_EQ(v2.base, std::string("/cg/unified/davit/") + kId);
  EXPECT_EQ(v2.payload, v2.base + "/payload");
  EXPECT_EQ(v2.supervisor, v2.base + "/supervisor");
  EXPECT_EQ(v2.retreat, "/cg/unified");
  EXPECT_FALSE(v2.hand_down);
  const CgroupDir& memory = cgroup.dirs()[1];
  EXPECT_EQ(memory.base, std::string("/cg/memory/m/x/davit/") + kId);
  EXPECT_EQ(memory.payload, memory.base + "/payload");
  EXPECT_EQ(memory.supervisor, "");
  const CgroupDir& systemd = cgroup.dirs()[2];
  EXPECT_EQ(systemd.payload,
            std::string("/cg/name=systemd/u/davit/") + kId + "/payload");
}

TEST(PodCgroupPlan, HandsControllersDownOnPureV2Only) {
  PodCgroup pure =
      PodCgroup::Plan({V2("/davitd.service/davit/agent")}, "davit", kId, true);
  ASSERT_EQ(pure.dirs().size(), 1u);
  EXPECT_TRUE(pure.dirs()[0].hand_down);
  // The agent has stepped into its leaf already: pods go beside it.
  EXPECT_EQ(pure.dirs()[0].base,
            std::string("/cg/unified/davitd.service/davit/") + kId);
  EXPECT_EQ(pure.dirs()[0].retreat, "/cg/unified/davitd.service/davit/agent");
}

TEST(PodCgroupPlan, SkipsUndelegatedControllersOfASystemdHost) {
  std::vector<CgroupHierarchy> hierarchies = {
      V1({"cpu", "cpuacct"}, "/"), V1({"memory"}, "/system.slice/d.service")};
  EXPECT_EQ(PodCgroup::Plan(hierarchies, "davit", kId, true).dirs().size(), 1u);
  EXPECT_EQ(PodCgroup::Plan(hierarchies, "davit", kId, false).dirs().size(),
            2u);
}

TEST(PodCgroup, SaysWhichLimitNoControllerCanKeep) {
  PodCgroup cgroup = PodCgroup::Plan({V2("/"), V1({"name=systemd"}, "/")},
                                     "davit", kId, false);
  EXPECT_THAT(cgroup.SetLimits({.memory_max_bytes = 1}),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("limit on memory")));
  EXPECT_THAT(cgroup.SetLimits({.cpu_millis = 1}),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("limit on cpu")));
  EXPECT_THAT(cgroup.SetLimits({.pids_max = 1}),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("limit on pids")));
  EXPECT_THAT(cgroup.SetLimits({}), IsOk());
}

TEST(CgroupRecord, RoundTrip) {
  TempDir dir;
  PodCgroup cgroup = PodCgroup::Plan({V2("/"), V1({"cpu", "cpuacct"}, "/x")},
                                     "davit", kId, false);
  ASSERT_THAT(WriteCgroupRecord(dir / "cgroups.json", cgroup), IsOk());
  ASSERT_OK_AND_ASSIGN(PodCgroup back,
                       ReadCgroupRecord(dir / "cgroups.json", kId));
  EXPECT_EQ(back.dirs(), cgroup.dirs());
}

TEST(CgroupRecord, RefusesWhatIsDamagedOrOfAnotherPod) {
  TempDir dir;
  std::string path = dir / "cgroups.json";
  EXPECT_THAT(ReadCgroupRecord(path, kId),
              StatusIs(absl::StatusCode::kNotFound));
  for (const char* text :
       {"", "{", "[]", "{\"version\":2,\"cgroups\":[]}", "{\"version\":1}",
        "{\"version\":1,\"cgroups\":[{}]}"}) {
    ASSERT_THAT(WriteFileAtomic(path, text), IsOk());
    EXPECT_THAT(ReadCgroupRecord(path, kId),
                StatusIs(absl::StatusCode::kDataLoss, HasSubstr(path)))
        << text;
  }
  PodCgroup cgroup = PodCgroup::Plan({V2("/")}, "davit", kId, false);
  ASSERT_THAT(WriteCgroupRecord(path, cgroup), IsOk());
  EXPECT_THAT(
      ReadCgroupRecord(path, "00000000-4b5c-4d6e-8f70-112233445566"),
      StatusIs(absl::StatusCode::kDataLoss, HasSubstr("is no cgroup of pod")));
  CgroupDir evil = cgroup.dirs()[0];
  evil.payload = evil.base + "/../../..";
  ASSERT_THAT(WriteCgroupRecord(path, PodCgroup({evil})), IsOk());
  EXPECT_THAT(ReadCgroupRecord(path, kId),
              StatusIs(absl::StatusCode::kDataLoss));
}

}  // namespace
}  // namespace davit
