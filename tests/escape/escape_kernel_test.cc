#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "runtime/base/file.h"
#include "runtime/base/unique_fd.h"
#include "runtime/boot/testing/pod_fixture.h"
#include "runtime/userns/file_owner.h"
#include "tests/support/matchers.h"

namespace davit::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kProbe[] = "/run/davit/probe";
// A small guest has it only as an applet, of fewer options.
constexpr char kUnshare[] =
    "[ -e /usr/bin/unshare ] || unshare() { busybox unshare \"$@\"; }; ";
// As a shell command: writes the value that a file has already.
constexpr char kRewrite[] = "rewrite() { v=$(cat $1) && echo \"$v\" >$1; }; ";

// By whether the pod has a user namespace.
class EscapeTest : public PodFixture,
                   public ::testing::WithParamInterface<bool> {
 protected:
  void SetUp() override {
    PodFixture::SetUp();
    if (IsSkipped()) return;
    request_ = New();
    pod_ = StartReady(request_);
    ASSERT_NE(pod_, nullptr);
    // What is not there would be "refused" as well.
    ASSERT_TRUE(Try("for tool in mknod mount umount stat find unshare; do "
                    "command -v $tool; done")
                    .ExitedWith(0));
  }
  void TearDown() override {
    if (pod_ != nullptr)
      pod_->Stop(absl::ZeroDuration()).status().IgnoreError();
    pod_.reset();
    PodFixture::TearDown();
  }

  bool userns() const { return GetParam(); }
  // Whether it is kept from what is undone by a mount: not on a machine whose
  // kernel takes no guard. A guard that fails in another way is no excuse.
  bool Guarded() const {
    EXPECT_TRUE(guard().ok() || absl::IsUnavailable(guard().status()))
        << guard().status();
    return userns() || guard().ok();
  }
  BootRequest New() {
    BootRequest request =
        userns() ? NewUsernsRequest(AnyGuest()) : NewRequest(AnyGuest());
    request.binds = {{ProbePath(), kProbe, true}};
    request.limits.memory_max_bytes = 512 << 20;
    return request;
  }
  // As root in a unit of the pod: with the pod's cgroup, capabilities, filter.
  SubprocessResult Try(const std::string& script) {
    return RunUnit(*pod_, kUnshare + script);
  }
  std::string Probe(const std::string& what) {
    return Try(absl::StrCat(kProbe, " ", what)).out;
  }

  BootRequest request_;
  std::unique_ptr<PodProcess> pod_;
};

#define EXPECT_REFUSED(script) \
  EXPECT_FALSE(Try(script).ExitedWith(0)) << "worked: " << (script)

TEST_P(EscapeTest, ForbiddenDevices) {
  EXPECT_REFUSED("mknod /root/loop b 7 0");
  EXPECT_REFUSED("mknod /root/fuse c 10 229");
  // A node that got in by another way, say with the image, does not open.
  std::string node = request_.rootfs + "/../upper/planted";
  ASSERT_EQ(mknod(node.c_str(), S_IFBLK | 0666, makedev(7, 0)), 0);
  EXPECT_THAT(Try("exec 3</planted").err, HasSubstr("Operation not permitted"));
  EXPECT_TRUE(Try("exec 3</dev/zero").ExitedWith(0));
}

TEST_P(EscapeTest, DevicesAllow) {
  if (pod_->cgroups().count("devices") == 0) GTEST_SKIP() << "needs cgroup v1";
  EXPECT_REFUSED("echo 'a *:* rwm' >/sys/fs/cgroup/devices/devices.allow");
  // A mount of one's own, which is not read-only: bounded by what is above.
  SubprocessResult result =
      Try("mount -t cgroup -o devices cgroup /mnt && "
          "echo 'b 7:* rwm' >/mnt/devices.allow");
  EXPECT_FALSE(result.ExitedWith(0));
  EXPECT_REFUSED(
      "mount -t cgroup -o devices cgroup /mnt; "
      "echo 'b 7:* rwm' >/mnt/devices.allow; mknod /root/l b 7 0 && "
      "exec 3</root/l");
}

TEST_P(EscapeTest, CgroupsOfTheHost) {
  SubprocessResult result =
      Try("cat /proc/1/cgroup; for c in memory pids name=systemd; do "
          "mount -t cgroup -o none,$c c /mnt 2>/dev/null || "
          "mount -t cgroup -o $c c /mnt && find /mnt && umount /mnt; done; "
          "mount -t cgroup2 c /mnt && find /mnt");
  EXPECT_THAT(result.out, Not(HasSubstr(cgroup_parent_)));
  EXPECT_THAT(result.out, Not(HasSubstr(request_.pod_id)));
  EXPECT_THAT(result.out, Not(HasSubstr("release_agent")));
  EXPECT_THAT(result.out, Not(HasSubstr("/..")));
}

