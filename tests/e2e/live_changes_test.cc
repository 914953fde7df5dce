// What is changed of a pod that runs, and how its system calls are filtered.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "runtime/base/file.h"
#include "tests/e2e/node_test_base.h"
#include "tests/support/shell.h"

namespace davit::testing {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;

class LiveChangesTest : public NodeTest {
 protected:
  // The pod's memory limit and CPU quota, as the kernel has them.
  std::string KernelLimits() {
    std::string below =
        absl::StrCat("-path '*", node().cgroup_parent(), "/*' -name ");
    return Sh(absl::StrCat("cat $(find /sys/fs/cgroup ", below,
                           "memory.limit_in_bytes -o ", below, "memory.max -o ",
                           below, "cpu.cfs_quota_us -o ", below, "cpu.max)"))
        .out;
  }
  nlohmann::json Status(const std::string& pod) {
    return node().GetPod(pod)["status"];
  }
  std::string Applied(const std::string& manifest) {
    std::string path = node().path("manifest.yaml");
    EXPECT_TRUE(WriteFileAtomic(path, manifest).ok());
    return path;
  }
  // A pod "p" with one app "p", and this in its securityContext.
  std::string Manifest(const std::string& app_context,
                       const std::string& pod_context = "{}") {
    return Applied(absl::StrCat(
        "{apiVersion: v1, kind: Pod, metadata: {name: p}, spec: {",
        "securityContext: ", pod_context,
        ", containers: [{name: p, image: ", kBusybox,
        ", command: [sleep, '1000'], securityContext: ", app_context, "}]}}"));
  }
  void Profile(const std::string& name, const std::string& json) {
    ASSERT_TRUE(MakeDirectories(node().seccomp_dir()).ok());
    ASSERT_TRUE(WriteFileAtomic(node().seccomp_dir() + "/" + name, json).ok());
  }
};

// --- limits ---

TEST_F(LiveChangesTest, LimitsChangeAtOnceAndStay) {
  node().MustCtl({"run", "p", "--image", kBusybox, "--memory", "64Mi", "--",
                  "sleep", "1000"});
  EXPECT_THAT(KernelLimits(), HasSubstr("67108864"));
  EXPECT_EQ(node().MustCtl(
                {"set", "resources", "p", "--limits=cpu=500m,memory=128Mi"}),
            "pod/p resource requirements updated\n");
  EXPECT_THAT(KernelLimits(), HasSubstr("134217728"));
  EXPECT_THAT(KernelLimits(), HasSubstr("50000"));
  node().EndAgent(SIGKILL);
  node().StartAgent();
  EXPECT_THAT(node().MustCtl({"describe", "pod", "p"}),
              ContainsRegex("Limits: +cpu=500m, memory=128Mi"));
  node().MustCtl({"set", "resources", "p", "--limits", "cpu=0"});
  EXPECT_THAT(KernelLimits(), Not(HasSubstr("50000")));
  EXPECT_THAT(KernelLimits(), HasSubstr("134217728"));
  // The next start has them, too.
  node().MustCtl({"stop", "p", "--grace-period=1"});
  node().MustCtl({"set", "resources", "p", "--limits", "memory=96Mi"});
  node().MustCtl({"start", "p"});
  EXPECT_THAT(KernelLimits(), HasSubstr("100663296"));
}

TEST_F(LiveChangesTest, ALimitThatCannotBeChangesNothing) {
  node().MustCtl({"run", "p", "--image", kBusybox, "--memory", "64Mi", "--",
                  "sleep", "1000"});
  auto set = [&](const std::string& limits) {
    return node().Ctl({"set", "resources", "p", "--limits", limits}).err;
  };
  EXPECT_THAT(set("memory=1Mi"),
              HasSubstr("spec.resources.limits[\"memory\"]"));
  EXPECT_THAT(set("memory=lots"),
              HasSubstr("spec.resources.limits[\"memory\"]"));
  EXPECT_THAT(set("disk=1Gi"), HasSubstr("spec.resources.limits[\"disk\"]"));
  EXPECT_THAT(set("memory"), HasSubstr("is not NAME=QUANTITY"));
  EXPECT_THAT(
      node()
          .Ctl({"set", "resources", "p", "-c", "none", "--limits=memory=32Mi"})
          .err,
      HasSubstr("the pod has no app \"none\""));
  EXPECT_THAT(KernelLimits(), HasSubstr("67108864"));
  EXPECT_THAT(node().MustCtl({"describe", "pod", "p"}),
              ContainsRegex("Limits: +memory=64Mi"));
}

TEST_F(LiveChangesTest, AnAppsLimitIsItsUnits) {
  node().MustCtl({"run", "p", "--image", kBusybox, "--", "sleep", "1000"});
  node().MustCtl(
      {"set", "resources", "p", "-c", "p", "--limits", "memory=32Mi,cpu=250m"});
  EXPECT_EQ(
      node().MustCtl({"shell", "p", "--", "systemctl", "show", "app-p.service",
                      "-p", "MemoryMax", "-p", "CPUQuotaPerSecUSec"}),
      "CPUQuotaPerSecUSec=250ms\nMemoryMax=33554432\n");
  // With what the pod's systemd needs, it is the pod's as well.
  EXPECT_THAT(KernelLimits(), HasSubstr("50331648"));
}

// --- pause ---

TEST_F(LiveChangesTest, APausedPodStandsStillAcrossAnAgentsRestart) {
  node().MustCtl(
      {"run", "p", "--image", kBusybox, "--", "sh", "-c",
       "while :; do cat /proc/uptime >/new; mv /new /now; sleep 0.05; done"});
  auto now = [&] {
    return Sh(absl::StrCat("cat /proc/", Status("p").value("pid", "0"),
                           "/root/opt/stage2/p/rootfs/now"))
        .out;
  };
  node().MustCtl({"pause", "p"});
  node().MustCtl({"pause", "p"});
  EXPECT_THAT(node().MustCtl({"get", "pods"}), ContainsRegex("p +1/1 +Paused"));
  std::string stopped_at = now();
  EXPECT_THAT(node().Ctl({"exec", "p", "--", "true"}).err,
              HasSubstr("pod \"p\" is paused"));
  node().EndAgent(SIGKILL);
  node().StartAgent();
  EXPECT_TRUE(Status("p").value("paused", false));
  EXPECT_EQ(now(), stopped_at);
  node().MustCtl({"unpause", "p"});
  node().MustCtl({"unpause", "p"});
  EXPECT_EQ(node().MustCtl({"exec", "p", "--", "echo", "up"}), "up\n");
  for (int i = 0; i < 500 && now() == stopped_at; ++i) {
    absl::SleepFor(absl::Milliseconds(20));
  }
  EXPECT_NE(now(), stopped_at);
  EXPECT_FALSE(Status("p").contains("paused"));
}

TEST_F(LiveChangesTest, APausedPodIsStoppedCleanly) {
  node().MustCtl({"run", "p", "--image", kBusybox, "--", "sleep", "1000"});
  node().MustCtl({"pause", "p"});
  node().MustCtl({"stop", "p", "--grace-period=5"});
  EXPECT_EQ(Status("p")["machineExit"].value("kind", ""), "PowerOff");
  EXPECT_THAT(node().Ctl({"pause", "p"}).err, HasSubstr("not running"));
}

TEST_F(LiveChangesTest, TopShowsWhatRunningPodsUse) {
  node().MustCtl({"run", "p", "--image", kBusybox, "--", "sh", "-c",
                  "while :; do :; done"});
  node().MustCtl({"set", "resources", "p", "--limits", "cpu=200m"});
  std::string top = node().MustCtl({"top", "pods"});
  EXPECT_THAT(top, ContainsRegex("NAME +CPU\\(cores\\) +MEMORY +PEAK +TASKS"));
  EXPECT_THAT(top, ContainsRegex("p +[0-9]+m +[0-9.]+.i?B +[0-9.]+.i?B"));
  EXPECT_THAT(node().MustCtl({"describe", "pod", "p"}),
              ContainsRegex("Throttled: +.*, in [0-9]+ of [0-9]+ periods"));
}

// --- seccomp ---

TEST_F(LiveChangesTest, AProfileOfAnAppIsItsFilter) {
  Profile("no-mkdir.json",
          R"({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
              {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO",
               "errnoRet": 28}]})");
  const std::string localhost =
      "{type: Localhost, localhostProfile: no-mkdir.json}";
  auto mkdir = [&](const std::string& manifest) {
    node().MustCtl({"apply", "-f", manifest});
    std::string err = node().Ctl({"exec", "p", "--", "mkdir", "/x"}).err;
    node().MustCtl({"delete", "pod", "p", "--grace-period=1"});
    return err;
  };
  auto full = HasSubstr("No space left on device");
  EXPECT_THAT(mkdir(Manifest("{seccompProfile: " + localhost + "}")), full);
  // After what a user and no_new_privs take.
  EXPECT_THAT(mkdir(Manifest("{runAsUser: 7, allowPrivilegeEscalation: false, "
                             "seccompProfile: " +
                             localhost + "}")),
              full);
  EXPECT_THAT(mkdir(Manifest("{}", "{seccompProfile: " + localhost + "}")),
              full);
  EXPECT_EQ(mkdir(Manifest("{seccompProfile: {type: RuntimeDefault}}",
                           "{seccompProfile: " + localhost + "}")),
            "");
}

