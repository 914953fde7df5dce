#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "runtime/base/file.h"
#include "runtime/boot/live_mount.h"
#include "runtime/boot/testing/pod_fixture.h"
#include "tests/support/matchers.h"

namespace davit::testing {
namespace {

using ::absl::StatusCode;
using ::testing::HasSubstr;
using ::testing::StartsWith;

// By whether the pod has a user namespace.
class LiveMountTest : public PodFixture,
                      public ::testing::WithParamInterface<bool> {
 protected:
  void SetUp() override {
    PodFixture::SetUp();
    if (IsSkipped()) return;
    request_ = GetParam() ? NewUsernsRequest() : NewRequest();
    source_ = request_.state_dir + "/volume";
    ASSERT_THAT(MakeDirectories(source_ + "/sub"), IsOk());
    ASSERT_THAT(WriteFileAtomic(source_ + "/greeting", "hello\n"), IsOk());
    pod_ = StartReady(request_);
    ASSERT_NE(pod_, nullptr);
  }
  void TearDown() override {
    if (pod_ != nullptr)
      pod_->Stop(absl::ZeroDuration()).status().IgnoreError();
    pod_.reset();
    PodFixture::TearDown();
  }

  absl::Status Mount(const LiveMount& mount) {
    return MountLive(pod_->init(), request_.userns, mount, [&](uint64_t id) {
      id_ = id;
      return absl::OkStatus();
    });
  }
  absl::Status Unmount(const LiveMount& mount, bool force = false) {
    return UnmountLive(pod_->init(), mount, id_, force);
  }
  LiveMount At(const std::string& target) {
    return {.source = source_, .target = target};
  }
  SubprocessResult Try(const std::string& script) {
    return RunUnit(*pod_, script);
  }
  // Where the pod has the last mount; "" if nowhere.
  std::string Place() {
    std::string table =
        ReadFile(absl::StrCat("/proc/", pod_->init().pid, "/mountinfo"))
            .value_or("");
    for (absl::string_view line : absl::StrSplit(table, '\n')) {
      std::vector<std::string> fields = absl::StrSplit(line, ' ');
      if (fields[0] == absl::StrCat(id_)) return fields[4];
    }
    return "";
  }

  BootRequest request_;
  std::string source_;
  uint64_t id_ = 0;  // of the last mount
  std::unique_ptr<PodProcess> pod_;
};

TEST_P(LiveMountTest, ADirectoryComesAndGoes) {
  ASSERT_THAT(Mount(At("/srv/a/b")), IsOk());
  EXPECT_EQ(Place(), "/srv/a/b");
  EXPECT_EQ(Try("cat /srv/a/b/greeting && stat -c %u /srv/a/b/greeting /srv/a "
                "&& echo made >/srv/a/b/made")
                .out,
            "hello\n0\n0\n");
  struct stat made = {};
  ASSERT_EQ(stat((source_ + "/made").c_str(), &made), 0);
  EXPECT_EQ(made.st_uid, 0u);
  // Each side's later mounts are its own.
  ASSERT_EQ(mount("tmpfs", (source_ + "/sub").c_str(), "tmpfs", 0, nullptr), 0);
  EXPECT_EQ(Try("test -d /srv/a/b/sub && ! mountpoint -q /srv/a/b/sub && "
                "mount -t tmpfs tmpfs /srv/a/b/sub && touch /srv/a/b/sub/x")
                .err,
            "");
  EXPECT_FALSE(PathExists(source_ + "/sub/x"));
  ASSERT_EQ(umount((source_ + "/sub").c_str()), 0);
  EXPECT_FALSE(PathExists(source_ + "/sub/x"));
  EXPECT_TRUE(Try("umount /srv/a/b/sub").ExitedWith(0));

  ASSERT_THAT(Unmount(At("/srv/a/b")), IsOk());
  EXPECT_EQ(Place(), "");
  EXPECT_EQ(Try("ls -A /srv/a/b").out, "");
  EXPECT_THAT(Unmount(At("/srv/a/b")), IsOk());
}

TEST_P(LiveMountTest, WhatIsMountedBelowTheSourceComesAlong) {
  std::string sub = source_ + "/sub";
  ASSERT_EQ(mount("tmpfs", sub.c_str(), "tmpfs", 0, nullptr), 0);
  ASSERT_THAT(WriteFileAtomic(sub + "/x", "below\n"), IsOk());
  LiveMount volume = At("/srv/a");
  volume.read_only = true;
  ASSERT_THAT(Mount(volume), IsOk());
  EXPECT_EQ(Try("cat /srv/a/sub/x").out, "below\n");
  EXPECT_THAT(Try("echo no >/srv/a/sub/x").err,
              HasSubstr("Read-only file system"));
  EXPECT_THAT(Unmount(volume), StatusIs(StatusCode::kFailedPrecondition,
                                        HasSubstr("mounted below it")));
  EXPECT_EQ(Place(), "/srv/a");
  EXPECT_THAT(Unmount(volume, /*force=*/true), IsOk());
  EXPECT_EQ(Place(), "");
  ASSERT_EQ(umount(sub.c_str()), 0);
}

TEST_P(LiveMountTest, AFileIsReadOnlyIfAskedFor) {
  LiveMount volume = {.source = source_ + "/greeting",
                      .target = "/etc/new/greeting",
                      .read_only = true};
  ASSERT_THAT(Mount(volume), IsOk());
  EXPECT_EQ(Try("cat /etc/new/greeting").out, "hello\n");
  EXPECT_THAT(Try("echo no >/etc/new/greeting").err,
              HasSubstr("Read-only file system"));
  // Not by root of a pod that has users of its own, either.
  if (GetParam()) {
    EXPECT_FALSE(Try("mount -o remount,bind,rw /etc/new/greeting && "
                     "echo no >/etc/new/greeting")
                     .ExitedWith(0));
  }
  EXPECT_EQ(ReadFile(source_ + "/greeting").value_or(""), "hello\n");
  EXPECT_THAT(Unmount(volume), IsOk());
  EXPECT_EQ(Try("cat /etc/new/greeting").out, "");
}

TEST_P(LiveMountTest, WhatIsInUseGoesByForceAlone) {
  ASSERT_THAT(Mount(At("/srv/a")), IsOk());
  ASSERT_TRUE(Try("systemd-run -q --service-type=exec --unit=user "
                  "--working-directory=/srv/a sleep 1000")
                  .ExitedWith(0));
  EXPECT_THAT(Unmount(At("/srv/a")), StatusIs(StatusCode::kFailedPrecondition,
                                              HasSubstr("it is in use")));
  EXPECT_EQ(Try("cat /srv/a/greeting").out, "hello\n");
  EXPECT_THAT(Unmount(At("/srv/a"), /*force=*/true), IsOk());
  EXPECT_EQ(Try("ls -A /srv/a").out, "");
}

TEST_P(LiveMountTest, WhatIsMountedOverItStays) {
  ASSERT_THAT(Mount(At("/srv/a")), IsOk());
  ASSERT_TRUE(
      Try("mount -t tmpfs tmpfs /srv/a && touch /srv/a/x").ExitedWith(0));
  EXPECT_THAT(Unmount(At("/srv/a"), /*force=*/true),
              StatusIs(StatusCode::kFailedPrecondition,
                       HasSubstr("mounted something else over it")));
  EXPECT_EQ(Try("ls /srv/a").out, "x\n");
}

TEST_P(LiveMountTest, ItIsFoundWhereThePodHasMovedIt) {
  ASSERT_THAT(Mount(At("/srv/a/b c")), IsOk());
  ASSERT_TRUE(Try("mv /srv/a /srv/moved").ExitedWith(0));
  EXPECT_EQ(Place(), "/srv/moved/b\\040c");
  ASSERT_THAT(Unmount(At("/srv/a/b c")), IsOk());
  EXPECT_EQ(Place(), "");
  // An id that another mount has got is not that one's name.
  ASSERT_THAT(Mount(At("/srv/other")), IsOk());
  EXPECT_THAT(Unmount(At("/srv/a/b")), IsOk());
  EXPECT_EQ(Place(), "/srv/other");
}

TEST_P(LiveMountTest, NoLinkLeadsOutOfTheRoot) {
  ASSERT_TRUE(Try("mkdir -p /opt/app/srv && cd /opt/app/srv && ln -s / up && "
                  "ln -s ../../../../.. back && ln -s /tmp last && "
                  "ln -s /proc/1/root magic && mkdir -p /opt/app/proc/1 && "
                  "mount --rbind /proc /opt/app/proc")
                  .ExitedWith(0));
  LiveMount volume = At("/srv/up/etc/x");
  volume.root = "/opt/app";
  ASSERT_THAT(Mount(volume), IsOk());
  EXPECT_EQ(Place(), "/opt/app/etc/x");
  ASSERT_THAT(Unmount(volume), IsOk());
  volume.target = "/srv/back/etc/y";
  ASSERT_THAT(Mount(volume), IsOk());
  EXPECT_EQ(Place(), "/opt/app/etc/y");
  ASSERT_THAT(Unmount(volume), IsOk());
  volume.target = "/srv/last";
  EXPECT_THAT(Mount(volume), StatusIs(StatusCode::kFailedPrecondition,
                                      HasSubstr("target is a symbolic link")));
  volume.target = "/srv/magic/x";
  EXPECT_FALSE(Mount(volume).ok());
  EXPECT_EQ(Place(), "");
  EXPECT_EQ(Try("ls -d /x /etc/x /etc/y").out, "");
}

// The pod swaps a directory on the way for a link to its own root all the time.
TEST_P(LiveMountTest, NoRaceLeadsOutOfTheRoot) {
  ASSERT_TRUE(
      Try("mkdir -p /opt/app/r/d && ln -s ../../../../.. /opt/app/r/l && "
          "systemd-run -q --service-type=exec --unit=swap "
          "--working-directory=/opt/app/r sh -c '"
          "while :; do mv -T d t; mv -T l d; mv -T d l; mv -T t d; done'")
          .ExitedWith(0));
  LiveMount volume = At("/r/d/x/y");
  volume.root = "/opt/app";
  int mounted = 0;
  for (int i = 0; i < 300; ++i) {
    if (!Mount(volume).ok()) continue;
    ++mounted;
    EXPECT_THAT(Place(), StartsWith("/opt/app/"));
    absl::Status gone = Unmount(volume, /*force=*/true);
    // It was on its way again.
    for (int j = 0; !gone.ok() && j < 1000; ++j) gone = Unmount(volume, true);
    ASSERT_THAT(gone, IsOk());
  }
  EXPECT_GT(mounted, 0);
  EXPECT_TRUE(Try("systemctl stop swap && ! test -e /x").ExitedWith(0));
}

TEST_P(LiveMountTest, WhatCannotBeIsToldAndLeavesNothing) {
  LiveMount volume = At("/srv/a");
  volume.source += "/none";
  EXPECT_THAT(Mount(volume),
              StatusIs(StatusCode::kNotFound, HasSubstr("volume/none")));
  EXPECT_THAT(Mount(At("/etc/passwd")),
              StatusIs(StatusCode::kFailedPrecondition,
                       HasSubstr("target is no directory")));
  volume = {.source = source_ + "/greeting", .target = "/srv"};
  EXPECT_THAT(Mount(volume), StatusIs(StatusCode::kFailedPrecondition,
                                      HasSubstr("target is a directory")));
  if (GetParam()) {
    volume = {.source = "/proc/sys", .target = "/srv/p"};
    EXPECT_THAT(Mount(volume), StatusIs(StatusCode::kFailedPrecondition,
                                        HasSubstr("cannot map ids")));
  }
  EXPECT_THAT(MountLive(pod_->init(), request_.userns, At("/srv/a"),
                        [](uint64_t) { return absl::AbortedError("no"); }),
              StatusIs(StatusCode::kAborted, HasSubstr("no")));
  EXPECT_FALSE(Try("test -e /srv/a || test -e /srv/p").ExitedWith(0));
}

TEST_P(LiveMountTest, APodThatIsGoneHasNoMounts) {
  ASSERT_THAT(Mount(At("/srv/a")), IsOk());
  ASSERT_THAT(pod_->Stop(absl::ZeroDuration()), IsOk());
  EXPECT_THAT(Mount(At("/srv/b")), StatusIs(StatusCode::kNotFound));
  EXPECT_THAT(Unmount(At("/srv/a")), IsOk());
  EXPECT_EQ(ReadFile(source_ + "/greeting").value_or(""), "hello\n");
}

INSTANTIATE_TEST_SUITE_P(Users, LiveMountTest, ::testing::Bool(),
                         [](const auto& info) {
                           return info.param ? "PodUsers" : "HostUsers";
                         });

}  // namespace
}  // namespace davit::testing
