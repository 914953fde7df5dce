#include "runtime/cgroup/pod_scope.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "runtime/base/file.h"
#include "runtime/cgroup/cgroup_record.h"
#include "runtime/cgroup/host_systemd.h"
#include "tests/support/matchers.h"
#include "tests/support/temp_dir.h"

namespace davit {
namespace {

using ::davit::testing::IsOk;
using ::davit::testing::StatusIs;
using ::davit::testing::TempDir;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr char kId[] = "6f1a2f3e-4b5c-4d6e-8f70-112233445566";
constexpr char kScope[] = "davit-6f1a2f3e-4b5c-4d6e-8f70-112233445566.scope";

CgroupHierarchy At(std::vector<std::string> controllers, std::string mount,
                   std::string own) {
  return {.v2 = controllers.empty(),
          .controllers = std::move(controllers),
          .mount_point = mount,
          .own_path = own,
          .own_dir = own == "/" ? mount : mount + own};
}

TEST(PodScope, NamesUnitsAsSystemdDoes) {
  EXPECT_EQ(PodScopeName(kId), kScope);
  EXPECT_EQ(PodSliceName("davit"), "davit.slice");
  EXPECT_EQ(SlicePath("davit.slice"), "davit.slice");
  EXPECT_EQ(SlicePath("a-b-c.slice"), "a.slice/a-b.slice/a-b-c.slice");
}

TEST(PlanInScope, UsesTheShimsPlaceInEachHierarchyAndSkipsTheRest) {
  std::string path = absl::StrCat("/davit.slice/", kScope);
  PodCgroup cgroup = PlanInScope(
      {At({}, "/cg/unified", path), At({"memory"}, "/cg/memory", path),
       At({"name=systemd"}, "/cg/systemd", path),
       At({"freezer"}, "/cg/fr", "/"),
       // Delegated to somebody else only.
       At({"cpu"}, "/cg/cpu", "/davit.slice")},
      kScope);
  ASSERT_EQ(cgroup.dirs().size(), 3u);
  for (const CgroupDir& dir : cgroup.dirs()) {
    EXPECT_EQ(dir.base, dir.mount_point + path);
    EXPECT_EQ(dir.payload, dir.base + "/payload");
    EXPECT_EQ(dir.supervisor, dir.base + "/supervisor");
    EXPECT_EQ(dir.retreat, "");
    EXPECT_TRUE(dir.in_scope);
    EXPECT_FALSE(dir.hand_down) << "v1 has the controllers";
  }
}

TEST(PlanInScope, HandsControllersDownOnPureV2) {
  PodCgroup cgroup = PlanInScope(
      {At({}, "/sys/fs/cgroup", absl::StrCat("/a.slice/", kScope))}, kScope);
  ASSERT_EQ(cgroup.dirs().size(), 1u);
  EXPECT_TRUE(cgroup.dirs()[0].hand_down);
}

TEST(PlanInScope, HasNothingForAProcessThatIsElsewhere) {
  EXPECT_THAT(
      PlanInScope({At({}, "/cg", "/system.slice/davitd.service")}, kScope)
          .dirs(),
      IsEmpty());
}

TEST(PredictInScope, StartsAtTheRootThatPid1Manages) {
  PodCgroup cgroup = PredictInScope(
      {At({}, "/cg/unified", "/init.scope"), At({"memory"}, "/cg/memory", "/"),
       At({"pids"}, "/cg/pids", "/container/init.scope")},
      "davit-test.slice", kScope);
  std::vector<std::string> bases;
  for (const CgroupDir& dir : cgroup.dirs()) bases.push_back(dir.base);
  std::string tail = absl::StrCat("/davit.slice/davit-test.slice/", kScope);
  EXPECT_THAT(bases, ElementsAre("/cg/unified" + tail, "/cg/memory" + tail,
                                 "/cg/pids/container" + tail));
}

TEST(ListPodScopes, FindsScopesOfPodsAndNothingElse) {
  TempDir dir;
  std::string slice = dir / "davit.slice";
  for (const std::string& name :
       {std::string(kScope), std::string("davit-x.scope"),
        std::string("other.scope"), std::string(kId)}) {
    ASSERT_THAT(MakeDirectories(absl::StrCat(slice, "/", name)), IsOk());
  }
  std::vector<CgroupHierarchy> pid1 = {
      {.v2 = true, .own_dir = dir.path() + "/init.scope"}};
  ASSERT_OK_AND_ASSIGN(auto ids, ListPodScopes(pid1, "davit.slice"));
  EXPECT_THAT(ids, ElementsAre(kId));
  ASSERT_OK_AND_ASSIGN(ids, ListPodScopes(pid1, "none.slice"));
  EXPECT_THAT(ids, IsEmpty());
}

TEST(CgroupRecord, KeepsScopesAndRefusesThoseOfAnotherPod) {
  TempDir dir;
  std::string path = dir / "cgroups.json";
  PodCgroup cgroup = PlanInScope(
      {At({}, "/cg", absl::StrCat("/davit.slice/", kScope))}, kScope);
  ASSERT_THAT(WriteCgroupRecord(path, cgroup), IsOk());
  ASSERT_OK_AND_ASSIGN(PodCgroup back, ReadCgroupRecord(path, kId));
  EXPECT_EQ(back.dirs(), cgroup.dirs());
  EXPECT_THAT(ReadCgroupRecord(path, "00000000-4b5c-4d6e-8f70-112233445566"),
              StatusIs(absl::StatusCode::kDataLoss));
  CgroupDir outside = cgroup.dirs()[0];
  outside.in_scope = false;
  ASSERT_THAT(WriteCgroupRecord(path, PodCgroup({outside})), IsOk());
  EXPECT_THAT(ReadCgroupRecord(path, kId),
              StatusIs(absl::StatusCode::kDataLoss));
}

TEST(MachineName, FitsAHostName) {
  EXPECT_EQ(MachineName("web", kId), "web");
  EXPECT_EQ(MachineName(std::string(64, 'a'), kId), std::string(64, 'a'));
  EXPECT_EQ(MachineName(std::string(65, 'a'), kId),
            std::string(55, 'a') + "-6f1a2f3e");
  EXPECT_EQ(MachineName(std::string(53, 'a') + "-.bbbbbbbbbbbb", kId),
            std::string(53, 'a') + "-6f1a2f3e");
}

}  // namespace
}  // namespace davit