TEST_F(LiveChangesTest, UnconfinedIsWithoutTheAppsFilterNotThePods) {
  auto filters = [&](const std::string& manifest) {
    node().MustCtl({"apply", "-f", manifest});
    std::string out = node().MustCtl(
        {"exec", "p", "--", "grep", "Seccomp_filters", "/proc/self/status"});
    node().MustCtl({"delete", "pod", "p", "--grace-period=1"});
    return out;
  };
  EXPECT_EQ(filters(Manifest("{}")), "Seccomp_filters:\t2\n");
  EXPECT_EQ(filters(Manifest("{seccompProfile: {type: Unconfined}}")),
            "Seccomp_filters:\t1\n");
}

TEST_F(LiveChangesTest, AProfileOfAMachineIsItsSystemds) {
  node().ImportMachine();
  Profile("no-chroot.json",
          R"({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
              {"names": ["chroot"], "action": "SCMP_ACT_ERRNO",
               "errnoRet": 28}]})");
  node().MustCtl({"apply", "-f",
                  Applied(absl::StrCat(
                      "{apiVersion: v1, kind: Pod, metadata: {name: m}, spec: ",
                      "{rootImage: '", kMachine, "', securityContext: ",
                      "{seccompProfile: {type: Localhost, localhostProfile: ",
                      "no-chroot.json}}}}"))});
  EXPECT_THAT(node().Ctl({"shell", "m", "--", "chroot", "/", "true"}).err,
              HasSubstr("No space left on device"));
}