TEST_P(EscapeTest, ItsOwnLimits) {
  if (pod_->cgroups().count("memory") == 0) GTEST_SKIP() << "needs cgroup v1";
  Try("mount -t cgroup -o memory c /mnt && "
      "echo -1 >/mnt/memory.limit_in_bytes");
  // The directory that has the limits: the pod's own, or its scope.
  std::string base = pod_->cgroups()["memory"];
  base = base.substr(0, base.find('/', base.find(request_.pod_id)));
  EXPECT_EQ(ReadFile(base + "/memory.limit_in_bytes").value(),
            absl::StrCat(512 << 20, "\n"));
}

TEST_P(EscapeTest, ReleaseAgent) {
  EXPECT_REFUSED(
      "mount -t cgroup -o none,name=davit-e,release_agent=/x c /mnt");
  EXPECT_REFUSED(
      "mount -t cgroup -o remount,release_agent=/x c "
      "/sys/fs/cgroup/systemd");
  EXPECT_REFUSED("echo /x >/sys/fs/cgroup/systemd/release_agent");
}

TEST_P(EscapeTest, KernelSettings) {
  for (const char* name : {"kernel/core_pattern", "kernel/modprobe",
                           "vm/overcommit_memory", "fs/file-max"}) {
    EXPECT_REFUSED(absl::StrCat(kRewrite, "rewrite /proc/sys/", name));
    // With the mount made writable, with a /proc of its own, and from a user
    // namespace below.
    EXPECT_REFUSED(absl::StrCat(kRewrite,
                                "mount -o remount,bind,rw /proc/sys; "
                                "umount /proc/sys; rewrite /proc/sys/",
                                name));
    EXPECT_REFUSED(absl::StrCat(
        kRewrite, "mount -t proc p /mnt && rewrite /mnt/sys/", name));
    EXPECT_REFUSED(absl::StrCat("unshare -Urmpf --mount-proc sh -c '", kRewrite,
                                "rewrite /proc/sys/", name, "'"));
  }
  EXPECT_TRUE(
      Try(absl::StrCat(kRewrite, "rewrite /proc/sys/net/ipv4/ip_forward"))
          .ExitedWith(0));
}

TEST_P(EscapeTest, SysrqTrigger) {
  EXPECT_REFUSED(
      "exec 3>/proc/sysrq-trigger && [ -s /proc/version ] && "
      "stat -c %a /proc/sysrq-trigger | grep -qx 200");
}

TEST_P(EscapeTest, UncoveredSysrqTrigger) {
  if (!Guarded()) GTEST_SKIP() << guard().status();
  EXPECT_REFUSED("umount /proc/sysrq-trigger; exec 3>/proc/sysrq-trigger");
  EXPECT_REFUSED("mount -t proc p /mnt && exec 3>/mnt/sysrq-trigger");
}

// Of a kernel with huge pages; it is opened and not written to.
constexpr char kOfSys[] = "kernel/mm/transparent_hugepage/use_zero_page";

TEST_P(EscapeTest, ReadOnlySys) {
  EXPECT_REFUSED("echo 1 >/sys/kernel/mm/ksm/run");
  ASSERT_TRUE(
      UniqueFd(open(absl::StrCat("/sys/", kOfSys).c_str(), O_WRONLY)).valid());
  EXPECT_REFUSED(absl::StrCat("exec 3>/sys/", kOfSys));
}

TEST_P(EscapeTest, SysMadeWritable) {
  if (!Guarded()) GTEST_SKIP() << guard().status();
  const std::string write_sys = absl::StrCat("exec 3>/sys/", kOfSys);
  const std::string write_mnt = absl::StrCat("exec 3>/mnt/", kOfSys);
  if (userns()) {
    // The kernel has locked it. Others make it writable, and gain nothing.
    EXPECT_REFUSED("mount -o remount,rw /sys");
    EXPECT_REFUSED("mount -o remount,bind,rw /sys");
  }
  EXPECT_REFUSED(absl::StrCat(
      kRewrite, "mount -t sysfs s /mnt && rewrite /mnt/kernel/mm/ksm/run"));
  EXPECT_REFUSED("mount -o remount,rw /sys; " + write_sys);
  EXPECT_REFUSED("mount -o remount,bind,rw /sys; " + write_sys);
  EXPECT_REFUSED("mount -t sysfs s /mnt && " + write_mnt);
  EXPECT_REFUSED("mount --bind /sys /mnt && mount -o remount,bind,rw /mnt && " +
                 write_mnt);
}

