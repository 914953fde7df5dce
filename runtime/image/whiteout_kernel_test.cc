// Whiteouts as a pod would see them: layers are unpacked, mounted by the
// kernel's overlayfs and listed.

#include <gmock/gmock.h>

#include <filesystem>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "runtime/image/tar_builder.h"
#include "runtime/image/unpack_for_test.h"
#include "runtime/rootfs/private_mounts.h"
#include "runtime/rootfs/rootfs.h"
#include "tests/support/matchers.h"
#include "tests/support/temp_dir.h"

namespace davit {
namespace {

using ::davit::testing::InPrivateMounts;
using ::davit::testing::IsOk;
using ::davit::testing::TarBuilder;
using ::davit::testing::TempDir;
using ::davit::testing::UnpackForTest;
using ::testing::ElementsAre;
using ::testing::UnorderedElementsAre;

class WhiteoutTest : public ::testing::Test {
 protected:
  std::vector<std::string> Merge(const std::vector<TarBuilder>& bottom_first) {
    OverlaySpec spec;
    for (const TarBuilder& tar : bottom_first) {
      std::string layer = absl::StrCat(dir_.path(), "/", ++count_);
      EXPECT_THAT(UnpackForTest(tar.Build(), layer), IsOk());
      spec.lower_dirs.insert(spec.lower_dirs.begin(), layer);
    }
    std::string base = absl::StrCat(dir_.path(), "/m", ++count_);
    spec.upper_dir = base + "/upper";
    spec.work_dir = base + "/work";
    spec.target = base + "/merged";
    std::vector<std::string> seen;
    InPrivateMounts([&] {
      ASSERT_THAT(MountOverlay(spec), IsOk());
      for (const auto& item :
           std::filesystem::recursive_directory_iterator(spec.target)) {
        seen.push_back(std::filesystem::relative(item.path(), spec.target));
      }
    });
    return seen;
  }

 private:
  TempDir dir_;
  int count_ = 0;
};

TEST_F(WhiteoutTest, HidesFilesAndTrees) {
  TarBuilder lower;
  lower.File("gone", "x").Dir("tree").File("tree/x").File("kept");
  EXPECT_THAT(Merge({lower, TarBuilder().File(".wh.gone").File(".wh.tree")}),
              ElementsAre("kept"));
}

TEST_F(WhiteoutTest, OpaqueHidesWhatIsBelowInAnyOrder) {
  TarBuilder lower;
  lower.Dir("d").File("d/old").File("other");
  TarBuilder first, last, alone;
  first.Dir("d").File("d/.wh..wh..opq").File("d/new");
  last.Dir("d").File("d/new").File("d/.wh..wh..opq");
  alone.File("d/.wh..wh..opq");
  EXPECT_THAT(Merge({lower, first}),
              UnorderedElementsAre("d", "d/new", "other"));
  EXPECT_THAT(Merge({lower, last}),
              UnorderedElementsAre("d", "d/new", "other"));
  EXPECT_THAT(Merge({lower, alone}), UnorderedElementsAre("d", "other"));
}

TEST_F(WhiteoutTest, ConcernsOnlyLowerLayers) {
  TarBuilder lower;
  lower.Dir("d").File("d/old").File("f", "old");
  TarBuilder entry_first, whiteout_first;
  entry_first.Dir("d").File("d/new").File(".wh.d").File("f").File(".wh.f");
  whiteout_first.File(".wh.d").Dir("d").File("d/new").File(".wh.f").File("f");
  EXPECT_THAT(Merge({lower, entry_first}),
              UnorderedElementsAre("d", "d/new", "f"));
  EXPECT_THAT(Merge({lower, whiteout_first}),
              UnorderedElementsAre("d", "d/new", "f"));
  // The same without an entry for the directory itself.
  EXPECT_THAT(Merge({lower, TarBuilder().File(".wh.d").File("d/new")}),
              UnorderedElementsAre("d", "d/new", "f"));
}

TEST_F(WhiteoutTest, FileReplacedByDirectoryHidesTheLowerDirectory) {
  TarBuilder lower;
  lower.Dir("d").File("d/old");
  EXPECT_THAT(Merge({lower, TarBuilder().File("d").Dir("d").File("d/new")}),
              UnorderedElementsAre("d", "d/new"));
}

TEST_F(WhiteoutTest, AufsRecordsAndRepeatsAreIgnored) {
  TarBuilder lower;
  lower.File("x").File("y");
  TarBuilder upper;
  upper.Dir(".wh..wh.plnk").File(".wh..wh.aufs").File(".wh.x").File(".wh.x");
  EXPECT_THAT(Merge({lower, upper}), ElementsAre("y"));
}

TEST_F(WhiteoutTest, HiddenThingsCanComeBack) {
  TarBuilder lower;
  lower.Dir("d").File("d/old").File("f");
  TarBuilder middle, upper;
  middle.File(".wh.d").File(".wh.f");
  upper.Dir("d").File("d/new").File("f");
  EXPECT_THAT(Merge({lower, middle, upper}),
              UnorderedElementsAre("d", "d/new", "f"));
}

}  // namespace
}  // namespace davit