TEST_F(LiveChangesTest, BadProfilesAndMissingModulesAreNamedAtTheStart) {
  Profile("bad.json", R"({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [
      {"names": ["read"], "action": "ALLOW"}]})");
  auto apply = [&](const std::string& manifest) {
    ShellResult result = node().Ctl({"apply", "-f", manifest});
    EXPECT_NE(result.code, 0);
    node().Ctl({"delete", "pod", "p", "--grace-period=1"});
    return result.err;
  };
  const std::string field = "spec.containers[0].securityContext.";
  EXPECT_THAT(apply(Manifest("{seccompProfile: {type: Localhost, "
                             "localhostProfile: bad.json}}")),
              HasSubstr(field + "seccompProfile.localhostProfile: bad.json: "
                                "syscalls[0].action: \"ALLOW\" is not known"));
  EXPECT_THAT(apply(Manifest("{seccompProfile: {type: Sometimes}}")),
              HasSubstr(field + "seccompProfile.type: unknown value"));
  if (!PathExists("/sys/module/apparmor")) {
    EXPECT_THAT(apply(Manifest("{appArmorProfile: {type: Localhost, "
                               "localhostProfile: web}}")),
                HasSubstr(field + "appArmorProfile: the node has no AppArmor"));
  }
  if (!PathExists("/sys/fs/selinux/enforce")) {
    EXPECT_THAT(apply(Manifest("{seLinuxOptions: {type: web_t}}")),
                HasSubstr(field + "seLinuxOptions: the node has no SELinux"));
  }
}

}  // namespace
}  // namespace davit::testing