TEST_P(EscapeTest, FileSystemsOfTheMachine) {
  if (!Guarded()) GTEST_SKIP() << guard().status();
  for (const char* type : {"debugfs", "tracefs", "securityfs", "configfs",
                           "devtmpfs", "binfmt_misc"}) {
    // Of 6.7 and later, a user namespace has a binfmt_misc of its own.
    if (userns() && std::string(type) == "binfmt_misc") continue;
    EXPECT_REFUSED(absl::StrCat("mount -t ", type, " x /mnt"));
  }
}

TEST_P(EscapeTest, ProcessesOfOthers) {
  BootRequest other_request = New();
  auto other = StartReady(other_request);
  ASSERT_NE(other, nullptr);
  pid_t victim = other->init().pid;
  EXPECT_EQ(Probe(absl::StrCat("ptrace ", victim)), "ESRCH\n");
  EXPECT_THAT(Try(absl::StrCat("kill -0 ", victim)).err,
              HasSubstr("No such process"));
  EXPECT_REFUSED(absl::StrCat("ls /proc/", victim, "/root"));
  // Not even by what both see: a network namespace shared on purpose.
  SubprocessResult all = Try("ps -e -o pid=,args=");
  EXPECT_THAT(all.out, Not(HasSubstr("davit-shim")));
  EXPECT_EQ(kill(victim, 0), 0);
  ASSERT_THAT(other->Stop(absl::ZeroDuration()), IsOk());
}

TEST_P(EscapeTest, KeyringsHandlesAndBpf) {
  EXPECT_EQ(Probe("keyring"), "EPERM\n");
  EXPECT_EQ(Probe("handle /run/host/os-release"), "EPERM\n");
  EXPECT_EQ(Probe("root-handle /"), "EPERM\n");
  EXPECT_EQ(Probe("bpf"), "EPERM\n");
}

TEST_P(EscapeTest, NestedUserNamespaces) {
  EXPECT_REFUSED(absl::StrCat("unshare -Urm sh -c '", kProbe,
                              " root-handle / | grep -qx ok'"));
  EXPECT_REFUSED("unshare -Urm mknod /root/nested b 7 0");
  EXPECT_REFUSED(
      "unshare -UrmC sh -c 'mount -t cgroup -o devices c /mnt && "
      "echo a >/mnt/devices.allow && exec 3</root/x'");
  EXPECT_REFUSED(
      "unshare -Urm sh -c 'mount -o remount,bind,rw /proc/sys && echo'");
}

TEST_P(EscapeTest, TheNotifySocketBelievesInitOnly) {
  EXPECT_EQ(Probe("notify STOPPING=1"), "ok\n");
  EXPECT_EQ(Probe("notify 'READY=1\nSTATUS=spoofed'"), "ok\n");
  // Had STOPPING=1 been believed, no signal would be sent.
  ASSERT_OK_AND_ASSIGN(PodExit exit, pod_->Stop(absl::Seconds(20)));
  EXPECT_EQ(exit.kind, PodExit::Kind::kPowerOff);
}

TEST_P(EscapeTest, LinksThatChangeUnderABind) {
  // The image swaps a directory and a link to the host's root for each other
  // while binds and files are put below it.
  std::string outside = request_.state_dir + "/outside";
  ASSERT_THAT(MakeDirectories(outside), IsOk());
  for (int i = 0; i < 4; ++i) {
    BootRequest request = New();
    std::string up;
    for (char c : outside) up += c == '/' ? "../" : "";
    std::string swap = request.rootfs + "/swap", link = request.rootfs + "/l";
    // Or they could not be made: our own root has no id in its layers.
    ASSERT_THAT(CreateFilesAs(request.userns.base, request.userns.base),
                IsOk());
    ASSERT_THAT(MakeDirectories(swap), IsOk());
    ASSERT_EQ(symlink((up + "../../../../.." + outside).c_str(), link.c_str()),
              0);
    ASSERT_THAT(CreateFilesAs(0, 0), IsOk());
    request.binds.push_back({request.state_dir, "/swap/bound", false});
    request.files = {{.path = "/swap/file", .content = "x"}};
    request.init_argv = {"/bin/true"};
    std::atomic<bool> done = false;
    std::thread swapper([&] {
      while (!done) {
        renameat2(AT_FDCWD, swap.c_str(), AT_FDCWD, link.c_str(),
                  RENAME_EXCHANGE);
      }
    });
    // Whether it starts is the image's own doing.
    auto pod = launcher_->Start(request, {});
    if (pod.ok()) (*pod)->WaitExit(absl::Seconds(20)).status().IgnoreError();
    done = true;
    swapper.join();
    EXPECT_TRUE(std::filesystem::is_empty(outside));
  }
  EXPECT_THAT(RemoveTree(outside), IsOk());
}

INSTANTIATE_TEST_SUITE_P(Pods, EscapeTest, ::testing::Bool(),
                         [](const auto& info) {
                           return info.param ? "userns" : "host_users";
                         });

}  // namespace
}  // namespace davit::testing
