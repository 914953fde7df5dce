#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "runtime/base/file.h"
#include "runtime/base/unique_fd.h"
#include "runtime/rootfs/private_mounts.h"
#include "runtime/rootfs/rootfs.h"
#include "tests/support/matchers.h"
#include "tests/support/temp_dir.h"

namespace davit {
namespace {

using ::davit::testing::InPrivateMounts;
using ::davit::testing::IsOk;
using ::davit::testing::StatusIs;
using ::davit::testing::TempDir;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class RootfsTest : public ::testing::Test {
 protected:
  void Put(const std::string& path, const std::string& data) {
    std::string full = dir_ / path;
    ASSERT_THAT(MakeDirectories(full.substr(0, full.rfind('/'))), IsOk());
    ASSERT_THAT(WriteFileAtomic(full, data), IsOk());
  }
  OverlaySpec Spec(std::vector<std::string> lower) {
    for (std::string& name : lower) name = dir_ / name;
    return {lower, dir_ / "pod/upper", dir_ / "pod/work", dir_ / "pod/root"};
  }
  void MountTmpfs(const std::string& path) {
    ASSERT_THAT(MakeDirectories(path), IsOk());
    ASSERT_EQ(mount("tmpfs", path.c_str(), "tmpfs", 0, nullptr), 0);
  }

  TempDir dir_;
};

TEST_F(RootfsTest, MountsWritableLayers) {
  Put("low/a", "low");
  Put("low/b", "low");
  Put("top/b", "top");
  chmod((dir_ / "top").c_str(), 0711);
  EXPECT_EQ(chown((dir_ / "top").c_str(), 5, 6), 0);
  OverlaySpec spec = Spec({"top", "low"});
  InPrivateMounts([&] {
    ASSERT_THAT(MountOverlay(spec), IsOk());
    EXPECT_EQ(*ReadFile(spec.target + "/a"), "low");
    EXPECT_EQ(*ReadFile(spec.target + "/b"), "top");
    Put("pod/root/b", "written");
    unlink((spec.target + "/a").c_str());
    struct stat st;
    ASSERT_EQ(stat(spec.target.c_str(), &st), 0);
    EXPECT_EQ(st.st_mode, S_IFDIR | 0711u);
    EXPECT_EQ(st.st_uid, 5u);
    EXPECT_EQ(st.st_gid, 6u);
    EXPECT_THAT(ListMountsBelow(dir_.path()).value(), ElementsAre(spec.target));
    EXPECT_THAT(MountOverlay(spec), StatusIs(absl::StatusCode::kAlreadyExists,
                                             HasSubstr(spec.target)));
    EXPECT_THAT(UnmountTree(spec.target), IsOk());
  });
  EXPECT_EQ(*ReadFile(dir_ / "top/b"), "top");
  EXPECT_EQ(*ReadFile(dir_ / "low/a"), "low");
  EXPECT_EQ(*ReadFile(spec.upper_dir + "/b"), "written");
  // Mounted again, a pod finds what it had written.
  InPrivateMounts([&] {
    ASSERT_THAT(MountOverlay(spec), IsOk());
    EXPECT_EQ(*ReadFile(spec.target + "/b"), "written");
    EXPECT_FALSE(PathExists(spec.target + "/a"));
  });
}

// overlayfs marks the work directory of such a mount, and refuses it then.
TEST_F(RootfsTest, WithoutSyncItMountsAgainAndAgain) {
  Put("low/a", "low");
  OverlaySpec spec = Spec({"low"});
  spec.no_sync = true;
  for (int i = 0; i < 3; ++i) {
    InPrivateMounts([&] {
      ASSERT_THAT(MountOverlay(spec), IsOk());
      EXPECT_THAT(*ReadFile("/proc/thread-self/mountinfo"),
                  HasSubstr("volatile"));
      EXPECT_THAT(MountOverlay(spec),
                  StatusIs(absl::StatusCode::kAlreadyExists));
      Put(absl::StrCat("pod/root/", i), "written");
    });
    EXPECT_EQ(*ReadFile(absl::StrCat(spec.upper_dir, "/", i)), "written");
  }
}

TEST_F(RootfsTest, LeavesNoTraceInOtherNamespaces) {
  Put("low/a", "x");
  InPrivateMounts([&] { ASSERT_THAT(MountOverlay(Spec({"low"})), IsOk()); });
  EXPECT_THAT(ListMountsBelow(dir_.path()).value(), IsEmpty());
}

TEST_F(RootfsTest, OptionsLongerThanAPageStillMount) {
  std::vector<std::string> lower;
  std::string common(150, 'c');
  for (int i = 0; i < 120; ++i) {
    lower.push_back(absl::StrCat(common, "/", i));
    Put(absl::StrCat(lower.back(), "/f", i), absl::StrCat(i));
  }
  OverlaySpec spec = Spec(lower);
  std::string before = std::filesystem::current_path();
  InPrivateMounts([&] {
    ASSERT_THAT(MountOverlay(spec), IsOk());
    EXPECT_EQ(*ReadFile(spec.target + "/f0"), "0");
    EXPECT_EQ(*ReadFile(spec.target + "/f119"), "119");
  });
  EXPECT_EQ(std::filesystem::current_path(), before);

  spec = Spec(lower);
  Put("elsewhere/x", "x");
  spec.lower_dirs.push_back(dir_ / "elsewhere");
  InPrivateMounts([&] {
    EXPECT_THAT(MountOverlay(spec),
                StatusIs(absl::StatusCode::kResourceExhausted,
                         HasSubstr("mount(2) takes 4095")));
  });
}

TEST_F(RootfsTest, BadSpecsAreRefused) {
  Put("low/a", "x");
  Put("with:colon/a", "x");
  constexpr auto kBad = absl::StatusCode::kInvalidArgument;
  EXPECT_THAT(MountOverlay(Spec({})),
              StatusIs(kBad, HasSubstr("lower_dirs is empty")));
  EXPECT_THAT(MountOverlay(Spec({"with:colon"})),
              StatusIs(kBad, HasSubstr("with:colon\" holds a ':'")));
  OverlaySpec spec = Spec({"low"});
  spec.upper_dir = dir_ / "a,b";
  EXPECT_THAT(MountOverlay(spec),
              StatusIs(kBad, HasSubstr("upper_dir \"" + spec.upper_dir)));
  spec = Spec({"low"});
  spec.work_dir = "relative";
  EXPECT_THAT(MountOverlay(spec),
              StatusIs(kBad, HasSubstr("work_dir \"relative\" is not an abs")));
  spec = Spec({"low"});
  spec.target = "";
  EXPECT_THAT(MountOverlay(spec), StatusIs(kBad, HasSubstr("target")));
  spec = Spec({"absent"});
  EXPECT_THAT(MountOverlay(spec), StatusIs(absl::StatusCode::kNotFound,
                                           HasSubstr(dir_ / "absent")));
}

TEST_F(RootfsTest, TheKernelsErrorIsShown) {
  Put("low/a", "x");
  OverlaySpec spec = Spec({"low"});
  spec.work_dir = "/dev/shm/davit-rootfs-test";  // another file system
  InPrivateMounts([&] {
    EXPECT_THAT(MountOverlay(spec),
                StatusIs(absl::StatusCode::kInvalidArgument,
                         HasSubstr("mount(overlay, " + spec.target)));
  });
  EXPECT_EQ(rmdir(spec.work_dir.c_str()), 0);
}

TEST_F(RootfsTest, ListsDeepestFirst) {
  InPrivateMounts([&] {
    MountTmpfs(dir_ / "a");
    MountTmpfs(dir_ / "a/b c");
    MountTmpfs(dir_ / "a/b c/d");
    MountTmpfs(dir_ / "a-sibling");
    MountTmpfs(dir_ / "a/b c/d");  // one over the other
    EXPECT_THAT(ListMountsBelow(dir_ / "a").value(),
                ElementsAre(dir_ / "a/b c/d", dir_ / "a/b c/d", dir_ / "a/b c",
                            dir_ / "a"));
    EXPECT_THAT(ListMountsBelow(dir_ / "a/").value(), SizeIs(4));
    EXPECT_THAT(ListMountsBelow(dir_ / "absent").value(), IsEmpty());
    EXPECT_EQ(symlink((dir_ / "a").c_str(), (dir_ / "link").c_str()), 0);
    EXPECT_THAT(ListMountsBelow(dir_ / "link").value(), SizeIs(4));
  });
  EXPECT_THAT(ListMountsBelow("relative"),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST_F(RootfsTest, UnmountsEverything) {
  InPrivateMounts([&] {
    MountTmpfs(dir_ / "a");
    MountTmpfs(dir_ / "a/b");
    MountTmpfs(dir_ / "a/b");
    MountTmpfs(dir_ / "a/c");
    MountTmpfs(dir_ / "kept");
    // Mounts below a mount that another one covers.
    MountTmpfs(dir_ / "a/c/hidden");
    MountTmpfs(dir_ / "a");
    EXPECT_THAT(UnmountTree(dir_ / "a"), IsOk());
    EXPECT_THAT(ListMountsBelow(dir_.path()).value(),
                ElementsAre(dir_ / "kept"));
    EXPECT_THAT(UnmountTree(dir_ / "a"), IsOk());
    EXPECT_THAT(UnmountTree(dir_ / "absent"), IsOk());
  });
}

TEST_F(RootfsTest, DetachesWhatIsBusy) {
  InPrivateMounts([&] {
    MountTmpfs(dir_ / "busy");
    Put("busy/file", "x");
    UniqueFd fd(open((dir_ / "busy/file").c_str(), O_RDONLY | O_CLOEXEC));
    ASSERT_TRUE(fd.valid());
    EXPECT_THAT(UnmountTree(dir_ / "busy"), IsOk());
    EXPECT_THAT(ListMountsBelow(dir_ / "busy").value(), IsEmpty());
    EXPECT_EQ(*ReadAll(fd.get()), "x");
  });
}

TEST_F(RootfsTest, RefusesToUnmountTheMachine) {
  InPrivateMounts([&] {
    EXPECT_THAT(UnmountTree("/"), StatusIs(absl::StatusCode::kInvalidArgument));
    EXPECT_THAT(UnmountTree("//"),
                StatusIs(absl::StatusCode::kInvalidArgument));
    EXPECT_EQ(symlink("/", (dir_ / "slash").c_str()), 0);
    EXPECT_THAT(UnmountTree(dir_ / "slash"),
                StatusIs(absl::StatusCode::kInvalidArgument));
    EXPECT_TRUE(PathExists("/proc/self"));
  });
}

}  // namespace
}  // namespace davit
