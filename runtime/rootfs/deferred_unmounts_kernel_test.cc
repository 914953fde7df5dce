#include <gmock/gmock.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <filesystem>
#include <memory>
#include <set>
#include <string>

#include "absl/strings/str_cat.h"
#include "runtime/base/file.h"
#include "runtime/rootfs/deferred_unmounts.h"
#include "runtime/rootfs/private_mounts.h"
#include "runtime/rootfs/rootfs.h"
#include "tests/support/matchers.h"
#include "tests/support/temp_dir.h"

namespace davit {
namespace {

using ::davit::testing::InPrivateMounts;
using ::davit::testing::IsOk;
using ::davit::testing::TempDir;
using ::testing::IsEmpty;

dev_t FileSystemOf(const std::string& path) {
  struct stat st = {};
  EXPECT_EQ(stat(path.c_str(), &st), 0) << path;
  return st.st_dev;
}

// Whether this program has a descriptor of something in one of them.
bool IsReferred(const std::set<dev_t>& file_systems) {
  for (const auto& entry :
       std::filesystem::directory_iterator("/proc/self/fd")) {
    struct stat st;
    if (fstat(atoi(entry.path().filename().c_str()), &st) == 0 &&
        file_systems.contains(st.st_dev)) {
      return true;
    }
  }
  return false;
}

class DeferredUnmountsTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_THAT(MakeDirectories(dir_ / "low"), IsOk()); }
  OverlaySpec Spec(const std::string& pod) {
    OverlaySpec spec;
    spec.lower_dirs = {dir_ / "low"};
    spec.upper_dir = absl::StrCat(dir_ / pod, "/upper");
    spec.work_dir = absl::StrCat(dir_ / pod, "/work");
    spec.target = absl::StrCat(dir_ / pod, "/root");
    return spec;
  }

  TempDir dir_;
};

TEST_F(DeferredUnmountsTest, MountPointsAreFreeAtOnce) {
  const OverlaySpec spec = Spec("pod");
  InPrivateMounts([&] {
    DeferredUnmounts unmounts;
    ASSERT_THAT(MountOverlay(spec), IsOk());
    const std::string below = spec.target + "/below";
    ASSERT_THAT(MakeDirectories(below), IsOk());
    ASSERT_EQ(mount("tmpfs", below.c_str(), "tmpfs", 0, nullptr), 0);
    ASSERT_THAT(WriteFileAtomic(spec.target + "/written", "kept"), IsOk());
    ASSERT_THAT(unmounts.UnmountTree(dir_ / "pod"), IsOk());
    EXPECT_THAT(ListMountsBelow(dir_.path()).value(), IsEmpty());
    EXPECT_THAT(unmounts.UnmountTree(dir_ / "pod"), IsOk()) << "nothing to do";
    EXPECT_THAT(RemoveTree(spec.target), IsOk());
  });
  EXPECT_EQ(*ReadFile(spec.upper_dir + "/written"), "kept");
}

TEST_F(DeferredUnmountsTest, AnUpperDirectoryIsFreeAfterAwait) {
  const OverlaySpec spec = Spec("pod");
  InPrivateMounts([&] {
    DeferredUnmounts unmounts;
    for (int i = 0; i < 20; ++i) {
      ASSERT_THAT(MountOverlay(spec), IsOk());
      const std::string file = absl::StrCat(spec.target, "/", i);
      ASSERT_THAT(WriteFileAtomic(file, "kept"), IsOk());
      const dev_t overlay = FileSystemOf(spec.target);
      ASSERT_THAT(unmounts.UnmountTree(spec.target), IsOk());
      unmounts.Await(spec.target);
      ASSERT_FALSE(IsReferred({overlay}));
    }
  });
  EXPECT_EQ(*ReadFile(spec.upper_dir + "/19"), "kept");
}

TEST_F(DeferredUnmountsTest, TheEndWaitsForAll) {
  InPrivateMounts([&] {
    auto unmounts = std::make_unique<DeferredUnmounts>();
    std::set<dev_t> overlays;
    for (int i = 0; i < 20; ++i) {
      const OverlaySpec spec = Spec(absl::StrCat("pod", i));
      ASSERT_THAT(MountOverlay(spec), IsOk());
      ASSERT_THAT(WriteFileAtomic(spec.target + "/file", "kept"), IsOk());
      overlays.insert(FileSystemOf(spec.target));
      ASSERT_THAT(unmounts->UnmountTree(spec.target), IsOk());
    }
    unmounts.reset();
    EXPECT_FALSE(IsReferred(overlays));
    EXPECT_THAT(ListMountsBelow(dir_.path()).value(), IsEmpty());
  });
}

TEST_F(DeferredUnmountsTest, ACoveredMountGoesAfterWhatCoversIt) {
  InPrivateMounts([&] {
    DeferredUnmounts unmounts;
    const OverlaySpec spec = Spec("pod");
    ASSERT_THAT(MountOverlay(spec), IsOk());
    ASSERT_EQ(mount("tmpfs", spec.target.c_str(), "tmpfs", 0, nullptr), 0);
    EXPECT_THAT(unmounts.UnmountTree(spec.target), IsOk());
    EXPECT_THAT(ListMountsBelow(dir_.path()).value(), IsEmpty());
  });
}

}  // namespace
}  // namespace davit
